// Disks that fail at a chosen moment, files that are missing or of another time: nothing that was durable vanishes without a word, and
// no dot is given twice.
import assert from 'node:assert/strict';
import files, { appendFile, cp, open as openFile, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { openReplica } from 'edge-session';
import { fileStorage } from 'edge-session/node';
import { copyDirectory, journalOf, keysOf, place, written } from './file-bench.mjs';
import { open, rejection } from './support.mjs';

// Elsewhere a file that is open has no methods that could be replaced.
const elsewhere = globalThis.Deno !== undefined || process.versions.bun !== undefined;

/** A directory with a snapshot, and records after it. */
async function compacted() {
  const { directory } = await written(1);
  const storage = fileStorage(directory);
  const unlock = await storage.lock();
  await storage.load();
  await storage.compact(Uint8Array.of(1));
  await storage.append([Uint8Array.of(2)]);
  await storage.close();
  unlock();
  return directory;
}

const names = async (directory) => (await readdir(directory)).filter((name) => !name.startsWith('lock.'));

/** Replaces a method of all files that are open, until the test ends or what is answered is called. */
async function replace(t, method, make) {
  const file = await openFile(new URL(import.meta.url));
  const prototype = Object.getPrototypeOf(file);
  await file.close();
  const whole = prototype[method];
  const restore = () => void (prototype[method] = whole);
  prototype[method] = make(whole);
  t.after(restore);
  return restore;
}

const broken = () => Promise.reject(Object.assign(new Error('input/output error'), { code: 'EIO' }));

test('a snapshot that is missing is named, and the journal that goes on from it stays', async () => {
  const directory = await compacted();
  await rm(join(directory, 'snapshot'));
  const error = await rejection(openReplica({ storage: fileStorage(directory) }));
  assert.equal(error.code, 'STORAGE_FAILED');
  assert.match(error.message, /snapshot is damaged at byte 0: it is missing, and journal\.1 goes on from it/);
  assert.equal(error.details.file, join(directory, 'snapshot'));
  assert.deepEqual(await names(directory), ['journal.1']);
});

test('an older state that was put over a newer one is not gone on with, and the newer log stays', async () => {
  const directory = await compacted();
  const older = await written(1);
  await cp(join(older.directory, 'journal.0'), join(directory, 'journal.0'));
  await rm(join(directory, 'snapshot'));
  const error = await rejection(openReplica({ storage: fileStorage(directory) }));
  assert.match(error.message, /journal\.1 is damaged at byte 0: it goes on from a snapshot that is not there/);
  assert.deepEqual(await names(directory), ['journal.0', 'journal.1']);
});

test('the last record that was damaged after all is lost, and its dot names no other write', async (t) => {
  for (const spoil of [
    async (file, bytes) => writeFile(file, bytes.with(bytes.length - 3, bytes.at(-3) ^ 1)),
    async (file, bytes) => truncate(file, bytes.length - 20),
  ]) {
    const { directory, id } = await written(3);
    const journal = join(directory, await journalOf(directory));
    await spoil(journal, await readFile(journal));
    const replica = await open(t, { storage: fileStorage(directory) });
    assert.notEqual(replica.id, id);
    await replica.session().set('later', 1);
    assert.deepEqual([keysOf(replica), replica.inspect().vectors.default], [['key 0', 'key 1', 'later'], { [id]: 2, [replica.id]: 1 }]);
    await replica.close();
    const again = await open(t, { storage: fileStorage(directory) });
    assert.equal(again.id, replica.id, 'it is known for whole from then on');
    assert.deepEqual(keysOf(again), ['key 0', 'key 1', 'later']);
  }
});

test('a torn tail that was seen and not yet written after is still one', async () => {
  const { directory } = await written(2);
  const journal = join(directory, await journalOf(directory));
  await truncate(journal, (await readFile(journal)).length - 20);
  for (let visit = 0; visit < 2; visit += 1) {
    const storage = fileStorage(directory);
    const unlock = await storage.lock();
    assert.equal((await storage.load()).doubtful, true);
    await storage.close();
    unlock();
  }
});

for (const method of ['write', 'sync', 'datasync']) {
  test(`a copy whose first append breaks at any ${method} is a copy until the append is stored`, { skip: elsewhere }, async (t) => {
    const { directory } = await written(2);
    for (let good = 0, stored = false; !stored; good += 1) {
      const copied = await place();
      await copyDirectory(directory, copied);
      const storage = fileStorage(copied);
      const unlock = await storage.lock();
      assert.equal((await storage.load()).doubtful, true);
      let calls = 0;
      const restore = await replace(t, method, (whole) => function (...args) {
        calls += 1;
        return calls > good ? broken() : whole.apply(this, args);
      });
      stored = await storage.append([Uint8Array.of(7)]).then(() => true, () => false);
      restore();
      await storage.close();
      unlock();
      const again = fileStorage(copied);
      const let_go = await again.lock();
      const { records, doubtful } = await again.load();
      await again.close();
      let_go();
      // Under the old id nothing may be written before the record that names the new one.
      assert.ok(doubtful || records.at(-1)?.[0] === 7, `after ${good} good calls`);
      assert.equal(!doubtful, stored || records.at(-1)?.[0] === 7);
      assert.ok(good < 20);
    }
  });
}

test('a copy whose first append was refused for its directory stores it once', { skip: elsewhere }, async (t) => {
  const { directory } = await written(2);
  const copied = await place();
  await copyDirectory(directory, copied);
  const storage = fileStorage(copied);
  const unlock = await storage.lock();
  const { records: before } = await storage.load();
  let calls = 0;
  const restore = await replace(t, 'sync', (whole) => function () {
    calls += 1;
    return calls === 2 ? broken() : whole.call(this);
  });
  await rejection(storage.append([Uint8Array.of(7)]));
  restore();
  await storage.append([Uint8Array.of(7)]);
  await storage.append([Uint8Array.of(8)]);
  await storage.close();
  unlock();
  const again = fileStorage(copied);
  t.after(await again.lock());
  t.after(() => again.close());
  const { records, doubtful } = await again.load();
  assert.equal(doubtful, false);
  assert.deepEqual(records.slice(before.length).map((record) => [...record]), [[7], [8]]);
});

for (const method of ['datasync', 'sync']) {
  test(`what cannot be made durable now is not believed to be, at opening: ${method}`, { skip: elsewhere }, async (t) => {
    // The process that wrote it may have died before it was; only the system's memory has it then.
    const { directory } = await written(2);
    const restore = await replace(t, method, () => broken);
    const error = await rejection(openReplica({ storage: fileStorage(directory) }));
    restore();
    assert.equal(error.code, 'STORAGE_FAILED');
    assert.equal(error.details.file, join(directory, 'journal.0'));
    assert.deepEqual(keysOf(await open(t, { storage: fileStorage(directory) })), ['key 0', 'key 1']);
  });
}

test('a disk that takes nothing and says nothing ends the attempt', { skip: elsewhere }, async (t) => {
  const directory = await place();
  const storage = fileStorage(directory);
  t.after(await storage.lock());
  t.after(() => storage.close());
  await storage.load();
  let calls = 0;
  const restore = await replace(t, 'write', () => async () => {
    calls += 1;
    if (calls > 100) throw new Error('asked again and again');
    return { bytesWritten: 0 };
  });
  await rejection(storage.append([Uint8Array.of(1)]));
  restore();
  assert.equal(calls, 1);
  await storage.append([Uint8Array.of(1)]);
});

/** From the call with this number on no call to the system is carried out, as for a process that is no more; answers how many there were. */
async function dying(t, last, run) {
  let calls = 0;
  const die = (whole) => function (...args) {
    calls += 1;
    return calls > last ? broken() : whole.apply(this, args);
  };
  const restores = [];
  for (const method of ['write', 'sync', 'datasync', 'truncate', 'stat']) restores.push(await replace(t, method, die));
  for (const name of ['open', 'rename', 'unlink', 'readdir', 'readFile', 'stat']) {
    const whole = files[name];
    files[name] = die(whole);
    restores.push(() => void (files[name] = whole));
  }
  syncBuiltinESMExports();
  try {
    await run();
  } finally {
    for (const restore of restores) restore();
    syncBuiltinESMExports();
  }
  return calls;
}

test('a process that ends at any call to the system, in an append or a compaction, leaves the state before or after it', { skip: elsewhere }, async (t) => {
  const steps = [
    ['append', (storage) => storage.append([Uint8Array.of(3)]), [[1], [2, 3]]],
    ['compact', (storage) => storage.compact(Uint8Array.of(9)), [[9], []]],
  ];
  let [ends, least] = [0, []];
  for (const [what, step, after] of steps) {
    for (let last = 0, through = false; !through; last += 1) {
      const directory = await place();
      const storage = fileStorage(directory);
      const unlock = await storage.lock();
      await storage.load();
      await storage.append([Uint8Array.of(0)]);
      await storage.compact(Uint8Array.of(1));
      await storage.append([Uint8Array.of(2)]);
      let done = false;
      const calls = await dying(t, last, () => step(storage).then(() => (done = true), () => {}));
      through = calls <= last;
      await storage.close();
      unlock();
      const again = fileStorage(directory);
      const letGo = await again.lock();
      const { snapshot, records, doubtful } = await again.load();
      assert.equal(doubtful, false, `${what} after ${last} calls`);
      const found = JSON.stringify([[...snapshot], Array.from(records, ([byte]) => byte)]);
      assert.ok(found === JSON.stringify(after) || (!done && found === '[[1],[2]]'), `${what} after ${last} calls: ${found}`);
      await again.append([Uint8Array.of(8)]);
      await again.close();
      letGo();
      ends += 1;
    }
    least.push(ends);
  }
  assert.ok(least[0] > 2 && least[1] > least[0] + 8, `${least} ends are too few to say anything`);
});

test('a directory that is removed, or a journal that somebody else writes, is not taken for durable', async (t) => {
  for (const [spoil, words] of [
    [(directory) => rm(directory, { recursive: true }), /was removed/],
    [(directory) => rm(join(directory, 'journal.0')), /was removed/],
    [(directory) => appendFile(join(directory, 'journal.0'), 'something'), /somebody else has written/],
    [(directory) => truncate(join(directory, 'journal.0'), 60), /somebody else has written/],
  ]) {
    const directory = await place();
    const replica = await open(t, { storage: fileStorage(directory) });
    const session = replica.session();
    await session.set('before', 1);
    const errors = [];
    replica.on('error', (error) => errors.push(error));
    await spoil(directory);
    assert.equal((await rejection(session.set('after', 2, { timeout: '100ms' }))).code, 'TIMEOUT');
    assert.equal(errors[0].code, 'STORAGE_FAILED');
    assert.match(errors[0].cause.message, words);
    assert.equal(replica.status.persisted, false);
  }
});

test('of two that write one directory, because its lock was removed, one stores nothing, and no record is written over', async (t) => {
  const directory = await place();
  const [first, second] = [fileStorage(directory), fileStorage(directory)];
  t.after(await first.lock());
  await first.load();
  await first.append([Uint8Array.of(1)]);
  for (const name of await readdir(directory)) if (name.startsWith('lock.')) await rm(join(directory, name));
  t.after(await second.lock());
  await second.load();
  await second.append([Uint8Array.of(2)]);
  await rejection(first.append([Uint8Array.of(3)]));
  await rejection(first.compact(Uint8Array.of(9)));
  await second.compact(Uint8Array.of(4));
  await second.append([Uint8Array.of(5)]);
  await rejection(first.append([Uint8Array.of(3)]));
  for (const storage of [first, second]) await storage.close();
  const third = fileStorage(directory);
  for (const name of await readdir(directory)) if (name.startsWith('lock.')) await rm(join(directory, name));
  t.after(await third.lock());
  t.after(() => third.close());
  const { snapshot, records } = await third.load();
  assert.deepEqual([[...snapshot], records.map((record) => [...record])], [[4], [[5]]]);
});
