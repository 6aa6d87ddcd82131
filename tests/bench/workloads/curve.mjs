/**
 * Curves: what one operation costs among 10³ … 10⁶ entries. Flat or logarithmic is the goal, without a cliff.
 *
 * The operations have run on a small store before, often enough for the engine to have compiled them: what is seen is what the
 * size costs (memory that is not in a cache among it, which `Map` pays as well), not a cold start. Each key is read for the first
 * time once, in a store that has written it and in one that has loaded it; then again.
 */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { key, shuffled } from '../data.mjs';
import { time, timeSync, usual } from '../harness.mjs';

const OPERATIONS = 10_000;
const WARMING = 5;
const PULLS = 100;
const text = (what, at) => `${what} ${at} `.padEnd(64, '.');

/** A round among `size` entries. */
export function curve(contender, size) {
  return async () => {
    for (let turn = 0; turn < WARMING; turn += 1) await measure(contender, 1_000);
    return measure(contender, size);
  };
}

async function measure(contender, size) {
  const held = await contender.open();
  const names = Array.from({ length: size }, (_, at) => key(at));
  const values = names.map((_, at) => text('value', at));
  const figures = {};
  figures['write all'] = timeSync(size, () => {
    for (let at = 0; at < size; at += 1) contender.put(held, names[at], values[at]);
    contender.done(held);
  });
  // Anywhere among them, as often at every size.
  const order = shuffled(size);
  const places = Array.from({ length: OPERATIONS }, (_, at) => names[order[at % size]]);
  const first = places.slice(0, size);
  figures['read, the first time'] = readAll(contender, held, first);
  figures.read = readAll(contender, held, places);
  const others = places.map((_, at) => text('another', at));
  figures.overwrite = timeSync(OPERATIONS, () => {
    for (let at = 0; at < OPERATIONS; at += 1) contender.put(held, places[at], others[at]);
    contender.done(held);
  });
  const fresh = Array.from({ length: OPERATIONS }, (_, at) => key(size + at));
  figures['write new'] = timeSync(OPERATIONS, () => {
    for (let at = 0; at < OPERATIONS; at += 1) contender.put(held, fresh[at], others[at]);
    contender.done(held);
  });
  if (contender.replicate !== undefined) await copies(contender, held, { size: size + OPERATIONS, names, first, figures });
  await contender.close(held);
  return figures;
}

function readAll(contender, store, names) {
  return timeSync(names.length, () => {
    for (const name of names) assert(contender.get(store, name) !== undefined);
  });
}

/** Saved, loaded and replicated whole, each by the entry; then the answers to single changes. */
async function copies(contender, held, { size, names, first, figures }) {
  let bytes;
  figures.save = await time(size, async () => (bytes = await contender.save(held)));
  const loaded = await contender.open();
  figures.load = await time(size, () => contender.load(loaded, bytes));
  figures['read what was loaded'] = readAll(contender, loaded, first);
  for (const name of names) assert(contender.get(loaded, name) !== undefined);
  for (let at = 0; at < OPERATIONS; at += 1) assert.equal(contender.get(loaded, key(size - OPERATIONS + at)), text('another', at));
  await contender.close(loaded);

  const peer = await contender.open();
  await contender.replicate(held, peer, () => performance.now());
  // What went before has left the engine so much to collect that among 10⁶ answers would wait for it.
  globalThis.gc?.();
  const spent = [];
  for (let at = 0; at < PULLS; at += 1) {
    const question = await peer.replica.exchange(new Uint8Array());
    contender.put(held, names[at], text('change', at));
    contender.done(held);
    const start = performance.now();
    const answer = await held.replica.exchange(question);
    spent.push(performance.now() - start);
    await peer.replica.exchange(answer);
    assert.equal(contender.get(peer, names[at]), text('change', at));
  }
  await contender.close(peer);
  figures['answer to one change'] = usual(spent) * 1e6;
}
