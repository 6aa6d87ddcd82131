// IndexedDB in Chromium passes the conformance suite of storage adapters. Every adapter lives in a frame of its own, and dies
// with it, as a tab's does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loaded, start, withTabs } from './place.mjs';

/** Makes the bench of the suite in the page. */
async function lay(page) {
  await page.evaluate(async () => {
    const { storageCases } = await import('/pkg/testing.js');
    const frames = new Map();
    let places = 0;
    const done = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = request.onblocked = () => reject(request.error ?? new Error('blocked'));
    });
    const database = (state) => `edge-session/${state}`;
    const within = async (state, work) => {
      const db = await done(indexedDB.open(database(state)));
      const tx = db.transaction(['state', 'log'], 'readwrite');
      await work(tx);
      await new Promise((resolve) => (tx.oncomplete = resolve));
      db.close();
    };
    const free = (state) => until(async () => (await navigator.locks.query()).held.every(({ name }) => name !== database(state)), 'the lock dies with its frame');
    const bench = {
      create: () => `place-${(places += 1)}`,
      async open(state) {
        const frame = document.body.appendChild(document.createElement('iframe'));
        frame.src = '/frame';
        await until(() => frame.contentWindow?.ready === true, 'the frame');
        const adapter = frame.contentWindow.es.idb(state, { exclusive: true });
        frames.set(adapter, frame);
        return adapter;
      },
      async kill(state, adapter) {
        frames.get(adapter).remove();
        frames.delete(adapter);
        await free(state);
      },
      // As a full disk does it: the transaction is undone when it is to be committed.
      fail(state, adapter, failing) {
        const { prototype } = frames.get(adapter).contentWindow.IDBTransaction;
        if (failing) Object.defineProperty(prototype, 'commit', { configurable: true, value: prototype.abort });
        else Object.defineProperty(prototype, 'commit', { configurable: true, value: IDBTransaction.prototype.commit });
      },
      corrupt: (state, record) => within(state, async (tx) => {
        const log = tx.objectStore('log');
        const row = await done(tx.objectStore('state').get('slot'));
        const since = IDBKeyRange.lowerBound(row.base);
        const [keys, groups] = [await done(log.getAllKeys(since)), await done(log.getAll(since))];
        let left = record;
        for (const [index, group] of groups.entries()) {
          if (left < group.lengths.length) {
            const at = group.lengths.slice(0, left).reduce((sum, length) => sum + length, 0);
            group.body[at + (group.lengths[left] >> 1)] ^= 1;
            await done(log.put(group, keys[index]));
            return;
          }
          left -= group.lengths.length;
        }
        throw new Error('there is no such record');
      }),
      async copy(state) {
        const copy = bench.create();
        const other = await bench.open(copy);
        const unlock = await other.lock();
        await other.load();
        await other.close();
        unlock();
        const rows = {};
        await within(state, async (tx) => {
          for (const store of ['state', 'log']) rows[store] = [await done(tx.objectStore(store).getAllKeys()), await done(tx.objectStore(store).getAll())];
        });
        await within(copy, async (tx) => {
          for (const store of ['state', 'log']) {
            await done(tx.objectStore(store).clear());
            for (const [index, key] of rows[store][0].entries()) await done(tx.objectStore(store).put(rows[store][1][index], key));
          }
        });
        return copy;
      },
      async remove(state) {
        for (const frame of frames.values()) frame.remove();
        frames.clear();
        await free(state);
        await done(indexedDB.deleteDatabase(database(state)));
      },
    };
    window.cases = storageCases(bench);
  });
}

test('IndexedDB passes the conformance suite', { timeout: 280_000 }, (t) => withTabs(async ({ tab }) => {
  const page = await tab();
  await lay(page);
  const cases = await page.evaluate(() => cases.map(({ name, skip }) => ({ name, skip })));
  assert.ok(cases.length > 15);
  for (const [index, { name, skip }] of cases.entries()) {
    await t.test(name, { skip }, () => page.evaluate((number) => cases[number].run(), index));
  }
}));

test('when the quota is used up the replica goes on from memory, says so, and stores it all when there is room', () => withTabs(async ({ context, tab, url }) => {
  const page = await tab();
  const devtools = await context.newCDPSession(page);
  const { origin } = new URL(url);
  await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 1 << 20 });
  const id = await start(page);
  await page.evaluate(() => { window.states = []; db.on('status', ({ persisted }) => states.push(persisted)); });
  const stored = await page.evaluate(async () => {
    const filler = () => Array.from(crypto.getRandomValues(new Uint8Array(60_000)), (byte) => String.fromCharCode(32 + (byte % 90))).join('');
    for (let n = 0; ; n += 1) {
      try {
        await me.set(`k${n}`, filler(), { timeout: 3_000 });
      } catch (error) {
        return { last: n, code: error.code, length: (await me.get(`k${n}`)).length };
      }
    }
  });
  assert.equal(stored.code, 'TIMEOUT', 'nothing is acknowledged that is not stored');
  assert.equal(stored.length, 60_000, 'its session sees what is not');
  assert.ok(stored.last > 3, `${stored.last} were stored`);
  assert.deepEqual(await page.evaluate(() => [db.status.persisted, states.includes(false), errors.map(([code]) => code)]), [false, true, ['STORAGE_FAILED']]);
  await devtools.send('Storage.overrideQuotaForOrigin', { origin });
  await page.evaluate(() => until(() => db.status.persisted, 'storage works again'));
  await page.reload();
  await loaded(page);
  assert.equal(await start(page), id);
  assert.equal(await page.evaluate(async (last) => (await me.get(`k${last}`)).length, stored.last), 60_000);
}));

test('commits are strict unless the application chooses otherwise, and a group is one commit', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const begun = await page.evaluate(async () => {
    const { transaction } = IDBDatabase.prototype;
    const count = async (durability) => {
      const begun = [];
      IDBDatabase.prototype.transaction = function (stores, mode, options) {
        begun.push(`${mode} ${options?.durability}`);
        return transaction.call(this, stores, mode, options);
      };
      await start({ storage: es.idb(`durability-${durability}`, durability && { durability }) });
      begun.length = 0;
      await Promise.all(Array.from({ length: 300 }, (_, n) => me.set(`k${n}`, n)));
      return begun;
    };
    return [await count(undefined), await count('relaxed')];
  });
  for (const [index, durability] of ['strict', 'relaxed'].entries()) {
    assert.deepEqual([...new Set(begun[index])], [`readwrite ${durability}`]);
    assert.ok(begun[index].length <= 3, `${begun[index].length} commits of 300 writes`);
  }
}));
