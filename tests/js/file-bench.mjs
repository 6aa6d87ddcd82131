// Directories, and file storages in processes of their own, which die by SIGKILL.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, open, readFile, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EdgeSessionError, openReplica } from 'edge-session';
import { fileStorage } from 'edge-session/node';

const HEADER = 16;

/** A new directory of its own. */
export const newDirectory = () => mkdtemp(join(tmpdir(), 'edge-session-'));

const places = [];
after(() => Promise.all(places.map((directory) => rm(directory, { recursive: true, force: true }))));

/** The same, removed when all tests of the file are over, and with them all replicas. */
export async function place() {
  const directory = await newDirectory();
  places.push(directory);
  return directory;
}

/** A directory in which a replica has written `n` keys, each in a record of its own; it is closed. */
export async function written(n) {
  const directory = await place();
  const replica = await openReplica({ id: 'fra1', storage: fileStorage(directory) });
  for (let key = 0; key < n; key += 1) await replica.session().set(`key ${key}`, key);
  await replica.close();
  return { directory, id: replica.id };
}

/** All keys that a replica shows. */
export const keysOf = (replica) => replica.session().sync.list().map(({ key }) => key);

/** A storage in another process, behind the interface of one in this process. */
export async function remoteStorage(directory) {
  const child = fork(fileURLToPath(new URL('file-child.mjs', import.meta.url)), [directory], { serialization: 'advanced' });
  const calls = new Map();
  let last = 0;
  child.on('message', ({ id, answer, error }) => {
    const call = calls.get(id);
    calls.delete(id);
    if (error === undefined) return call?.resolve(answer);
    call?.reject(error.code === 'STORAGE_FAILED' ? new EdgeSessionError(error.code, error.message, { details: error.details }) : Object.assign(new Error(error.message), error));
  });
  await once(child, 'message');
  const ask = (command, argument) =>
    new Promise((resolve, reject) => {
      if (!child.connected) return reject(new Error('the process is gone'));
      last += 1;
      calls.set(last, { resolve, reject });
      child.send({ id: last, command, argument }, (error) => error && reject(error));
    });
  return {
    kind: 'file',
    child,
    async lock() {
      if (!(await ask('lock'))) return null;
      return () => void ask('unlock').catch(() => {});
    },
    load: () => ask('load'),
    append: (records) => ask('append', records),
    compact: (snapshot) => ask('compact', snapshot),
    close: () => (child.connected ? ask('close') : undefined),
    fail: (how) => ask('fail', how),
    async kill(signal = 'SIGKILL') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    },
  };
}

/** The bench of the conformance suite: a place is a directory, an adapter a process. `how` it fails is `write` or `sync`. */
export function fileBench(how) {
  const processes = new Map();
  return {
    create: newDirectory,
    async open(directory) {
      const storage = await remoteStorage(directory);
      processes.set(directory, [...(processes.get(directory) ?? []), storage]);
      return storage;
    },
    kill: (_, storage) => storage.kill(),
    fail: (_, storage, failing) => storage.fail(failing ? how : undefined),
    async tear(directory, bytes) {
      const journal = join(directory, await journalOf(directory));
      await truncate(journal, (await readFile(journal)).length - bytes);
    },
    corrupt: async (directory, record) => void (await damage(directory, record)),
    async copy(directory) {
      const copy = await newDirectory();
      await copyDirectory(directory, copy);
      return copy;
    },
    async remove(directory) {
      for (const storage of processes.get(directory) ?? []) await storage.kill();
      await rm(directory, { recursive: true });
    },
  };
}

/** The journal of a directory that is not open. */
export async function journalOf(directory) {
  const [name, ...more] = (await readdir(directory)).filter((name) => /^journal\.\d+$/.test(name));
  if (more.length > 0) throw new Error('there are several journals');
  return name;
}

/** As `cp -r` does, without the sockets, which cp does not copy either. */
export const copyDirectory = (from, to) => cp(from, to, { recursive: true, filter: (name) => !/lock\.\d+$/.test(name) });

/** Changes a byte in the middle of the group with this number; answers where the group begins. */
export async function damage(directory, number) {
  const file = await open(join(directory, await journalOf(directory)), 'r+');
  try {
    const bytes = await file.readFile();
    let at = 48;
    for (let n = 0; n < number; n += 1) at += HEADER + bytes.readUInt32LE(at + 8);
    const middle = at + HEADER + (bytes.readUInt32LE(at + 8) >> 1);
    await file.write(Buffer.of(bytes[middle] ^ 1), 0, 1, middle);
    return at;
  } finally {
    await file.close();
  }
}
