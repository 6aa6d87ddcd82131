// One socket for all tabs: one of them leads, and when it is closed, frozen or put into the bfcache another takes over. The server
// counts the sockets that it sees.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReplica } from 'edge-session';
import { WebSocketServer } from 'ws';
import { away, get, loaded, put, stop, withFreezableTabs, withTabs } from './place.mjs';

/** An edge that takes WebSockets, in this process. `most` is the greatest number of sockets open at the same time. */
async function edge() {
  const replica = await openReplica({ id: 'edge' });
  const server = new WebSocketServer({ noServer: true });
  // A socket whose end has said goodbye is none any more, though the connection below it takes its time.
  const seen = { get now() { return [...server.clients].filter(({ readyState }) => readyState === 1).length; }, most: 0, ever: 0 };
  let meet;
  replica.connect({ kind: 'test', open: (_, onPeer) => void (meet = onPeer) });
  server.on('connection', (socket) => {
    seen.ever += 1;
    seen.most = Math.max(seen.most, seen.now);
    meet({
      readable: new ReadableStream({
        start(controller) {
          socket.on('message', (bytes) => controller.enqueue(new Uint8Array(bytes)));
          socket.on('close', () => { try { controller.close(); } catch { /* cancelled */ } });
        },
        cancel: () => socket.close(),
      }),
      writable: new WritableStream({ write: (bytes) => { if (socket.readyState === 1) socket.send(bytes); }, abort: () => socket.close() }),
    });
  });
  const session = replica.session({ timeout: 20_000 });
  return {
    seen,
    session,
    upgrade: (request, socket, head) => server.handleUpgrade(request, socket, head, (open) => server.emit('connection', open)),
    /** Waits until the edge holds the key. */
    async holds(key, value) {
      for (const end = Date.now() + 20_000; (await session.get(key)) !== value; await new Promise((rest) => setTimeout(rest, 10))) assert.ok(Date.now() < end, `the edge does not hold ${key}`);
    },
    async settled(count, what) {
      for (const end = Date.now() + 20_000; seen.now !== count; await new Promise((rest) => setTimeout(rest, 10))) assert.ok(Date.now() < end, `${what}: ${seen.now} sockets`);
    },
    close: () => replica.close(),
  };
}

/** Runs `test` with tabs that share a socket to an edge; `open` is one more of them. */
const shared = (run, where = withTabs) => async () => {
  const server = await edge();
  try {
    await where(async (place) => {
      const join = (page) => page.evaluate(() => start({ heartbeat: 500, connect: es.shared('shop', plain(location.origin.replace('http', 'ws'))) }));
      /** Timers of the page run five times as fast from now on. */
      const hurry = (page) => page.evaluate(() => { const { setTimeout } = window; window.setTimeout = (run, ms) => setTimeout(run, ms / 5); });
      await run({ ...place, server, join, hurry, async open(path) {
        const page = await place.tab(path);
        await join(page);
        return page;
      } });
    }, { upgrade: server.upgrade });
  } finally {
    await server.close();
  }
};

/** What a write in each tab reaches: the edge, and by it every other tab. */
async function allInSync(pages, server, round) {
  for (const [index, page] of pages.entries()) {
    await put(page, `${round}/${index}`, index);
    await server.holds(`${round}/${index}`, index);
  }
  await server.session.set(`${round}/edge`, 'edge');
  for (const page of pages) {
    await page.evaluate((key) => until(async () => (await me.get(key)) === 'edge', key), `${round}/edge`);
    for (const index of pages.keys()) assert.equal(await get(page, `${round}/${index}`), index);
  }
}

test('three tabs have one socket; when the leader is closed another takes over at once', shared(async ({ open, server }) => {
  const pages = [await open(), await open(), await open()];
  await allInSync(pages, server, 'three');
  assert.deepEqual([server.seen.now, server.seen.ever], [1, 1]);
  await pages.shift().close();
  await allInSync(pages, server, 'two');
  assert.deepEqual([server.seen.now, server.seen.ever], [1, 2]);
  await stop(pages.shift());
  await allInSync(pages, server, 'one');
  assert.deepEqual([server.seen.now, server.seen.ever], [1, 3]);
  await stop(pages[0]);
  await server.settled(0, 'close() lets go of the socket');
  assert.equal(server.seen.most, 1, 'never two at a time');
}));

test('a leader that is frozen gives way, and is a follower when it is resumed', shared(async ({ freeze, open, server }) => {
  const pages = [await open(), await open()];
  await allInSync(pages, server, 'before');
  const resume = await freeze(pages[0]);
  await allInSync([pages[1]], server, 'meanwhile');
  assert.deepEqual([server.seen.now, server.seen.ever], [1, 2]);
  await resume();
  await allInSync(pages, server, 'after');
  assert.deepEqual([server.seen.now, server.seen.ever, server.seen.most], [1, 2, 1]);
}, withFreezableTabs));

test('a follower that is frozen does not stand in line', shared(async ({ freeze, open, server }) => {
  const pages = [await open(), await open(), await open()];
  await allInSync(pages, server, 'before');
  const resume = await freeze(pages[1]);
  await pages[0].close();
  await allInSync([pages[2]], server, 'meanwhile');
  await resume();
  await allInSync(pages.slice(1), server, 'after');
  assert.deepEqual([server.seen.now, server.seen.ever, server.seen.most], [1, 2, 1]);
}, withFreezableTabs));

// What a browser does that grants the lead in the very moment in which it freezes the page: the page holds it and does not know.
test('a lead that is held by a tab that is not there is taken from it', shared(async ({ freeze, tab, hurry, join, server }) => {
  const pages = [await tab(), await tab(), await tab()];
  await pages[0].evaluate(() => void navigator.locks.request('edge-session/shop/leader', () => new Promise(() => {})));
  const resume = await freeze(pages[0]);
  for (const page of pages.slice(1)) await hurry(page).then(() => join(page));
  await allInSync(pages.slice(1), server, 'without it');
  await resume();
  await join(pages[0]);
  await allInSync(pages, server, 'with it');
  assert.deepEqual([server.seen.now, server.seen.ever, server.seen.most], [1, 1, 1]);
}, withFreezableTabs));

test('a leader that answers keeps the lead, however long the others wait', shared(async ({ tab, hurry, join, server }) => {
  const pages = [await tab(), await tab(), await tab()];
  for (const page of pages) await hurry(page).then(() => join(page));
  await allInSync(pages, server, 'at first');
  await new Promise((rest) => setTimeout(rest, 6_000));
  await allInSync(pages, server, 'half a minute later, as their timers go');
  assert.deepEqual([server.seen.now, server.seen.ever, server.seen.most], [1, 1, 1]);
}));

test('a leader from whom the lead was taken gives way, and stands in line again', shared(async ({ open, server }) => {
  const page = await open();
  await allInSync([page], server, 'before');
  await page.evaluate(() => { window.thief = navigator.locks.request('edge-session/shop/leader', { steal: true }, () => new Promise((release) => { window.release = release; })); });
  await server.settled(0, 'a socket whose lead was taken is closed');
  await page.evaluate(() => { window.release(); return window.thief; });
  await allInSync([page], server, 'after');
  assert.deepEqual([server.seen.now, server.seen.ever, server.seen.most], [1, 2, 1]);
}));

test('a leader that goes into the bfcache gives way, and is a follower when it is back', shared(async ({ open, server }) => {
  const pages = [await open(), await open()];
  await allInSync(pages, server, 'before');
  const kept = await away(pages[0], () => allInSync([pages[1]], server, 'meanwhile'));
  assert.equal(kept, true, 'neither the socket nor the channel keeps it out of the bfcache, and no message throws it out');
  await allInSync(pages, server, 'after');
  assert.deepEqual([server.seen.now, server.seen.ever, server.seen.most], [1, 2, 1]);
}));

test('a tab that is alone reconnects when it comes out of the bfcache', shared(async ({ open, server }) => {
  const page = await open();
  await allInSync([page], server, 'before');
  assert.equal(await away(page, async () => {
    await server.settled(0, 'a page in the bfcache holds no socket');
    await server.session.set('news', 1);
  }), true);
  await page.evaluate(() => until(async () => (await me.get('news')) === 1, 'what happened meanwhile'));
  assert.deepEqual([server.seen.now, server.seen.ever, server.seen.most], [1, 2, 1]);
}));

test('a reloaded leader leaves no second socket behind', shared(async ({ open, join, server }) => {
  const pages = [await open(), await open()];
  await allInSync(pages, server, 'before');
  for (let visit = 0; visit < 3; visit += 1) {
    await pages[0].reload();
    await loaded(pages[0]);
    await join(pages[0]);
    await allInSync(pages, server, `visit ${visit}`);
  }
  assert.deepEqual([server.seen.now, server.seen.most], [1, 1]);
}));

test('a tab with a WebSocket of its own reconnects at once when it comes out of the bfcache', shared(async ({ tab, server }) => {
  const page = await tab();
  await page.evaluate(() => start({ connect: es.webSocket(location.origin.replace('http', 'ws'), { maxDelay: '1h' }) }));
  await allInSync([page], server, 'before');
  assert.equal(await away(page, () => server.session.set('news', 1)), true, 'an open socket does not keep it out of the bfcache');
  await page.evaluate(() => until(async () => (await me.get('news')) === 1, 'what happened meanwhile'));
  await allInSync([page], server, 'after');
  assert.equal(server.seen.ever, 2);
}));
