/**
 * W4b: one change among many entries of three origins, for a peer that is known. W5: two replicas that wrote the same keys at
 * the same time.
 */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { entries } from '../data.mjs';
import { clock, usual } from '../harness.mjs';

// A round ends after so many, or after so many milliseconds: a contender that walks through everything for one change takes long.
const PULLS = 200;
const PATIENCE = 1_000;
const now = () => performance.now();

/** ns a pull (what was asked is at hand, the answer is made), and its bytes. The stores are made once for all rounds. */
export async function pull(contender, count) {
  const { keys } = entries(count, 'ascii');
  const { first, peer } = await threeOrigins(contender, count);
  let next = 0;
  return async () => {
    const begun = now();
    const spent = [];
    let bytes = 0;
    while (spent.length < PULLS && (spent.length < 3 || now() - begun < PATIENCE)) {
      const key = keys[next % count];
      const value = `change ${next}`.padEnd(64, '.');
      const question = await ask(contender, peer);
      contender.put(first, key, value);
      contender.done(first);
      const start = now();
      const answer = await respond(contender, first, question);
      spent.push(now() - start);
      bytes += answer.length;
      next += 1;
      await take(contender, peer, answer);
      assert.equal(contender.get(peer, key), value);
    }
    return { 'W4b pull of one change': usual(spent) * 1e6, 'W4b bytes': bytes / spent.length };
  };
}

/** A store that holds what three have written, and a peer that holds the same. */
async function threeOrigins(contender, count) {
  const { keys, values } = entries(count, 'ascii');
  const stores = [await contender.open(), await contender.open(), await contender.open()];
  const [first] = stores;
  for (const [index, store] of stores.entries()) {
    const own = (list) => list.filter((_, at) => at % stores.length === index);
    fill(contender, store, own(keys), own(values));
    if (store === first) continue;
    await merge(contender, store, first);
    await contender.close(store);
  }
  const peer = await contender.open();
  await merge(contender, first, peer);
  for (let at = 0; at < count; at += 997) assert.equal(contender.get(peer, keys[at]), values[at]);
  return { first, peer };
}

/** ns an entry to take the other's writes of the same keys. */
export function concurrent(contender, count) {
  const { keys, values } = entries(count, 'ascii');
  const reversed = values.toReversed();
  return async () => {
    const [a, b] = [await contender.open(), await contender.open()];
    fill(contender, a, keys, values);
    fill(contender, b, keys, reversed);
    const start = clock();
    await merge(contender, a, b);
    await merge(contender, b, a);
    const spent = clock() - start;
    for (const [at, key] of keys.entries()) {
      const value = contender.get(a, key);
      assert.equal(contender.get(b, key), value);
      assert(value === values[at] || value === reversed[at]);
    }
    await Promise.all([contender.close(a), contender.close(b)]);
    return { 'W5 merge both ways': (spent * 1e6) / (2 * count) };
  };
}

function fill(contender, store, keys, values) {
  if (contender.fill !== undefined) contender.fill(store, keys, values);
  else for (let at = 0; at < keys.length; at += 1) contender.put(store, keys[at], values[at]);
  contender.done(store);
}

const ask = (contender, store) => (contender.replicate === undefined ? contender.vector(store) : store.replica.exchange(new Uint8Array()));
const respond = (contender, store, question) => (contender.replicate === undefined ? contender.since(store, question) : store.replica.exchange(question));
const take = (contender, store, answer) => (contender.replicate === undefined ? contender.load(store, answer) : store.replica.exchange(answer));

async function merge(contender, from, to) {
  if (contender.replicate !== undefined) return contender.replicate(from, to, clock);
  return contender.load(to, contender.since(from, contender.vector(to)));
}
