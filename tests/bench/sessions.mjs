/**
 * `cargo xtask bench sessions`: what sessions cost, among 10³ … 10⁶ of them. Options: `--quick` (to 10⁵), `--rounds N`, `--json FILE`.
 *
 * S1: kept, looked up, touched, expired, evicted: the manager of a replica (cache and timers included), inside wasm as every operation
 * of a replica uses it, beside `lru-cache` with a ttl and express-session's MemoryStore. Contenders take turns within each round, and
 * a figure is the median of the rounds: of the time that the thread had a processor, where the system tells (Linux), because a busy
 * machine gives now more, now less of it. Before the first figure all of them run often enough that an engine has compiled them
 * for good: those of a thousand sessions are measured first, and would be measured cold. Each looks up sessions in an order that jumps about, by the very strings that they were
 * kept under, and what is found is counted. MemoryStore answers by callback in a later turn, as its users get it; it evicts nothing.
 *
 * S2: the same through the package, which a million times also checks a token or writes a guarantee down: bytes of wasm memory a session
 * (manager, cache and timers together), and microseconds of the processor to begin one, to take one up by its token, to read by one
 * that is open (which touches it), and to kill one among so many. Each session has a user, a client application and both ends, and is
 * let go of at once, as a server does between requests.
 */
import assert from 'node:assert/strict';
import { openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { openReplica } from 'edge-session';
import expressSession from 'express-session';
import { LRUCache } from 'lru-cache';
import { digits, interleave, median } from './harness.mjs';

const args = process.argv.slice(2);
const option = (name, otherwise) => (args.includes(name) ? args[args.indexOf(name) + 1] : otherwise);
const quick = args.includes('--quick');
const COUNTS = quick ? [1e3, 1e4, 1e5] : [1e3, 1e4, 1e5, 1e6];
const ROUNDS = Number(option('--rounds', quick ? 3 : 5));
const HOUR = 3_600_000;
/** Rounds of ten thousand sessions that are not counted. */
const WARMING = 12;
const LOOKS = 200_000;
const OURS = 'edge-session';
const tell = (what) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${what}`);

/**
 * Nanoseconds, those aside in which this thread waited for a processor that another had, where the system tells. It is for work
 * that waits for nothing else.
 */
const clock = (() => {
  const now = () => performance.now() * 1e6;
  if (process.platform !== 'linux') return now;
  const file = openSync('/proc/thread-self/schedstat', 'r');
  const bytes = Buffer.alloc(64);
  return () => now() - Number(bytes.latin1Slice(0, readSync(file, bytes, 0, 64, 0)).split(' ')[1]);
})();

/** Runs `work` and answers nanoseconds an operation. */
function timeSync(operations, work) {
  const start = clock();
  work();
  return (clock() - start) / operations;
}

/** Numbers that jump about, the same at every run. */
function order(count) {
  let at = 1;
  return () => {
    at = (Math.imul(at, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((at / 2 ** 32) * count);
  };
}

const module = new WebAssembly.Module(readFileSync(new URL('sessions.wasm', import.meta.url)));
const named = (count) => Array.from({ length: count }, (_, n) => crypto.randomUUID());

function ours(count) {
  // What the core imports belongs to its bindings, which nothing here calls.
  const imports = Object.fromEntries(WebAssembly.Module.imports(module).map(({ module: from }) => [from, new Proxy({}, { has: () => true, get: (_, name) => () => assert.fail(`${String(name)} was called`) })]));
  const run = new WebAssembly.Instance(module, imports).exports;
  run.sessions_open(count);
  const create = timeSync(count, () => assert.equal(run.sessions_begin(count), count));
  const get = timeSync(LOOKS, () => assert.equal(run.sessions_get(LOOKS), LOOKS));
  const touch = timeSync(LOOKS, () => assert.equal(run.sessions_touch(LOOKS), LOOKS));
  const more = Math.max(100, count / 10);
  const evict = timeSync(more, () => assert.equal(run.sessions_begin(more), count));
  assert.equal(run.sessions_evicted(), more);
  const expire = timeSync(count, () => assert.equal(run.sessions_expire(), count));
  return { create, get, touch, evict, expire };
}

async function lru(count, ids) {
  let clock = 1_790_000_000_000;
  const cache = new LRUCache({ max: count, ttl: HOUR, perf: { now: () => clock } });
  const session = (n) => ({ user: `user-${n % 1_000}`, client: 'phone', created: clock });
  const look = (of, options) => {
    const next = order(count);
    let found = 0;
    const took = timeSync(LOOKS, () => {
      for (let n = 0; n < LOOKS; n += 1) if (of.get(ids[next()], options) !== undefined) found += 1;
    });
    assert.equal(found, LOOKS);
    return took;
  };
  const create = timeSync(count, () => {
    for (let n = 0; n < count; n += 1) cache.set(ids[n], session(n));
  });
  const get = look(cache);
  const touch = look(cache, { updateAgeOnGet: true });
  const more = Math.max(100, count / 10);
  const extra = named(more);
  const evict = timeSync(more, () => {
    for (let n = 0; n < more; n += 1) cache.set(extra[n], session(n));
  });
  assert.equal(cache.size, count);
  clock += 2 * HOUR;
  // It looks at its clock once a turn.
  await new Promise((resolve) => setTimeout(resolve, 5));
  const expire = timeSync(count, () => cache.purgeStale());
  assert.equal(cache.size, 0);
  return { create, get, touch, evict, expire };
}

async function memoryStore(count, ids) {
  const store = new expressSession.MemoryStore();
  const session = (n, expires) => ({ cookie: { expires, originalMaxAge: HOUR }, user: `user-${n % 1_000}`, client: 'phone' });
  const later = new Date(Date.now() + 24 * HOUR);
  /** As many calls as asked, all answered. */
  const all = async (times, call) => {
    const start = clock();
    await new Promise((resolve, reject) => {
      let open = times;
      const done = (error, found) => (error ? reject(error) : found === null ? reject(new Error('a session is not there')) : (open -= 1) === 0 && resolve());
      for (let n = 0; n < times; n += 1) call(n, done);
    });
    return (clock() - start) / times;
  };
  const create = await all(count, (n, done) => store.set(ids[n], session(n, later), done));
  let next = order(count);
  const get = await all(LOOKS, (_, done) => store.get(ids[next()], (error, found) => done(error, found ?? null)));
  next = order(count);
  const used = session(0, later);
  const touch = await all(LOOKS, (_, done) => store.touch(ids[next()], used, done));
  const stale = new expressSession.MemoryStore();
  const past = new Date(Date.now() - 1);
  await all(count, (n, done) => stale.set(ids[n], session(n, past), done));
  const start = clock();
  const left = await new Promise((resolve, reject) => stale.length((error, size) => (error ? reject(error) : resolve(size))));
  const expire = (clock() - start) / count;
  assert.equal(left, 0);
  return { create, get, touch, expire };
}

/** Microseconds of the processor an operation. */
async function time(count, work) {
  const start = process.cpuUsage();
  for (let n = 0; n < count; n += 1) {
    work(n);
    // What a replica has to do between calls is done between calls.
    if (n % 10_000 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / count;
}

const KILLS = 1_000;

async function throughThePackage(count) {
  const secret = { kid: 'k1', key: new Uint8Array(32).fill(7) };
  const replica = await openReplica({ secret, session: { idleTimeout: '1h' } });
  const before = replica.inspect().wasmBytes;
  const [ids, tokens] = [[], []];
  const every = Math.max(1, Math.floor(count / KILLS));
  const begin = await time(count, (n) => {
    const session = replica.session({ user: `user-${n % 1_000}`, client: 'phone' });
    if (n % every === 0) {
      ids.push(session.id);
      tokens.push(session.token);
    }
    session[Symbol.dispose]();
  });
  const bytes = (replica.inspect().wasmBytes - before) / count;
  const again = await time(10_000, (n) => replica.session(tokens[n % tokens.length])[Symbol.dispose]());
  const open = replica.session(tokens[0]);
  open.sync.set('cart', 'book');
  const read = await time(100_000, () => open.sync.get('cart'));
  open[Symbol.dispose]();
  // The first are compiled while they run.
  const kills = [];
  for (const id of ids) {
    const start = performance.now();
    assert.equal(await replica.admin.killSession(id), true);
    kills.push((performance.now() - start) * 1_000);
  }
  assert.throws(() => replica.session(tokens[1]).sync.get('cart'), { code: 'SESSION_KILLED' });
  const { evictions } = replica.admin.cache();
  assert.equal(evictions, 0, 'there is no place for so many sessions');
  await replica.close();
  return { bytes, begin, again, read, kill: median(kills.slice(kills.length / 2)) };
}

const show = (rows) => {
  const widths = rows[0].map((_, at) => Math.max(...rows.map((row) => String(row[at]).length)));
  for (const row of rows) console.log(row.map((cell, at) => (at === 0 ? String(cell).padEnd(widths[at]) : String(cell).padStart(widths[at]))).join('  '));
};

const result = { machine: `${os.cpus()[0]?.model}, load ${os.loadavg()[0].toFixed(1)}`, node: process.version, curves: {}, package: {} };
const rows = [['S1, ns', 'sessions', OURS, 'lru-cache', 'ahead', 'MemoryStore', 'ahead']];
const contenders = (count, ids) => new Map([[OURS, () => ours(count)], ['lru-cache', () => lru(count, ids)], ['MemoryStore', () => memoryStore(count, ids)]]);
await interleave(contenders(1e4, named(1e4)), WARMING, (what) => tell(`warming up: ${what}`));
for (const count of COUNTS) {
  const { figures, failed } = await interleave(contenders(count, named(count)), ROUNDS, (what) => tell(`${count}: ${what}`));
  assert.deepEqual(failed, {});
  result.curves[count] = figures;
  for (const [what, by] of Object.entries(figures)) {
    const ahead = (peer) => (by[peer] === undefined ? '' : `${digits(by[peer] / by[OURS])}×`);
    rows.push([what, count.toLocaleString('en'), digits(by[OURS]), digits(by['lru-cache']), ahead('lru-cache'), digits(by.MemoryStore), ahead('MemoryStore')]);
  }
}
tell('');
show([rows[0], ...rows.slice(1).sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0))]);

const through = [['S2, µs', 'bytes each', 'begin', 'take up', 'read', 'kill']];
for (const count of COUNTS) {
  const figures = (result.package[count] = await throughThePackage(count));
  through.push([count.toLocaleString('en'), ...Object.values(figures).map(digits)]);
}
console.log();
show(through);
if (args.includes('--json')) writeFileSync(option('--json'), `${JSON.stringify(result, null, 2)}\n`);
