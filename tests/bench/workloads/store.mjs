/**
 * W1 write, W2 overwrite, W3 read, W4 replicate, W6 save and load: one contender's way through one kind of values.
 *
 * Every result is checked, after the clock has stopped where the check would cost something.
 */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { entries, key, shuffled } from '../data.mjs';
import { time, timeSync } from '../harness.mjs';

const HOT = 1_000;
const clock = () => performance.now();

/** Figures in ns an operation, bytes an entry. `count` entries of `kind`. */
export function workload(contender, count, kind) {
  const { keys, values } = entries(count, kind);
  const order = shuffled(count);
  const expected = values.map(canonical);
  const hot = keys.slice(0, HOT);
  return async () => {
    const store = await contender.open();
    const figures = {};
    figures['W1 write'] = timeSync(count, () => fill(contender, store, keys, values));
    check(contender, store, keys, expected);
    figures['W3 read, reused keys'] = timeSync(count, () => read(contender, store, order, (at) => keys[at]));
    figures['W3 read, fresh keys'] = timeSync(count, () => read(contender, store, order, key));
    await copies(contender, store, { keys, expected, count }, figures);

    if (contender.overwrites === false) return figures;
    const changes = Array.from({ length: count }, (_, at) => hot[at % hot.length]);
    figures['W2 overwrite'] = timeSync(count, () => fill(contender, store, changes, values));
    assert.equal(canonical(plain(contender.get(store, hot[0]))), expected[count - hot.length]);
    if (contender.save !== undefined) figures['W2 bytes an entry after'] = (await contender.save(store)).length / count;
    await contender.close(store);
    return figures;
  };
}

function fill(contender, store, keys, values) {
  if (contender.fill !== undefined) contender.fill(store, keys, values);
  else for (let at = 0; at < keys.length; at += 1) contender.put(store, keys[at], values[at]);
  contender.done(store);
}

function read(contender, store, order, name) {
  let found = 0;
  for (let index = 0; index < order.length; index += 1) if (contender.get(store, name(order[index])) !== undefined) found += 1;
  assert.equal(found, order.length);
}

/** Snapshot and load; then the whole state over the contender's own protocol into an empty store, and the first read of all. */
async function copies(contender, store, { keys, expected, count }, figures) {
  if (contender.save === undefined) return;
  let bytes;
  figures['W6 save'] = await time(count, async () => (bytes = await contender.save(store)));
  figures['W6 bytes an entry'] = bytes.length / count;
  const loaded = await contender.open();
  figures['W6 load'] = await time(count, () => contender.load(loaded, bytes));
  check(contender, loaded, keys, expected);
  await contender.close(loaded);

  const empty = await contender.open();
  let [encode, apply] = [0, 0];
  if (contender.replicate !== undefined) {
    const spent = await contender.replicate(store, empty, clock);
    [encode, apply] = [(spent.encode * 1e6) / count, (spent.apply * 1e6) / count];
    figures['W4 bytes an entry'] = spent.bytes / count;
  } else {
    let update;
    const from = contender.vector?.(empty);
    encode = timeSync(count, () => (update = from === undefined ? contender.save(store) : contender.since(store, from)));
    apply = timeSync(count, () => contender.load(empty, update));
    figures['W4 bytes an entry'] = update.length / count;
  }
  const first = timeSync(count, () => read(contender, empty, [...keys.keys()], (at) => keys[at]));
  check(contender, empty, keys, expected);
  await contender.close(empty);
  Object.assign(figures, { 'W4 encode': encode, 'W4 apply': apply, 'W4 in all, first read included': encode + apply + first });
}

function check(contender, store, keys, expected) {
  for (let at = 0; at < keys.length; at += 997) assert.equal(canonical(plain(contender.get(store, keys[at]))), expected[at]);
}

/** A value as text, whatever the order in which a contender keeps the fields of an object. */
function canonical(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What a contender gives back for an object: the object, a map of its own, or the JSON that it was stored as. */
function plain(value) {
  if (typeof value === 'string' && value.startsWith('{')) return JSON.parse(value);
  if (typeof value?.toJSON === 'function') return value.toJSON();
  return value;
}
