// IndexedDB that fails in a real Chromium: files that are gone, connections that are lost when nobody knows whether what was written is
// stored, pages that write into what is somebody else's.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { LAUNCH, away, forget, get, loaded, put, serve, slots, start, stop, tabIn, vector, withTabs } from './place.mjs';

const told = (page) => page.evaluate(() => errors.map(([code]) => code));

for (const [how, spoil] of [['shortened', (file) => truncate(file, 1_000)], ['removed', (file) => rm(file)]]) {
  test(`a snapshot whose file was ${how} is named, what else there is stays, and the next opening begins in another slot`, async () => {
    const [place, profile] = [await serve(), await mkdtemp(join(tmpdir(), 'edge-session-profile-'))];
    let context = await chromium.launchPersistentContext(profile, LAUNCH);
    try {
      let page = await tabIn(context, place.url);
      const id = await start(page);
      await page.evaluate(async () => {
        for (let n = 0; n < 30; n += 1) await me.set(`k${n}`, Array.from(crypto.getRandomValues(new Uint8Array(60_000)), (byte) => String.fromCharCode(33 + (byte % 90))).join(''));
      });
      await stop(page);
      await context.close();
      // Chromium keeps large values in files of their own.
      const files = (await readdir(profile, { recursive: true, withFileTypes: true })).filter((file) => file.isFile() && file.parentPath.includes('.indexeddb.blob'));
      assert.ok(files.length > 0);
      for (const file of files) await spoil(join(file.parentPath, file.name));
      context = await chromium.launchPersistentContext(profile, LAUNCH);
      page = await tabIn(context, place.url);
      const refused = await page.evaluate(() => start().then(() => ({ code: 'none' }), ({ code, message, details }) => ({ code, message, details })));
      assert.equal(refused.code, 'STORAGE_FAILED');
      assert.match(refused.message, /edge-session\/shop\/0.*cannot read/);
      assert.equal(refused.details.database, 'edge-session/shop/0');
      assert.notEqual(await start(page), id);
      assert.equal(await page.evaluate(() => db.status.persisted), true);
      await put(page, 'after', 1);
      assert.deepEqual(await slots(page), [0, 1]);
      // It is not tried again by those who come later, nor taken over.
      const other = await tabIn(context, place.url);
      await start(other);
      assert.equal(await other.evaluate(() => db.status.persisted), true);
      assert.deepEqual(await slots(other), [0, 1, 2]);
      await other.waitForTimeout(4_000);
      assert.deepEqual([await told(page), await told(other)], [[], []]);
    } finally {
      await context.close();
      await place.close();
      await forget(profile);
    }
  });
}

test('a page that was overtaken cannot put its snapshot in the place of what came after it', () => withTabs(async ({ tab }) => {
  const [page, thief] = [await tab(), await tab()];
  const take = (each) => each.evaluate(async () => {
    window.adapter = es.idb('one', { exclusive: true });
    if ((await adapter.lock()) === null) throw new Error('it is locked');
    const { snapshot, records } = await adapter.load();
    return [snapshot, records.map((record) => [...record])];
  });
  await take(page);
  await page.evaluate(() => adapter.append([Uint8Array.of(1)]));
  await thief.evaluate(() => new Promise((done) => {
    navigator.locks.request('edge-session/one', { steal: true }, () => { done(); });
  }));
  assert.deepEqual(await take(thief), [null, [[1]]]);
  await thief.evaluate(() => adapter.append([Uint8Array.of(2)]));
  assert.equal(await page.evaluate(() => adapter.compact(Uint8Array.of(9)).then(() => 'stored', () => 'refused')), 'refused');
  await thief.evaluate(() => adapter.append([Uint8Array.of(3)]));
  await thief.evaluate(() => adapter.compact(Uint8Array.of(7)));
  await thief.evaluate(() => adapter.append([Uint8Array.of(4)]));
  await thief.close();
  const later = await tab();
  await later.evaluate(() => until(async () => (await navigator.locks.query()).held.length === 0, 'the lock is free'));
  const [snapshot, records] = await take(later);
  assert.deepEqual([Object.values(snapshot), records], [[7], [[4]]]);
}));

for (const written of ['a record', 'a snapshot']) {
  test(`a connection that is lost when ${written} was stored, and nobody heard of it, is opened again, and the replica goes on`, () => withTabs(async ({ tab }) => {
    const page = await tab();
    const id = await start(page);
    await put(page, 'before', 1);
    await page.evaluate((snapshot) => {
      const { commit } = IDBTransaction.prototype;
      let armed = true;
      IDBTransaction.prototype.commit = function () {
        commit.call(this);
        if (!armed || (snapshot && !window.large)) return;
        armed = false;
        queueMicrotask(() => this.db.dispatchEvent(new Event('close')));
      };
      // The transaction of the snapshot is the one that deletes.
      const { put: puts } = IDBObjectStore.prototype;
      IDBObjectStore.prototype.put = function (value, key) {
        if (key === 'snapshot') window.large = true;
        return puts.call(this, value, key);
      };
    }, written === 'a snapshot');
    if (written === 'a snapshot') await page.evaluate(async () => { for (let n = 0; n < 25; n += 1) await me.set('same', 'x'.repeat(60_000) + n); });
    await put(page, 'lost', 2);
    await put(page, 'after', 3);
    assert.equal(await page.evaluate(() => db.id), id);
    assert.deepEqual(new Set(await told(page)), new Set(['STORAGE_FAILED']));
    assert.equal(await page.evaluate(() => db.status.persisted), true);
    const held = await vector(page);
    await page.reload();
    await loaded(page);
    assert.equal(await start(page), id);
    assert.deepEqual([await get(page, 'before'), await get(page, 'lost'), await get(page, 'after')], [1, 2, 3]);
    assert.deepEqual(await vector(page), held);
  }));
}

test('a database that was deleted, and whose place is refused at first, is stored anew when it is not', () => withTabs(async ({ tab }) => {
  const [page, other] = [await tab(), await tab()];
  const id = await start(page);
  await put(page, 'before', 1);
  await other.evaluate(() => new Promise((done, fail) => Object.assign(indexedDB.deleteDatabase('edge-session/shop/0'), { onsuccess: done, onerror: fail })));
  await page.evaluate(() => {
    const { put: puts } = IDBObjectStore.prototype;
    let refusals = 2;
    IDBObjectStore.prototype.put = function (...args) {
      if ((refusals -= 1) >= 0) throw new DOMException('full', 'QuotaExceededError');
      return puts.apply(this, args);
    };
  });
  await put(page, 'after', 2);
  const renewed = await page.evaluate(() => db.id);
  assert.notEqual(renewed, id);
  await page.reload();
  await loaded(page);
  assert.equal(await start(page), renewed);
  assert.deepEqual([await get(page, 'before'), await get(page, 'after')], [1, 2]);
}));

for (const how of ['is undone', 'finds no memory']) {
  test(`a snapshot that ${how} in the middle is as if it had not been begun, and the log goes on`, () => withTabs(async ({ tab }) => {
    const page = await tab();
    const id = await start(page);
    const refused = await page.evaluate(async (undone) => {
      window.addEventListener('unhandledrejection', ({ reason }) => errors.push(['UNHANDLED', String(reason)]));
      const { put: puts } = IDBObjectStore.prototype;
      let refusals = 0;
      IDBObjectStore.prototype.put = function (...args) {
        if (args[1] !== 'snapshot') return puts.apply(this, args);
        refusals += 1;
        // As engines refuse what they cannot copy.
        if (!undone) throw new DOMException('out of memory', 'DataCloneError');
        const request = puts.apply(this, args);
        this.transaction.abort();
        return request;
      };
      for (let n = 0; n < 48; n += 1) await me.set(`k${n}`, `${n}`.repeat(30_000));
      IDBObjectStore.prototype.put = puts;
      return refusals;
    }, how === 'is undone');
    assert.ok(refused > 0);
    assert.deepEqual(await told(page), Array(refused).fill('STORAGE_FAILED'));
    assert.equal(await page.evaluate(() => db.status.persisted), true);
    await page.reload();
    await loaded(page);
    assert.equal(await start(page), id);
    assert.deepEqual(await vector(page), { [id]: 48 });
  }));
}

test('a page that comes back and whose storage does not answer ends its replica, and lets go of everything', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const id = await start(page);
  await put(page, 'before', 1);
  await page.evaluate(() => {
    const { transaction } = IDBDatabase.prototype;
    addEventListener('pageshow', () => { IDBDatabase.prototype.transaction = () => { throw new DOMException('an internal error', 'UnknownError'); }; });
    window.heal = () => { IDBDatabase.prototype.transaction = transaction; };
  });
  assert.equal(await away(page), true);
  assert.equal(await page.evaluate(() => me.set('after', 2).catch(({ code }) => code)), 'STORAGE_FAILED');
  assert.deepEqual(await told(page), ['STORAGE_FAILED']);
  assert.equal(await page.evaluate(() => db.close().then(() => 'closed', ({ code }) => code)), 'closed');
  assert.deepEqual(await page.evaluate(async () => (await navigator.locks.query()).held.map(({ name }) => name)), []);
  await page.evaluate(() => heal());
  assert.equal(await start(page), id);
  assert.equal(await get(page, 'before'), 1);
}));
