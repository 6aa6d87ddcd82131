// Storage in files: the conformance suite in real processes that are really killed, and what files alone can do.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import files from 'node:fs/promises';
import { appendFile, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openReplica } from 'edge-session';
import { fileStorage } from 'edge-session/node';
import { storageCases } from 'edge-session/testing';
import { copyDirectory, damage, fileBench, journalOf, keysOf, place, remoteStorage, written } from './file-bench.mjs';
import { next, open, rejection, within } from './support.mjs';

describe('fileStorage() in a process of its own', () => {
  for (const { name, skip, run } of storageCases(fileBench('write'))) test(name, { skip }, run);
});

describe('fileStorage() on a disk that makes nothing durable', () => {
  const refusals = storageCases(fileBench('sync')).filter(({ name }) => name.includes('refused'));
  for (const { name, skip, run } of refusals) test(name, { skip }, run);
});

test('a damaged record is named with its file, its place and its number, and nothing is lost by looking', async () => {
  const { directory } = await written(5);
  const offset = await damage(directory, 2);
  const before = await readFile(join(directory, await journalOf(directory)));
  const error = await rejection(openReplica({ storage: fileStorage(directory) }));
  assert.equal(error.code, 'STORAGE_FAILED');
  assert.deepEqual(error.details, { file: join(directory, 'journal.0'), offset, record: 2 });
  assert.match(error.message, /journal\.0 is damaged at byte \d+, in record 2/);
  assert.deepEqual(await readFile(join(directory, await journalOf(directory))), before);
  assert.equal((await rejection(openReplica({ storage: fileStorage(directory) }))).code, 'STORAGE_FAILED', 'the lock was let go of');
});

test('a damaged length is damage too, and not the end of the log', async () => {
  const { directory } = await written(5);
  const journal = join(directory, await journalOf(directory));
  const bytes = await readFile(journal);
  bytes.writeUInt32LE(0x7fff_ffff, 48 + 8);
  await writeFile(journal, bytes);
  assert.equal((await rejection(openReplica({ storage: fileStorage(directory) }))).details.record, 0);
});

test('a damaged snapshot, a missing journal and a file of another kind are named', async () => {
  const { directory } = await written(1);
  const storage = fileStorage(directory);
  const unlock = await storage.lock();
  await storage.load();
  await storage.compact(new Uint8Array(1000));
  await storage.close();
  unlock();
  const snapshot = await readFile(join(directory, 'snapshot'));
  for (const [name, spoil, told] of [
    ['snapshot', (file) => writeFile(file, snapshot.with(500, 1)), /snapshot is damaged at byte 24/],
    ['snapshot', (file) => writeFile(file, snapshot.subarray(0, 100)), /snapshot is damaged at byte 24/],
    ['snapshot', (file) => writeFile(file, 'something else, which is long enough'), /it is no snapshot/],
    ['journal.1', (file) => writeFile(file, 'something else, which is long enough for a header of it'), /it is no journal/],
    ['journal.1', (file) => rm(file), /journal\.1 is damaged at byte 0: it is missing/],
  ]) {
    const copy = await place();
    await copyDirectory(directory, copy);
    await spoil(join(copy, name));
    const error = await rejection(openReplica({ storage: fileStorage(copy) }));
    assert.equal(error.code, 'STORAGE_FAILED');
    assert.match(error.message, told);
    assert.equal(error.details.file, join(copy, name));
  }
});

test('zeros behind the last record, as a power failure leaves them, are a torn tail', async (t) => {
  const { directory, id } = await written(3);
  await appendFile(join(directory, await journalOf(directory)), Buffer.alloc(5000));
  const replica = await open(t, { storage: fileStorage(directory) });
  assert.notEqual(replica.id, id, 'whether that had been a record is not known');
  assert.deepEqual(keysOf(replica), ['key 0', 'key 1', 'key 2']);
});

test('a second process is refused, and says why; a dead one is not in the way', async (t) => {
  const directory = await place();
  const other = await remoteStorage(directory);
  t.after(() => other.kill());
  await other.lock();
  const error = await rejection(openReplica({ storage: fileStorage(directory) }));
  assert.equal(error.code, 'STORAGE_FAILED');
  assert.match(error.message, /in use by another replica/);
  // Stopped is not dead. By its number: after its own `kill('SIGSTOP')` Deno would not let a child be killed.
  process.kill(other.child.pid, 'SIGSTOP');
  assert.equal((await rejection(openReplica({ storage: fileStorage(directory) }))).code, 'STORAGE_FAILED');
  await other.kill();
  const replica = await open(t, { storage: fileStorage(directory) });
  await replica.session().set('a', 1);
});

test('of many processes that come at once, and again and again, exactly one has the lock', async (t) => {
  const directory = await place();
  const rivals = await Promise.all(Array.from({ length: 6 }, () => remoteStorage(directory)));
  t.after(() => Promise.all(rivals.map((rival) => rival.kill())));
  for (let round = 0; round < 20; round += 1) {
    const locks = await Promise.all(rivals.map((rival) => rival.lock()));
    const held = locks.filter((unlock) => unlock !== null);
    assert.equal(held.length, 1, `round ${round}`);
    held[0]();
    // The holder's answer to this comes after it has let go.
    for (const rival of rivals) await rival.fail();
  }
  const names = await readdir(directory);
  assert.ok(names.length < 20, `names of old locks are cleared away: ${names}`);
});

test('a directory whose path is longer than a socket address can be locked', async (t) => {
  const directory = join(await place(), 'x'.repeat(200));
  const replica = await open(t, { storage: fileStorage(pathToFileURL(directory)) });
  await replica.session().set('a', 1);
  const again = await rejection(openReplica({ storage: fileStorage(directory) }));
  assert.match(again.message, /in use by another replica/);
});

test('a copied directory is amnesia: the copy keeps the data and takes a new id, the original goes on', async (t) => {
  const { directory, id } = await written(2);
  const copied = await place();
  await copyDirectory(directory, copied);
  const copy = await open(t, { storage: fileStorage(copied) });
  const original = await open(t, { storage: fileStorage(directory) });
  assert.equal(original.id, id);
  assert.notEqual(copy.id, id);
  assert.match(copy.id, /^fra1~/);
  await Promise.all([copy.session().set('copy', 1), original.session().set('original', 1)]);
  assert.deepEqual(keysOf(copy), ['copy', 'key 0', 'key 1']);
  assert.deepEqual(copy.inspect().vectors.default, { [id]: 2, [copy.id]: 1 });
  const own = copy.id;
  await copy.close();
  const again = await open(t, { storage: fileStorage(copied) });
  assert.equal(again.id, own, 'the copy has settled in');
});

test('a copy that was opened and killed before it wrote is still a copy', async (t) => {
  const { directory, id } = await written(2);
  const copied = await place();
  await copyDirectory(directory, copied);
  const killed = await remoteStorage(copied);
  await killed.lock();
  assert.equal((await killed.load()).doubtful, true);
  await killed.kill();
  const copy = await open(t, { storage: fileStorage(copied) });
  assert.notEqual(copy.id, id);
});

test('a backup that is put back is amnesia; a directory that was moved is not', async (t) => {
  const { directory, id } = await written(2);
  const backup = join(await place(), 'backup');
  await copyDirectory(directory, backup);
  const moved = join(await place(), 'moved');
  await rename(directory, moved);
  const replica = await openReplica({ storage: fileStorage(moved) });
  assert.equal(replica.id, id);
  await replica.session().set('later', 1);
  await replica.close();
  await rm(moved, { recursive: true });
  await copyDirectory(backup, moved);
  const restored = await open(t, { storage: fileStorage(moved) });
  assert.notEqual(restored.id, id);
  assert.deepEqual(keysOf(restored), ['key 0', 'key 1']);
});

test('a compaction that was killed at any step leaves files that open', async (t) => {
  const { directory, id } = await written(3);
  const steps = [
    // Each leaves what a crash after that step leaves.
    async (dir) => writeFile(join(dir, 'journal.1.new'), 'half a head'),
    async (dir) => writeFile(join(dir, 'journal.1'), (await readFile(join(dir, 'journal.0'))).subarray(0, 48)),
    async (dir) => writeFile(join(dir, 'snapshot.new'), 'half a snapshot'),
  ];
  for (const step of steps) {
    await step(directory);
    const replica = await openReplica({ storage: fileStorage(directory) });
    assert.equal(replica.id, id);
    assert.deepEqual(keysOf(replica), ['key 0', 'key 1', 'key 2']);
    await replica.close();
    const left = (await readdir(directory)).filter((name) => !name.startsWith('lock.'));
    assert.deepEqual(left, ['journal.0'], 'what was left over is cleared away');
  }
});

// Elsewhere what a module of the platform exports cannot be replaced.
const elsewhere = globalThis.Deno !== undefined || process.versions.bun !== undefined;

test('a snapshot that is in its place stays with its journal, whatever its file says as it is closed', { skip: elsewhere }, async (t) => {
  const directory = await place();
  const storage = fileStorage(directory);
  const unlock = await storage.lock();
  await storage.load();
  await storage.append([Uint8Array.of(1)]);
  const { open: opens } = files;
  const restore = () => {
    files.open = opens;
    syncBuiltinESMExports();
  };
  t.after(restore);
  files.open = async (...args) => {
    const file = await opens(...args);
    const close = file.close.bind(file);
    if (String(args[0]).endsWith('snapshot.new')) file.close = () => close().then(() => Promise.reject(new Error('the file did not close')));
    return file;
  };
  syncBuiltinESMExports();
  await storage.compact(Uint8Array.of(2)).catch(() => {});
  restore();
  await storage.append([Uint8Array.of(3)]);
  await storage.close();
  unlock();
  const again = fileStorage(directory);
  t.after(await again.lock());
  const { snapshot, records } = await again.load();
  t.after(() => again.close());
  assert.deepEqual([[...snapshot], records.map((record) => [...record])], [[2], [[3]]]);
});

test('a long log becomes a snapshot on the disk, and the replica opens from it', async (t) => {
  const directory = await place();
  const replica = await openReplica({ storage: fileStorage(directory) });
  const session = replica.session();
  for (let n = 0; n < 60; n += 1) await session.set('same', 'x'.repeat(50_000) + n);
  await session.set('last', 1);
  await replica.close();
  const sizes = await Promise.all((await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size));
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 2_500_000);
  const again = await open(t, { storage: fileStorage(directory) });
  assert.equal(again.id, replica.id);
  assert.equal(again.session().sync.get('same'), `${'x'.repeat(50_000)}59`);
  assert.equal(again.session().sync.get('last'), 1);
});

test('a directory that is none, and a place where nobody may write, are refused with the reason', async (t) => {
  const directory = await place();
  const file = join(directory, 'file');
  await writeFile(file, '');
  const error = await rejection(openReplica({ storage: fileStorage(file) }));
  assert.equal(error.code, 'STORAGE_FAILED');
  assert.match(error.message, /file cannot be used; it must be a place where this process may write/);
  for (const bad of ['', undefined, 7]) assert.throws(() => fileStorage(bad), { code: 'ARGUMENT_INVALID' });
  await mkdir(join(directory, 'deep'));
  await open(t, { storage: fileStorage(join(directory, 'deep', 'er', 'still')) });
});

test('a full disk stops acknowledgements, not the session, and what waits is stored when there is room', async (t) => {
  const directory = await place();
  const storage = fileStorage(directory);
  const replica = await open(t, { storage });
  const session = replica.session();
  await session.set('before', 1);
  const errors = [];
  replica.on('error', (error) => errors.push(error));
  // The journal is this process's own; a limit on the size of files makes the system refuse to let it grow.
  const limit = (bytes) => execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`]);
  process.on('SIGXFSZ', () => {});
  limit((await stat(join(directory, 'journal.0'))).size + 50_000);
  t.after(() => limit('unlimited'));
  const ill = next(replica, 'status', ({ persisted }) => !persisted);
  const late = session.set('large', 'x'.repeat(100_000), { timeout: '30s' });
  await ill;
  assert.equal(session.sync.get('large').length, 100_000);
  assert.throws(() => replica.session().sync.get('large'), { code: 'STALE_REPLICA' });
  assert.equal(errors[0].code, 'STORAGE_FAILED');
  // Deno gives the system's words, not its code.
  assert.match(`${errors[0].cause.code}: ${errors[0].cause.message}`, /EFBIG|File too large/);
  limit('unlimited');
  assert.equal(typeof (await within(late, 'the write')), 'string');
  assert.equal(replica.status.persisted, true);
  await replica.close();
  const again = await open(t, { storage: fileStorage(directory) });
  assert.deepEqual(keysOf(again), ['before', 'large']);
});
