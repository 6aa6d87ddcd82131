/** What clients of one server do, and what a store in a directory does. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { entries } from '../data.mjs';

const clock = () => performance.now();
// So many writes are made in one turn of the event loop, as a program would that handles one event after the other.
const IN_A_TURN = 10;
const TOGETHER = 500;
const PATIENCE = 120_000;

async function until(what, ask) {
  for (const end = clock() + PATIENCE; !ask(); await turn()) if (clock() > end) throw new Error(`in vain: ${what}`);
}

const running = new Set();
process.on('exit', () => running.forEach((stop) => stop()));

/** A server in a process of its own, which ends with this one; `join()` is one client more. */
async function start(contender) {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  await new Promise((closed) => probe.close(closed));
  const env = { ...process.env, PORT: String(port), HOST: '127.0.0.1' };
  const child = fork(fileURLToPath(contender.server), { env, execArgv: [], stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const stop = () => {
    running.delete(stop);
    child.kill('SIGKILL');
  };
  running.add(stop);
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(([code]) => Promise.reject(new Error(`the server ended with ${code}`)))]);
  return { join: () => contender.join(port), stop };
}

/** Runs `work(one, two)` with two clients of a new server that have met. */
async function served(contender, work) {
  const server = await start(contender);
  const clients = [];
  try {
    clients.push(await server.join(), await server.join());
    await meet(...clients);
    return await work(...clients);
  } finally {
    for (const client of clients) await client.close();
    server.stop();
  }
}

/** So many entries, in groups. */
async function fill(store, keys, values, after) {
  for (let at = 0; at < keys.length; at += TOGETHER) {
    await store.fill(keys.slice(at, at + TOGETHER), values.slice(at, at + TOGETHER));
    await after?.();
  }
}

/** One client writes, another one gets it all: ns an entry from the first write to the last arrival. */
export const stream = (contender, count) => () =>
  served(contender, async (writer, reader) => {
    const { keys, values } = entries(count, 'ascii');
    const start = clock();
    for (let at = 0; at < count; at += 1) {
      writer.put(keys[at], values[at]);
      if (at % IN_A_TURN === IN_A_TURN - 1) await turn();
    }
    await until('the last entry', () => reader.get(keys[count - 1]) !== undefined);
    const spent = clock() - start;
    assert.equal(reader.count(), count + 2);
    return { 'L1 stream, ns an entry': (spent * 1e6) / count };
  });

/** Two clients answer each other: µs from a write to the sight of the answer. */
export const roundTrips = (contender, count) => () =>
  served(contender, async (one, two) => {
    two.watch((key) => key.startsWith('ask') && two.put(key.replace('ask', 'answer'), 'yes'));
    let seen = () => {};
    one.watch((key) => key.startsWith('answer') && seen());
    const start = clock();
    for (let at = 0; at < count; at += 1) {
      await new Promise((resolve) => {
        seen = resolve;
        one.put(`ask ${at}`, 'well?');
      });
    }
    return { 'L2 there and back, µs': ((clock() - start) * 1e3) / count };
  });

/** A client that is new comes to a server that holds much: ms until it holds all. The server is filled once. */
export function joining(contender, count) {
  const { keys, values } = entries(count, 'ascii');
  let server;
  const filled = async () => {
    const own = await start(contender);
    const clients = [await own.join(), await own.join()];
    await meet(...clients);
    await fill(clients[0], keys, values, turn);
    await until('the last entry', () => clients[1].get(keys[count - 1]) !== undefined);
    for (const client of clients) await client.close();
    return own;
  };
  return async () => {
    server ??= await filled();
    const begun = clock();
    const late = await server.join();
    await until('everything', () => late.get(keys[count - 1]) !== undefined);
    const spent = clock() - begun;
    assert.equal(late.count(), count + 2);
    await late.close();
    return { [`L3 join, ${count} entries, ms`]: spent };
  };
}

/** Both see each other's first write. */
async function meet(one, two) {
  one.put('first', 1);
  two.put('second', 2);
  await until('the two to meet', () => one.get('second') === 2 && two.get('first') === 1);
}

const directories = new Set();

/** A directory that is removed in the end. */
async function newDirectory() {
  const directory = await mkdtemp(join(tmpdir(), 'edge-session-bench-'));
  directories.add(directory);
  return directory;
}

/** Removes what the work has left. */
export const clear = () => Promise.all([...directories].map((directory) => rm(directory, { recursive: true, force: true })));

/** Writes that are made at once and awaited together, so many at a time, and writes one after the other: µs each. */
export const writing = (contender, count) => async () => {
  const { keys, values } = entries(count, 'ascii');
  const store = await contender.open(await newDirectory());
  const begun = clock();
  for (let at = 0; at < count; at += TOGETHER) await Promise.all(keys.slice(at, at + TOGETHER).map((key, n) => store.put(key, values[at + n])));
  const together = ((clock() - begun) * 1e3) / count;
  const alone = Math.min(count, 200);
  const next = clock();
  for (let at = 0; at < alone; at += 1) await store.put(keys[at], `again ${at}`);
  const single = ((clock() - next) * 1e3) / alone;
  await store.close();
  return { 'F1 write, many together, µs': together, 'F2 write, one after the other, µs': single };
};

/** A store that was filled and closed is opened, and answers: ms. It is filled once. */
export function opening(contender, count) {
  const { keys, values } = entries(count, 'ascii');
  let directory;
  const filled = async () => {
    const made = await newDirectory();
    const store = await contender.open(made);
    await fill(store, keys, values);
    await store.close();
    return made;
  };
  return async () => {
    directory ??= await filled();
    globalThis.gc?.();
    const begun = clock();
    const store = await contender.open(directory);
    assert.equal(await store.get(keys[count - 1]), values[count - 1]);
    const spent = clock() - begun;
    await store.close();
    return { [`F3 cold open, ${count} entries, ms`]: spent };
  };
}
