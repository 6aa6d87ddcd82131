// Never a dot twice: which replica a tab gets, in real tabs that are reloaded, duplicated, restored, put aside, frozen, and whose
// storage is lost or taken.
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { LAUNCH, away, forget, get, loaded, put, serve, slots, start, stop, sync, tabIn, vector, withFreezableTabs, withTabs } from './place.mjs';

test('a reloaded tab gets its own id back, and its data', () => withTabs(async ({ tab }) => {
  const [first, second] = [await tab(), await tab()];
  const ids = [await start(first), await start(second)];
  assert.notEqual(ids[0], ids[1]);
  await put(second, 'cart', ['book']);
  for (let visit = 0; visit < 3; visit += 1) {
    await second.reload();
    await loaded(second);
    assert.equal(await start(second), ids[1]);
    assert.deepEqual(await get(second, 'cart'), ['book']);
    assert.equal(await second.evaluate(() => db.status.persisted), true);
    await put(second, `visit ${visit}`, visit);
  }
  assert.deepEqual(await vector(second), { [ids[1]]: 4 });
  assert.deepEqual(await slots(first), [0, 1]);
}));

test('a reload in the middle of writing goes on with the same id, and nothing acknowledged is missing', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'first', 1);
  for (let visit = 0; visit < 3; visit += 1) {
    const written = await page.evaluate(async (visit) => {
      let acknowledged = -1;
      window.writing = (async () => {
        for (let n = 0; ; n += 1) {
          await me.set(`${visit}/${n}`, n);
          sessionStorage.setItem('acknowledged', `${n}`);
        }
      })();
      await until(() => Number(sessionStorage.getItem('acknowledged') ?? -1) > 20, 'twenty writes');
      return acknowledged;
    }, visit);
    assert.equal(written, -1);
    await page.reload();
    await loaded(page);
    assert.equal(await start(page), id);
    const lost = await page.evaluate(async (visit) => {
      const last = Number(sessionStorage.getItem('acknowledged'));
      sessionStorage.removeItem('acknowledged');
      const missing = [];
      for (let n = 0; n <= last; n += 1) if ((await me.get(`${visit}/${n}`)) !== n) missing.push(n);
      return missing;
    }, visit);
    assert.deepEqual(lost, []);
  }
}));

test('a tab opened by another copies its sessionStorage and gets an id of its own', () => withTabs(async ({ context, tab }) => {
  const first = await tab();
  const id = await start(first);
  await put(first, 'by', 'first');
  const opening = context.waitForEvent('page');
  await first.evaluate(() => void window.open(location.href));
  const second = await opening;
  await loaded(second);
  assert.equal(await second.evaluate(() => sessionStorage.getItem('edge-session/shop')), 'edge-session/shop/0', 'the wish was copied');
  const other = await start(second);
  assert.notEqual(other, id);
  await Promise.all([put(first, 'a', 1), put(second, 'b', 2)]);
  await sync(first, second);
  for (const page of [first, second]) assert.deepEqual([await get(page, 'a'), await get(page, 'b')], [1, 2]);
  for (const [page, own] of [[second, other], [first, id]]) {
    await page.reload();
    await loaded(page);
    assert.equal(await start(page), own, 'after a reload each has its own again');
  }
}));

test('two replicas that open at the same moment, in one tab or in two, never share a slot', () => withTabs(async ({ tab }) => {
  const pages = await Promise.all([tab(), tab(), tab()]);
  const ids = await Promise.all(pages.map((page) => page.evaluate(async () => {
    const open = await Promise.all([0, 1, 2].map(() => es.openReplica({ storage: es.idb('shop') })));
    window.replicas = open;
    return open.map(({ id }) => id);
  })));
  assert.equal(new Set(ids.flat()).size, 9);
  assert.deepEqual(await slots(pages[0]), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}));

test('the slot of a closed tab is used again, with its id', () => withTabs(async ({ tab }) => {
  const [first, second] = [await tab(), await tab()];
  const ids = [await start(first), await start(second)];
  await put(first, 'k', 1);
  await put(second, 'k', 2);
  await first.close();
  const third = await tab();
  assert.equal(await start(third), ids[0]);
  await stop(second);
  const fourth = await tab();
  assert.equal(await start(fourth), ids[1], 'close() lets go as well');
  assert.deepEqual(await slots(third), [0, 1]);
}));

test('tabs that are restored when the browser starts again come back as who they were', async () => {
  const [place, profile] = [await serve(), await mkdtemp(join(tmpdir(), 'edge-session-profile-'))];
  const launch = (args) => chromium.launchPersistentContext(profile, { ...LAUNCH, args: [...LAUNCH.args, ...args] });
  let context = await launch([]);
  try {
    const pages = [await tabIn(context, `${place.url}?one`), await tabIn(context, `${place.url}?two`)];
    const ids = {};
    for (const page of pages) ids[new URL(page.url()).search] = await start(page);
    await put(pages[0], 'who', 'one');
    await put(pages[1], 'who', 'two');
    // Chromium writes the session's file now and then; a tab's sessionStorage is there once it does.
    await pages[0].waitForTimeout(6_000);
    await context.close();
    context = await launch(['--restore-last-session']);
    const restored = () => context.pages().filter((page) => page.url().startsWith(place.url));
    for (const end = Date.now() + 30_000; restored().length < 2 && Date.now() < end;) await new Promise((rest) => setTimeout(rest, 100));
    assert.equal(restored().length, 2, 'Chromium restored both tabs');
    for (const page of restored().reverse()) {
      await loaded(page);
      const search = new URL(page.url()).search;
      assert.equal(await start(page), ids[search], search);
      assert.equal(await get(page, 'who'), search.slice(1));
    }
  } finally {
    await context.close();
    await place.close();
    await forget(profile);
  }
});

test('a tab whose data was deleted, and that still remembers its slot, gets a new id', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'k', 1);
  await stop(page);
  await page.evaluate(() => new Promise((done, fail) => Object.assign(indexedDB.deleteDatabase('edge-session/shop/0'), { onsuccess: done, onerror: fail, onblocked: fail })));
  await page.reload();
  await loaded(page);
  assert.equal(await page.evaluate(() => sessionStorage.getItem('edge-session/shop')), 'edge-session/shop/0');
  assert.notEqual(await start(page), id);
  assert.equal(await get(page, 'k'), undefined);
}));

test('site data that is cleared under a running replica is stored anew, under a new id', () => withTabs(async ({ context, tab, url }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'k', 1);
  const devtools = await context.newCDPSession(page);
  await devtools.send('Storage.clearDataForOrigin', { origin: new URL(url).origin, storageTypes: 'indexeddb' });
  await put(page, 'l', 2);
  const renewed = await page.evaluate(() => db.id);
  assert.notEqual(renewed, id);
  assert.equal(await page.evaluate(() => db.status.persisted), true);
  await page.reload();
  await loaded(page);
  assert.equal(await start(page), renewed);
  assert.deepEqual([await get(page, 'k'), await get(page, 'l')], [1, 2]);
}));

test('site data that is cleared while much is written is stored anew, and every write is confirmed', () => withTabs(async ({ context, tab, url }) => {
  const page = await tab();
  const devtools = await context.newCDPSession(page);
  for (let round = 0; round < 6; round += 1) {
    const id = await start(page);
    // Until the replica is another one, and then some more: what was on its way meanwhile is confirmed as well.
    const writing = page.evaluate(async (before) => {
      let count = 0;
      for (let more = 20; more > 0; count += 1) {
        await me.set(`n${count % 10}`, count);
        if (db.id !== before) more -= 1;
      }
      return count;
    }, id);
    await devtools.send('Storage.clearDataForOrigin', { origin: new URL(url).origin, storageTypes: 'indexeddb' });
    const count = await writing;
    await page.reload();
    await loaded(page);
    await start(page);
    for (let n = 1; n <= 10; n += 1) assert.equal(await get(page, `n${(count - n) % 10}`), count - n);
    await stop(page);
  }
}));

test('a tab that comes out of the bfcache goes on as who it was', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'before', 1);
  assert.equal(await away(page), true, 'a page with an open replica is kept in the bfcache');
  await put(page, 'after', 2);
  assert.equal(await page.evaluate(() => db.id), id);
  assert.deepEqual(await page.evaluate(() => [errors, events]), [[], []]);
  await page.reload();
  await loaded(page);
  assert.equal(await start(page), id);
  assert.deepEqual([await get(page, 'before'), await get(page, 'after')], [1, 2]);
}));

test('a tab whose slot was taken while it lay in the bfcache takes another one, and a new id', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'before', 1);
  let other;
  assert.equal(await away(page, async () => {
    other = await tab();
    assert.equal(await start(other), id, 'the slot is free, and lives on in the other tab');
    await put(other, 'meanwhile', 2);
  }), true);
  // At once, before it can know.
  await put(page, 'after', 3);
  const renewed = await page.evaluate(() => db.id);
  assert.notEqual(renewed, id);
  await sync(page, other);
  for (const each of [page, other]) assert.deepEqual([await get(each, 'before'), await get(each, 'meanwhile'), await get(each, 'after')], [1, 2, 3]);
  assert.deepEqual(await page.evaluate(() => errors), []);
  await page.reload();
  await loaded(page);
  assert.equal(await start(page), renewed);
  assert.deepEqual([await get(page, 'before'), await get(page, 'after')], [1, 3], 'all of it is in the new slot');
  assert.deepEqual(await slots(page), [0, 1]);
}));

test('a write in the very moment of the return goes under a new id, because it could not wait to know', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'before', 1);
  await page.evaluate(() => addEventListener('pageshow', () => { me.sync.set('moment', 2); }));
  assert.equal(await away(page), true);
  await put(page, 'after', 3);
  const [renewed, told] = await page.evaluate(() => [db.id, events]);
  assert.deepEqual(told, [{ old: id, new: renewed }]);
  assert.deepEqual(await vector(page), { [id]: 1, [renewed]: 2 });
  await page.reload();
  await loaded(page);
  assert.equal(await start(page), renewed);
  assert.deepEqual([await get(page, 'moment'), await get(page, 'after')], [2, 3]);
}));

test('a frozen tab keeps its slot, and goes on when it is resumed', () => withFreezableTabs(async ({ tab, freeze }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'before', 1);
  const resume = await freeze(page);
  const other = await tab();
  assert.notEqual(await start(other), id);
  await put(other, 'meanwhile', 2);
  await resume();
  await put(page, 'after', 3);
  assert.equal(await page.evaluate(() => db.id), id);
  await sync(page, other);
  for (const each of [page, other]) assert.deepEqual([await get(each, 'before'), await get(each, 'meanwhile'), await get(each, 'after')], [1, 2, 3]);
}));

test('a tab whose lock was stolen can store nothing more, and says so', () => withTabs(async ({ tab }) => {
  const [page, thief] = [await tab(), await tab()];
  const id = await start(page);
  await put(page, 'before', 1);
  await thief.evaluate(() => new Promise((done) => {
    navigator.locks.request('edge-session/shop/0', { steal: true }, () => { done(); });
  }));
  assert.equal(await start(thief), id, 'the thief lives under the same id');
  await put(thief, 'mine', 2);
  const refused = await page.evaluate(() => me.set('late', 3).catch((error) => error.code));
  assert.equal(refused, 'STORAGE_FAILED');
  assert.deepEqual(await page.evaluate(() => errors.map(([code]) => code)), ['STORAGE_FAILED']);
  assert.equal(await page.evaluate(() => { try { return db.session(); } catch (error) { return error.code; } }), 'STORAGE_FAILED');
  assert.equal(await get(thief, 'late'), undefined);
  assert.deepEqual(await vector(thief), { [id]: 2 });
}));

test('what a closed tab has left unsent is taken over by the next one, once', () => withTabs(async ({ tab }) => {
  const [first, second] = [await tab(), await tab()];
  const ids = [await start(first), await start(second)];
  await put(first, 'own', 1);
  await put(second, 'unsent', 'order');
  await second.close();
  await first.reload();
  await loaded(first);
  assert.equal(await start(first), ids[0]);
  await first.evaluate(() => until(async () => (await me.get('unsent')) === 'order', 'the write of the closed tab'));
  assert.deepEqual(await vector(first), { [ids[0]]: 1, [ids[1]]: 1 });
  await first.evaluate(() => db.flush());
  const taken = () => first.evaluate(() => new Promise((resolve) => {
    const opening = indexedDB.open('edge-session/shop/1');
    opening.onsuccess = () => {
      const reading = opening.result.transaction('state').objectStore('state').get('slot');
      reading.onsuccess = () => { opening.result.close(); resolve(reading.result.absorbed); };
    };
  }));
  await first.evaluate(() => until(async () => (await navigator.locks.query()).held.every(({ name }) => name !== 'edge-session/shop/1'), 'the slot is let go of'));
  assert.equal(await taken(), 3, 'one number for the opening, one for the write');
  // The slot stays, for the next tab: ids are not wasted.
  const third = await tab();
  assert.equal(await start(third), ids[1]);
}));

test('a damaged slot is named, what it holds stays, and the next opening begins in another', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'a', 1);
  await put(page, 'b', 2);
  await put(page, 'c', 3);
  await stop(page);
  await page.evaluate(() => new Promise((done) => {
    const opening = indexedDB.open('edge-session/shop/0');
    opening.onsuccess = () => {
      const tx = opening.result.transaction('log', 'readwrite');
      tx.objectStore('log').delete(3);
      tx.oncomplete = () => { opening.result.close(); done(); };
    };
  }));
  const refused = await page.evaluate(() => start().catch(({ code, cause, message, details }) => ({ code, text: `${message} ${cause?.message}`, details: cause?.details ?? details })));
  assert.equal(refused.code, 'STORAGE_FAILED');
  assert.match(refused.text, /edge-session\/shop\/0.*record 1 .*missing/);
  assert.deepEqual([refused.details.database, refused.details.record], ['edge-session/shop/0', 1]);
  assert.notEqual(await start(page), id);
  await put(page, 'd', 4);
  assert.deepEqual(await slots(page), [0, 1]);
}));

test('a slot that a later version of the package has written is named and stays as it is, and the next opening begins in another', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'a', 1);
  await stop(page);
  await page.evaluate(() => new Promise((done) => {
    const opening = indexedDB.open('edge-session/shop/0', 9);
    opening.onsuccess = () => { opening.result.close(); done(); };
  }));
  const refused = await page.evaluate(() => start().catch(({ code, message, details, cause }) => ({ code, text: `${message} ${cause?.message}`, details: cause?.details ?? details })));
  assert.equal(refused.code, 'STORAGE_FAILED');
  assert.match(refused.text, /edge-session\/shop\/0.*later version/);
  assert.equal(refused.details.database, 'edge-session/shop/0');
  assert.notEqual(await start(page), id);
  assert.equal(await page.evaluate(() => db.status.persisted), true);
  await put(page, 'b', 2);
  const version = await page.evaluate(async () => (await indexedDB.databases()).find(({ name }) => name === 'edge-session/shop/0').version);
  assert.deepEqual([version, await slots(page)], [9, [0, 1]]);
  // Another tab is told as well, and then passes over what it cannot read and what the first one has.
  const other = await tab();
  assert.equal(await other.evaluate(() => start().catch(({ code }) => code)), 'STORAGE_FAILED');
  assert.notEqual(await start(other), await page.evaluate(() => db.id));
  assert.equal(await other.evaluate(() => db.status.persisted), true);
  await put(other, 'c', 3);
  assert.deepEqual(await slots(other), [0, 1, 2]);
}));

for (const missing of ['locks', 'indexedDB']) {
  test(`where there is no ${missing} the replica runs from memory, under a new id`, () => withTabs(async ({ context, tab }) => {
    await context.addInitScript((missing) => {
      if (missing === 'locks') Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });
      else Object.defineProperty(globalThis, 'indexedDB', { value: undefined });
    }, missing);
    const page = await tab();
    const id = await start(page);
    assert.equal(await page.evaluate(() => db.status.persisted), false);
    await put(page, 'k', 1);
    assert.equal(await get(page, 'k'), 1);
    await page.reload();
    await loaded(page);
    assert.notEqual(await start(page), id);
  }));
}

test('with `exclusive` the first has the replica, and the others are refused until it is gone', () => withTabs(async ({ tab }) => {
  const [first, second] = [await tab(), await tab()];
  const open = (page) => page.evaluate(() => es.openReplica({ storage: es.idb('one', { exclusive: true }) }).then((replica) => { window.db = replica; return replica.id; }, (error) => error.code));
  const id = await open(first);
  assert.equal(await open(second), 'STORAGE_FAILED');
  await first.evaluate(() => db.session().set('k', 1));
  await first.close();
  await second.evaluate(() => until(async () => (await navigator.locks.query()).held.length === 0, 'the lock is free'));
  assert.equal(await open(second), id);
}));
