/** Curves: what one operation costs among 10³ … 10⁶ entries. Flat or logarithmic is the goal, without a cliff. */
import assert from 'node:assert/strict';
import { key } from '../data.mjs';
import { interleave, timeSync } from '../harness.mjs';

const OPERATIONS = 1_000;

/** Figures of `stores` by size, from a thousand to `largest`. */
export async function curve(stores, largest, rounds, tell) {
  const all = { figures: {}, failed: {} };
  for (let size = 1_000; size <= largest; size *= 10) {
    // A million entries take seconds to fill: half a dozen rounds of them are enough.
    const turns = size > 100_000 ? Math.min(rounds, 3) : rounds;
    const { figures, failed } = await interleave(new Map(stores.map((store) => [store.name, () => measure(store, size)])), turns, tell);
    for (const [what, by] of Object.entries(figures)) all.figures[`${what} among ${size}`] = by;
    for (const [name, why] of Object.entries(failed)) all.failed[`${name} among ${size}`] = why;
  }
  return all;
}

async function measure(store, size) {
  const held = await store.open();
  for (let at = 0; at < size; at += 1) store.put(held, key(at), `value ${at} `.padEnd(64, '.'));
  store.done(held);
  // Anywhere among them, the same places at every size.
  const places = Array.from({ length: OPERATIONS }, (_, at) => key(Math.floor((at * size) / OPERATIONS)));
  const figures = {};
  figures.read = timeSync(OPERATIONS, () => {
    for (const name of places) assert(store.get(held, name) !== undefined);
  });
  figures.overwrite = timeSync(OPERATIONS, () => {
    for (const name of places) store.put(held, name, 'another value');
    store.done(held);
  });
  figures['write new'] = timeSync(OPERATIONS, () => {
    for (let at = 0; at < OPERATIONS; at += 1) store.put(held, key(size + at), 'a new value');
    store.done(held);
  });
  await store.close(held);
  return figures;
}
