// What the tests share: replicas that close themselves, a clock to set, a storage that answers when it is told to, and
// deadlines that only a hanging test reaches. Nothing here sleeps to see what happens.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openReplica } from 'edge-session';

/** Long enough for a busy machine; a test that waits so long has failed. */
export const DEADLINE = 30_000;

export const SECRET = { kid: 'k1', key: new Uint8Array(32).fill(7) };

/** A replica that is closed after the test. */
export async function open(t, options = {}) {
  const replica = await openReplica(options);
  t.after(() => replica.close());
  return replica;
}

/** Several replicas, in the order of their labels. */
export const openAll = (t, labels, options = {}) => Promise.all(labels.map((id) => open(t, { ...options, id })));

/** The promise, or a failure that names what was waited for. */
export function within(promise, what, ms = DEADLINE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** `object[name]` in the place of which `own` stands, or which is watched. It is put back after the test: not every runtime does. */
export function mocked(t, object, name, ...own) {
  const mock = t.mock.method(object, name, ...own);
  t.after(() => mock.mock.restore());
  return mock;
}

/** The next event of a kind that `wanted` accepts. */
export function next(replica, type, wanted = () => true) {
  const found = new Promise((resolve) => {
    const off = replica.on(type, (event) => {
      if (!wanted(event)) return;
      off();
      resolve(event);
    });
  });
  return within(found, `an event '${type}'`);
}

/** Resolves when so many peers have said who they are. */
export const peers = (replica, count) => (replica.status.peers === count ? Promise.resolve() : next(replica, 'status', (status) => status.peers === count));

/** Brings `to` everything that `from` has, by round trips of the protocol and nothing else. */
export async function pull(to, from) {
  const behind = () => {
    const [own, other] = [to.inspect().vectors, from.inspect().vectors];
    const spaces = Object.entries(other);
    return spaces.some(([space, vector]) => Object.entries(vector).some(([id, n]) => (own[space]?.[id] ?? 0) < n));
  };
  let message = await to.exchange(new Uint8Array());
  for (let trip = 0; trip < 100 && behind(); trip += 1) message = await to.exchange(await from.exchange(message));
  if (behind()) throw new Error('a hundred round trips did not bring everything');
}

/** Both ways. */
export async function converge(...replicas) {
  for (const to of replicas) for (const from of replicas) if (to !== from) await pull(to, from);
}

/** A clock that stands until it is set. */
export function clock(now = Date.UTC(2026, 10, 21)) {
  const read = () => read.now;
  read.now = now;
  return read;
}

/** What a promise rejects with. */
export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it was expected to fail');
}

/** What a function throws. */
export function thrown(fn) {
  try {
    fn();
  } catch (error) {
    return error;
  }
  throw new Error('it was expected to throw');
}

/** The entries of an async iterable. */
export async function all(iterable) {
  const found = [];
  for await (const entry of iterable) found.push(entry);
  return found;
}

/** A disk: what survives a restart. Several storages, one after another, may be made from it. */
export class Disk {
  snapshot = null;
  records = [];
  locked = false;
}

/**
 * A storage on a disk. While it is `held`, appends wait; `release()` lets them through; `fail` makes the next ones fail.
 * `appends` counts the groups.
 */
export class TestStorage {
  kind = 'test';
  appends = 0;
  compactions = 0;
  fail = false;
  #gate = Promise.resolve();
  #open = () => {};

  constructor(disk = new Disk()) {
    this.disk = disk;
  }

  hold() {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  release() {
    this.#open();
    this.#gate = Promise.resolve();
  }

  async lock() {
    if (this.disk.locked) return null;
    this.disk.locked = true;
    return () => {
      this.disk.locked = false;
    };
  }

  async load() {
    return { snapshot: this.disk.snapshot, records: this.disk.records.slice() };
  }

  async append(records) {
    this.appends += 1;
    await this.#gate;
    if (this.fail) throw new Error('the disk is full');
    this.disk.records.push(...records.map((record) => record.slice()));
  }

  async compact(snapshot) {
    this.compactions += 1;
    this.disk.snapshot = snapshot.slice();
    this.disk.records = [];
  }
}

/** Runs a module in a process of its own and answers `{ stdout, stderr }`. From a file: not every runtime takes a module as an argument. */
export async function runScript(script) {
  const file = join(import.meta.dirname, `script-${randomUUID()}.mjs`);
  await writeFile(file, script);
  try {
    return await promisify(execFile)(process.execPath, [file], { cwd: import.meta.dirname, timeout: DEADLINE });
  } finally {
    await rm(file);
  }
}

/** Lets pauses of `from` milliseconds take `to`, until the test ends. By hand: what Deno's own timers are, its mocks refuse. */
export function hasten(t, from, to) {
  const real = globalThis.setTimeout;
  globalThis.setTimeout = (run, ms, ...rest) => real(run, ms === from ? to : ms, ...rest);
  t.after(() => {
    globalThis.setTimeout = real;
  });
}

/** How many passwords have been hashed since: each is in a wasm instance of its own. */
export function hashings(t) {
  const { Instance } = WebAssembly;
  let hashed = 0;
  WebAssembly.Instance = class extends Instance {
    constructor(...args) {
      super(...args);
      hashed += 1;
    }
  };
  t.after(() => (WebAssembly.Instance = Instance));
  return () => hashed;
}

/** A session that reads and writes in front of the core: the core has answered it both. */
export function warm(replica, init) {
  const session = replica.session(init);
  session.sync.set('warm', 'up');
  session.sync.get('warm');
  return session;
}

/** Numbers that are the same in each run, from 0 to below `end`. */
export function numbers(seed) {
  let state = seed;
  return (end) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * end);
  };
}
