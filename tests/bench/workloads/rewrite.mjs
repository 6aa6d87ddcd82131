/**
 * W2b: keys that were read are overwritten at random; and each is read and overwritten in turn, as who changes what is there does.
 * No key is written twice in a pass, so that nothing takes the place of what has not left yet.
 */
import { entries, shuffled, VALUES } from '../data.mjs';
import { timeSync } from '../harness.mjs';
import { canonical, check, fill, readAll } from './store.mjs';

/** Figures in ns an operation; to read and overwrite is one. */
export async function rewrites(contender, count, kind) {
  const { keys, values } = entries(count, kind);
  const order = shuffled(count);
  const places = order.map((at) => keys[at]);
  const [others, last] = [1, 2].map((pass) => order.map((at) => VALUES[kind](at + pass * count)));
  const expected = (written) => written.map(canonical);
  const [overwritten, rewritten] = [expected(others), expected(last)];
  return async () => {
    const store = await contender.open();
    const figures = {};
    fill(contender, store, keys, values);
    readAll(contender, store, order, (at) => keys[at]);
    figures['W2b overwrite, at random'] = timeSync(count, () => fill(contender, store, places, others));
    check(contender, store, places, overwritten);
    let found = 0;
    figures['W2b read and overwrite, at random'] = timeSync(count, () => {
      for (let at = 0; at < count; at += 1) {
        if (contender.get(store, places[at]) !== undefined) found += 1;
        contender.put(store, places[at], last[at]);
      }
      contender.done(store);
    });
    if (found !== count) throw new Error(`${count - found} of ${count} were not there`);
    check(contender, store, places, rewritten);
    await contender.close(store);
    return figures;
  };
}
