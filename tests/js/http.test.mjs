// A link by requests and responses: it polls, sends news at once, and pauses after failures.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { http } from 'edge-session';
import { serve } from './server.mjs';
import { DEADLINE, SECRET, next, open, openAll, peers, rejection, thrown, within } from './support.mjs';

async function arrives(from, to, key, value) {
  const writer = from.session();
  await writer.set(key, value);
  const reader = to.session({ token: await writer.sealed(), timeout: DEADLINE });
  assert.deepEqual(await within(reader.get(key), `${key} from ${from.id} at ${to.id}`), value);
}

const state = async (replica, link, wanted) => link.state === wanted || next(replica, 'link', (event) => event.state === wanted);

function errorsOf(replica) {
  const told = [];
  replica.on('error', (error) => told.push(error));
  return told;
}

async function both(t, options = {}) {
  const [tab, edge] = await openAll(t, ['tab', 'edge']);
  const server = await serve(t, edge);
  const url = server.url.replace('ws:', 'http:');
  return { tab, edge, server, url, transport: http(url, { every: 20, maxDelay: 50, ...options }) };
}

test('a tab and an edge keep each other up to date by requests of the tab', async (t) => {
  const { tab, edge, transport } = await both(t);
  const link = tab.connect(transport);
  assert.equal(link.state, 'connecting');
  await within(link.ready, 'the link');
  await peers(tab, 1);
  assert.equal(tab.inspect().peers[0].replica, edge.id);
  await arrives(tab, edge, 'a', 1);
  await arrives(edge, tab, 'b', { n: 2 });
  await within(tab.synced({ timeout: DEADLINE }), 'the word of the edge');
});

test('what is written is sent at once, however seldom the server is asked', async (t) => {
  const { tab, edge, transport } = await both(t, { every: '1h' });
  tab.connect(transport);
  await peers(tab, 1);
  await arrives(tab, edge, 'a', 1);
  await within(tab.synced({ timeout: DEADLINE }), 'the word of the edge');
});

test('while nothing happens the server is asked every so often and not more', async (t) => {
  const { tab, server, transport } = await both(t, { every: '1h' });
  tab.connect(transport);
  await peers(tab, 1);
  await within(tab.synced({ timeout: DEADLINE }), 'nothing to say');
  // What follows from having met is over once nothing is asked for a while.
  let calls;
  do {
    calls = server.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 500));
  } while (server.calls.length !== calls);
  await new Promise((resolve) => setTimeout(resolve, 2_500)); // longer than the heartbeat of a socket
  assert.equal(server.calls.length, calls);
});

test('a state of several megabytes comes over in slices, both ways', async (t) => {
  const { tab, edge, transport } = await both(t);
  const [left, right] = [tab.session(), edge.session()];
  for (let n = 0; n < 90; n += 1) {
    left.sync.set(`left ${n}`, 'l'.repeat(100_000));
    right.sync.set(`right ${n}`, 'r'.repeat(100_000));
  }
  tab.connect(transport);
  await arrives(edge, tab, 'last', 1);
  await within(tab.synced({ timeout: DEADLINE }), 'the word of the edge');
  assert.equal(edge.session().sync.list({ prefix: 'left' }).length, 90);
  assert.equal(tab.session().sync.list({ prefix: 'right' }).length, 90);
});

test('a server that fails is asked again, with pauses, and what was written meanwhile arrives', async (t) => {
  const { tab, edge, server, transport } = await both(t);
  const errors = errorsOf(tab);
  const link = tab.connect(transport);
  await arrives(tab, edge, 'a', 1);
  for (const failure of [500, 429, 502]) {
    const lost = state(tab, link, 'retrying');
    server.admit = () => failure;
    await lost;
    assert.equal(link.error.code, 'TRANSPORT_FAILED');
    assert.equal(tab.status.online, false);
    await tab.session().set(`at ${failure}`, failure);
    server.admit = () => true;
    await arrives(edge, tab, `b ${failure}`, failure);
    await within(tab.synced({ timeout: DEADLINE }), 'the word of the edge');
    assert.equal(edge.session().peek(`at ${failure}`), failure);
  }
  const lost = state(tab, link, 'retrying');
  await server.stop();
  await lost;
  await server.start();
  await arrives(edge, tab, 'after the restart', 1);
  assert.deepEqual(errors, []);
});

test('a page in the place of an answer is no answer', async (t) => {
  const { tab, edge, server, url } = await both(t);
  let captive = true;
  const fetch = async (...args) => (captive ? new Response('<h1>Log in to the hotel</h1>', { headers: { 'Content-Type': 'text/html' } }) : globalThis.fetch(...args));
  const errors = errorsOf(tab);
  const link = tab.connect(http(new URL(url), { every: 20, maxDelay: 20, fetch }));
  await within(state(tab, link, 'retrying'), 'the failure');
  assert.equal(server.calls.length, 0);
  captive = false;
  await arrives(tab, edge, 'a', 1);
  assert.deepEqual(errors, []);
});

test('a token that is refused is told once, and nobody comes again before it is asked for', async (t) => {
  const { tab, edge, server, transport } = await both(t, { token: 'old' });
  const errors = errorsOf(tab);
  Object.assign(server, { admit: () => 401, reason: '{"code":"TOKEN_EXPIRED"}' });
  const link = tab.connect(transport);
  assert.equal((await rejection(link.ready)).code, 'TOKEN_EXPIRED');
  assert.equal(link.state, 'unauthorized');
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(server.calls, ['old']);
  server.admit = () => true;
  link.reconnect();
  await within(link.ready, 'the link after reconnect');
  await arrives(tab, edge, 'a', 1);
  assert.deepEqual(errors.map(({ code }) => code), ['TOKEN_EXPIRED']);
});

test('a token that has run out is replaced at once, and nobody hears of it', async (t) => {
  let minted = 1;
  const { tab, edge, server, transport } = await both(t, { token: () => `t${minted}` });
  const errors = errorsOf(tab);
  tab.connect(transport);
  await arrives(tab, edge, 'a', 1);
  minted = 2;
  server.admit = (token) => (token === 't1' ? 401 : true);
  await within(next(tab, 'link', ({ state }) => state === 'retrying'), 'the refusal');
  await arrives(edge, tab, 'b', 2);
  assert.deepEqual(errors, []);
  assert.equal(server.calls.at(-1), 't2');
});

test('while there is no other token the server is left in peace', async (t) => {
  let [token, asked] = ['bad', 0];
  const { tab, edge, server, transport } = await both(t, { token: () => ((asked += 1), token) });
  const errors = errorsOf(tab);
  server.admit = (given) => (given === 'good' ? true : 401);
  const link = tab.connect(transport);
  await rejection(link.ready);
  const before = asked;
  while (asked < before + 3) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(server.calls, ['bad']);
  token = 'good';
  await arrives(tab, edge, 'a', 1);
  assert.deepEqual(errors.map(({ code }) => code), ['TOKEN_INVALID']);
});

test('who may not come in is told so, and the link is closed', async (t) => {
  const { tab, server, transport } = await both(t);
  const errors = errorsOf(tab);
  server.admit = () => 403;
  const link = tab.connect(transport);
  assert.equal((await rejection(link.ready)).code, 'PERMISSION_DENIED');
  assert.equal(link.state, 'closed');
  assert.equal(errors.length, 1);
  assert.equal(server.calls.length, 1);
});

test('one request is under way at a time, and closing gives it up', async (t) => {
  const { tab, edge, url } = await both(t);
  let [busy, most, given] = [0, 0, 0];
  const fetch = async (address, init) => {
    most = Math.max(most, (busy += 1));
    init.signal.addEventListener('abort', () => (given += 1));
    try {
      return await globalThis.fetch(address, init);
    } finally {
      busy -= 1;
    }
  };
  const link = tab.connect(http(url, { every: 1, fetch }));
  await peers(tab, 1);
  const session = tab.session();
  for (let n = 0; n < 300; n += 1) {
    session.sync.set(`k ${n}`, n);
    await new Promise(setImmediate);
  }
  await within(tab.synced({ timeout: DEADLINE }), 'the word of the edge');
  assert.equal(edge.session().sync.list({ prefix: 'k' }).length, 300);
  assert.equal(most, 1);
  while (busy === 0) await new Promise(setImmediate);
  link.close();
  assert.equal(given, 1);
});

for (const [what, from, to] of [['comes over', 'edge', 'tab'], ['is handed in', 'tab', 'edge']]) {
  test(`a large state ${what} by requests that take longer than the pause between them`, async (t) => {
    const { tab, edge, url } = await both(t);
    const replicas = { tab, edge };
    const source = replicas[from].session();
    for (let n = 0; n < 40; n += 1) source.sync.set(`key ${n}`, 'v'.repeat(100_000));
    let asked = 0;
    const fetch = async (address, init) => {
      asked += 1;
      await new Promise((resolve) => setTimeout(resolve, 150));
      return globalThis.fetch(address, init);
    };
    tab.connect(http(url, { every: 10, fetch }));
    const target = replicas[to].session({ token: await source.sealed(), timeout: DEADLINE });
    await within(target.get('key 39'), 'the whole');
    assert.equal(target.sync.list({ prefix: 'key' }).length, 40);
    assert.ok(asked <= 24, `${asked} requests for four megabytes`);
  });
}

for (const [what, from, to] of [['comes over', 'edge', 'tab'], ['is handed in', 'tab', 'edge']]) {
  test(`a large state ${what} by a network on which a request takes longer than a server may be silent`, async (t) => {
    const { tab, edge, url } = await both(t);
    // How long is waited is seen by the timer that is set right before; nobody waits here.
    const { setTimeout } = globalThis;
    t.after(() => Object.assign(globalThis, { setTimeout }));
    let patience = 0;
    globalThis.setTimeout = (run, ms, ...rest) => setTimeout(run, (patience = ms), ...rest);
    const carry = (bytes) => {
      const kilobitsASecond = 128;
      if (bytes * 8 / kilobitsASecond > patience) throw new Error('it was not waited for');
    };
    let longest = 0;
    const fetch = async (address, init) => {
      carry(init.body.byteLength);
      const response = await globalThis.fetch(address, init);
      const body = await response.arrayBuffer();
      longest = Math.max(longest, init.body.byteLength, body.byteLength);
      return { status: response.status, headers: response.headers, text: async () => '', arrayBuffer: async () => (carry(body.byteLength), body) };
    };
    const source = { tab, edge }[from].session();
    for (let n = 0; n < 20; n += 1) source.sync.set(`key ${n}`, 'v'.repeat(100_000));
    tab.connect(http(url, { every: 10, maxDelay: 50, fetch }));
    const target = { tab, edge }[to].session({ token: await source.sealed(), timeout: DEADLINE });
    await within(target.get('key 19'), 'the whole');
    assert.ok(longest > 16 * 30_000, `${longest} bytes`);
  });
}

test('arguments that make no sense are refused before anything is done', () => {
  for (const call of [() => http('ws://'), () => http('ftp://example.org'), () => http('http://example.org', { every: 'often' }), () => http('http://example.org', { fetch: 1 }), () => http('http://example.org', { token: 'a b' })]) {
    assert.equal(thrown(call).code, 'ARGUMENT_INVALID');
  }
});

test('before a token ends the requests come with a later one, and none is refused', async (t) => {
  const [tab, edge] = [await open(t, { id: 'tab' }), await open(t, { id: 'edge', secret: SECRET, session: { tokenExpiresIn: '4s' } })];
  const server = await serve(t, edge);
  const ann = edge.session({ user: 'ann' });
  let refused = 0;
  server.admit = (token) => edge.inspectToken(token).expiresAt > Date.now() || ((refused += 1), 401);
  tab.connect(http(server.url.replace('ws', 'http'), { every: 50, token: () => ann.sealed() }));
  for (let n = 0; new Set(server.calls).size < 3; n += 1) {
    await arrives(n % 2 ? tab : edge, n % 2 ? edge : tab, 'a', n);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(refused, 0);
});

test('a later token that does not come keeps nothing waiting while the one in hand is good', async (t) => {
  const [tab, edge] = [await open(t, { id: 'tab' }), await open(t, { id: 'edge', secret: SECRET, session: { tokenExpiresIn: '1h' } })];
  const server = await serve(t, edge);
  const ann = edge.session({ user: 'ann' });
  let asked = 0;
  tab.connect(http(server.url.replace('ws', 'http'), { every: 50, token: () => ((asked += 1) === 1 ? ann.sealed() : new Promise(() => {})) }));
  await arrives(tab, edge, 'a', 1);
  const { now } = Date;
  t.mock.method(Date, 'now', () => now() + 50 * 60_000);
  while (asked === 1) await new Promise((resolve) => setTimeout(resolve, 10));
  await arrives(tab, edge, 'a', 2);
  await arrives(edge, tab, 'a', 3);
  assert.equal(asked, 2);
});
