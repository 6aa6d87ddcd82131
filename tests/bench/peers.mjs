/**
 * The store and its tokens beside what users would otherwise pick: a `Map` (the floor), Yjs (a CRDT with history) and
 * jose (tokens). Every contender does the same work on the same keys in the same run; rounds are interleaved and the
 * median counts, so that a machine that slows down slows all of them. Every result is checked before it is timed.
 *
 * What the figures mean: a ratio to `Map` above 1 is slower than the floor. Peers carry richer types and history; ours
 * carries guarantees, durability gates and no history. `node bench/peers.mjs --json` prints JSON, `--quick` 3 rounds.
 */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { SignJWT, jwtVerify } from 'jose';
import { openReplica } from 'edge-session';
import * as Y from 'yjs';

const ENTRIES = 20_000;
const HOT = 1_000;
const TOKENS = 200;
const ROUNDS = process.argv.includes('--quick') ? 3 : 9;

const keys = Array.from({ length: ENTRIES }, (_, at) => `key:${String(at).padStart(12, '0')}`);
const values = keys.map((_, at) => `value ${at}`.padEnd(64, '.'));
// A fixed stride that visits every key once, in an order that no cache likes.
const order = keys.map((_, at) => (at * 7919) % ENTRIES);
const secret = new Uint8Array(32).fill(7);

/** Runs `work` and answers nanoseconds an operation. */
async function time(operations, work) {
  const start = performance.now();
  await work();
  return ((performance.now() - start) * 1e6) / operations;
}

/** One contender's way through the key-value workloads; each answers ns an operation, or bytes. */
const stores = {
  async Map() {
    const map = new Map();
    const write = await time(ENTRIES, () => keys.forEach((key, at) => map.set(key, values[at])));
    const read = await time(ENTRIES, () => order.forEach((at) => assert(map.get(keys[at]).length === 64)));
    const overwrite = await time(ENTRIES, () => keys.forEach((_, at) => map.set(keys[at % HOT], values[at])));
    return { write, read, overwrite };
  },
  async 'edge-session'() {
    const [db, other] = [await openReplica(), await openReplica()];
    const session = db.session().sync;
    const write = await time(ENTRIES, () => keys.forEach((key, at) => session.set(key, values[at])));
    const read = await time(ENTRIES, () => order.forEach((at) => assert(session.get(keys[at]).length === 64)));
    let snapshot;
    const save = await time(ENTRIES, () => (snapshot = db.snapshot()));
    const load = await time(ENTRIES, () => other.restore(snapshot));
    assert.equal(other.session().sync.get(keys[1]), values[1]);
    const bytes = snapshot.length / ENTRIES;
    const overwrite = await time(ENTRIES, () => keys.forEach((_, at) => session.set(keys[at % HOT], values[at])));
    await Promise.all([db.close(), other.close()]);
    return { write, read, overwrite, save, load, bytes };
  },
  async Yjs() {
    const [doc, other] = [new Y.Doc(), new Y.Doc()];
    const map = doc.getMap('store');
    const write = await time(ENTRIES, () => keys.forEach((key, at) => map.set(key, values[at])));
    const read = await time(ENTRIES, () => order.forEach((at) => assert(map.get(keys[at]).length === 64)));
    let snapshot;
    const save = await time(ENTRIES, () => (snapshot = Y.encodeStateAsUpdate(doc)));
    const load = await time(ENTRIES, () => Y.applyUpdate(other, snapshot));
    assert.equal(other.getMap('store').get(keys[1]), values[1]);
    const bytes = snapshot.length / ENTRIES;
    const overwrite = await time(ENTRIES, () => keys.forEach((_, at) => map.set(keys[at % HOT], values[at])));
    return { write, read, overwrite, save, load, bytes };
  },
};

/** One token sealed and opened, with one dependency. */
const tokens = {
  async 'edge-session'() {
    const db = await openReplica({ secret: { kid: 'bench', key: secret } });
    const session = db.session({ user: 'ann' });
    await session.set('cart', 'book');
    const token = await time(TOKENS, () => {
      for (let at = 0; at < TOKENS; at += 1) assert(db.session(session.token).resumed);
    });
    await db.close();
    return { token };
  },
  async jose() {
    const claims = { sub: 'ann', sid: crypto.randomUUID(), dep: { 'default:1': 'a'.repeat(40) } };
    const token = await time(TOKENS, async () => {
      for (let at = 0; at < TOKENS; at += 1) {
        const jwt = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('1h').sign(secret);
        assert.equal((await jwtVerify(jwt, secret)).payload.sub, 'ann');
      }
    });
    return { token };
  },
};

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Runs the contenders in turn, round by round; the first round warms up and does not count. */
async function compare(contenders) {
  const seen = {};
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, run] of Object.entries(contenders)) {
      const figures = await run();
      globalThis.gc?.();
      if (round === 0) continue;
      for (const [what, figure] of Object.entries(figures)) ((seen[what] ??= {})[name] ??= []).push(figure);
    }
  }
  const rows = Object.entries(seen).map(([what, by]) => {
    const medians = Object.fromEntries(Object.entries(by).map(([name, list]) => [name, median(list)]));
    return [what, medians];
  });
  return Object.fromEntries(rows);
}

const figures = { ...(await compare(stores)), ...(await compare(tokens)) };
if (process.argv.includes('--json')) {
  console.log(JSON.stringify({ node: process.version, entries: ENTRIES, rounds: ROUNDS, figures }, null, 2));
} else {
  const unit = (what) => (what === 'bytes' ? 'bytes an entry' : 'ns an operation');
  console.log(`Node ${process.version}, ${ENTRIES} entries of 16 + 64 characters, median of ${ROUNDS} interleaved rounds`);
  for (const [what, medians] of Object.entries(figures)) {
    const floor = medians.Map ?? medians['edge-session'];
    const cells = Object.entries(medians).map(
      ([name, figure]) => `${name} ${figure.toFixed(figure < 1000 ? 1 : 0)} (${(figure / floor).toFixed(2)}×)`,
    );
    console.log(`${what.padEnd(10)} ${unit(what).padEnd(16)} ${cells.join('   ')}`);
  }
}
