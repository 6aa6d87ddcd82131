// Reading and writing at random against a `Map`: three sessions of one replica, and somebody elsewhere who changes the same keys now
// and then. What a session shows is what the `Map` holds, however a read or a write gets to the core, and both replicas end alike.
// `MIRROR_SEED=7 node --test mirror.test.mjs` does what seed 7 has done.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { all, clock, numbers, openAll, pull } from './support.mjs';

const SEEDS = process.env.MIRROR_SEED === undefined ? Array.from({ length: 24 }, (_, n) => n + 1) : [Number(process.env.MIRROR_SEED)];
const START = Date.UTC(2026, 10, 21);

/** One history; what is wrong names its last steps. */
async function run(t, seed) {
  const below = numbers(seed * 2_654_435_761);
  const now = clock(START);
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { clock: now, values: below(2) ? 'frozen' : 'fresh' });
  const [count, steps, ticks] = [[20, 200, 2_000][below(3)], [500, 2_000, 4_000][below(3)], [0, 2, 30][below(3)]];
  const [made, hot, renewed] = [below(3), below(2), below(2)];
  const key = (n) => `key ${String(n).padStart(5, '0')}`;
  const any = () => key(below(hot && below(2) ? 20 : count));
  let written = 0;
  const value = () => {
    written += 1;
    return [() => `value ${written} ${'x'.repeat(below(40))}`, () => ({ written, text: 'of some length', list: [written] }), () => `ü${written}`][made === 2 ? below(3) : made]();
  };

  const expected = new Map();
  const set = (session, name) => {
    const what = value();
    session.sync.set(name, what);
    expected.set(name, what);
  };
  const take = (session, name) => {
    session.sync.delete(name);
    expected.delete(name);
  };
  const look = (session, name) => assert.deepEqual(session.sync.get(name), expected.get(name), name);
  const listed = (entries) => assert.deepEqual(entries.map((entry) => [entry.key, entry.value]), [...expected].sort(([one], [other]) => (one < other ? -1 : 1)));

  const elsewhere = tokyo.session();
  for (let n = 0; n < count; n += 1) if (below(10)) set(elsewhere, key(n));
  await pull(paris, tokyo);
  const sessions = [paris.session(), paris.session(), paris.session()];
  // Each with how often it is done in a thousand steps.
  const deeds = {
    read: [410, (session) => look(session, any())],
    'read and write': [230, (session, name = any()) => (look(session, name), set(session, name))],
    write: [160, (session) => set(session, any())],
    delete: [60, (session) => take(session, any())],
    'delete and read': [20, (session, name = any()) => (take(session, name), look(session, name))],
    'write and read': [20, (session, name = any()) => (set(session, name), look(session, name))],
    'ask the core': [20, (session) => assert.ok(session.satisfied())],
    walk: [4, (session, from = below(count)) => {
      for (let n = from; n < Math.min(count, from + 300); n += 1) look(session, key(n));
    }],
    list: [2, (session) => listed(session.sync.list())],
    'begin anew': [renewed, (session) => (sessions[sessions.indexOf(session)] = paris.session())],
    tick: [ticks, () => (now.now += 1)],
    batch: [10, (session) => session.sync.batch((tx) => {
      for (let n = below(4); n >= 0; n -= 1) {
        const [name, what] = [any(), value()];
        tx.set(name, what);
        expected.set(name, what);
      }
    })],
    'read by promise': [2, async (session, name = any()) => assert.deepEqual(await session.get(name), expected.get(name))],
    'list by promise': [1, async (session) => listed(await all(session.list()))],
    rest: [2, () => setImmediate()],
    'change elsewhere': [3, async (session) => {
      await pull(tokyo, paris);
      elsewhere.merge(await session.sealed());
      for (let n = below(30); n >= 0; n -= 1) below(3) ? set(elsewhere, any()) : take(elsewhere, any());
      await pull(paris, tokyo);
    }],
  };
  const drawn = Object.entries(deeds).flatMap(([name, [often]]) => Array(often).fill(name));

  const done = [];
  try {
    for (let step = 0; step < steps; step += 1) {
      const what = drawn[below(drawn.length)];
      done.push(what);
      const doing = deeds[what][1](sessions[below(3)]);
      // Else each step would be a task of its own.
      if (doing instanceof Promise) await doing;
    }
    for (const session of sessions) for (let n = 0; n < count; n += 1) look(session, key(n));
    await pull(tokyo, paris);
    listed(tokyo.session().sync.list());
  } catch (error) {
    throw new Error(`seed ${seed}, ${count} keys, ticks ${ticks}, after ${done.slice(-12).join(', ')}`, { cause: error });
  }
}

test('what sessions show and what a Map holds are the same, through random histories', async (t) => {
  for (const seed of SEEDS) await run(t, seed);
});
