/**
 * W4b: one change among many entries of three origins, for a peer that is known. W5: two replicas that wrote the same keys at
 * the same time.
 */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { entries } from '../data.mjs';

const PULLS = 200;
const clock = () => performance.now();

/** ns a pull (what was asked is at hand, the answer is made), and its bytes. */
export function pull(contender, count) {
  const { keys, values } = entries(count, 'ascii');
  return async () => {
    const stores = [await contender.open(), await contender.open(), await contender.open()];
    const [first] = stores;
    for (const [index, store] of stores.entries()) {
      const own = keys.filter((_, at) => at % stores.length === index);
      for (const [at, key] of own.entries()) contender.put(store, key, values[at]);
      contender.done(store);
      if (store !== first) await merge(contender, store, first);
    }
    const peer = await contender.open();
    await merge(contender, first, peer);
    let [spent, bytes] = [0, 0];
    for (let at = 0; at < PULLS; at += 1) {
      const question = await ask(contender, peer);
      contender.put(first, keys[at], `change ${at}`.padEnd(64, '.'));
      contender.done(first);
      const start = clock();
      const answer = await respond(contender, first, question);
      spent += clock() - start;
      bytes += answer.length;
      await take(contender, peer, answer);
      assert.equal(contender.get(peer, keys[at]), `change ${at}`.padEnd(64, '.'));
    }
    for (const store of [...stores, peer]) await contender.close(store);
    return { 'W4b pull of one change': (spent * 1e6) / PULLS, 'W4b bytes': bytes / PULLS };
  };
}

/** ns an entry to take the other's writes of the same keys, and to read all of them. */
export function concurrent(contender, count) {
  const { keys, values } = entries(count, 'ascii');
  return async () => {
    const [a, b] = [await contender.open(), await contender.open()];
    for (const [index, store] of [a, b].entries()) {
      for (let at = 0; at < count; at += 1) contender.put(store, keys[at], index === 0 ? values[at] : values[count - 1 - at]);
      contender.done(store);
    }
    const start = clock();
    await merge(contender, a, b);
    await merge(contender, b, a);
    const spent = clock() - start;
    for (const key of keys) assert.equal(contender.get(a, key), contender.get(b, key));
    await Promise.all([contender.close(a), contender.close(b)]);
    return { 'W5 merge both ways': (spent * 1e6) / (2 * count) };
  };
}

const ask = (contender, store) => (contender.replicate === undefined ? contender.vector(store) : store.replica.exchange(new Uint8Array()));
const respond = (contender, store, question) => (contender.replicate === undefined ? contender.since(store, question) : store.replica.exchange(question));
const take = (contender, store, answer) => (contender.replicate === undefined ? contender.load(store, answer) : store.replica.exchange(answer));

async function merge(contender, from, to) {
  if (contender.replicate !== undefined) return contender.replicate(from, to, clock);
  return contender.load(to, contender.vector === undefined ? contender.save(from) : contender.since(from, contender.vector(to)));
}
