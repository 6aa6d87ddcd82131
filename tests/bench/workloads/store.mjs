/**
 * W1 write, W2 overwrite, W3 read, W4 replicate, W6 save and load: one contender's way through one kind of values.
 *
 * Every result is checked, after the clock has stopped where the check would cost something: each entry has to be there, and
 * each value to be the right one while warming up and among ten thousand, one in 997 of more.
 */
import assert from 'node:assert/strict';
import { entries, key, shuffled } from '../data.mjs';
import { clock, time, timeSync } from '../harness.mjs';

const HOT = 1_000;
const ALL = 10_000;
const SAMPLE = 997;
const encoder = new TextEncoder();

/** Figures in ns an operation, bytes an entry. `count` entries of `kind`; reads that are repeated are among `read` of them. */
export async function workload(contender, count, kind, read = count) {
  const { keys, values } = entries(count, kind);
  const order = shuffled(count);
  // Who fills too slowly to be read among fewer has a store for it that serves every round.
  const large = read > count ? await filled(contender, read, kind) : undefined;
  const expected = values.map(canonical);
  const hot = keys.slice(0, HOT);
  // What is there in the end: the last values of the hot keys, and the first ones of all others.
  const live = bytes(keys) + bytes(values.slice(count - hot.length)) + bytes(values.slice(hot.length));
  return async () => {
    const store = await contender.open();
    const figures = {};
    figures['W1 write'] = timeSync(count, () => fill(contender, store, keys, values));
    figures['W3 first read, at random'] = timeSync(count, () => readAll(contender, store, order, (at) => keys[at]));
    check(contender, store, keys, expected);
    if (kind !== 'object') readAgain(contender, large ?? { store, keys, order }, figures, 'read');
    else await readObjects(contender, large ?? { store, keys, order, values, expected }, figures);
    await copies(contender, store, { keys, expected, count }, figures);

    const changes = Array.from({ length: count }, (_, at) => hot[at % hot.length]);
    figures['W2 overwrite'] = timeSync(count, () => fill(contender, store, changes, values));
    check(contender, store, hot, expected.slice(count - hot.length));
    if (contender.save !== undefined) figures['W2 snapshot, × the live data'] = (await contender.save(store)).length / live;
    await contender.close(store);
    return figures;
  };
}

export function fill(contender, store, keys, values) {
  if (contender.fill !== undefined) contender.fill(store, keys, values);
  else for (let at = 0; at < keys.length; at += 1) contender.put(store, keys[at], values[at]);
  contender.done(store);
}

/** A store of `count` entries, to be read. */
async function filled(contender, count, kind) {
  const { keys, values } = entries(count, kind);
  const store = await contender.open();
  fill(contender, store, keys, values);
  check(contender, store, keys, values.map(canonical));
  return { store, keys, order: shuffled(count) };
}

/** Reads of what has been read before. */
function readAgain(contender, { store, keys, order }, figures, how) {
  figures[`W3 ${how}, reused keys`] = timeSync(order.length, () => readAll(contender, store, order, (at) => keys[at]));
  figures[`W3 ${how}, fresh keys`] = timeSync(order.length, () => readAll(contender, store, order, key));
}

/**
 * Reads of objects both ways: each read's own, and the one that is kept, frozen. Only ours does both; of the others each is read in
 * the one way that it has, beside both.
 */
async function readObjects(contender, held, figures) {
  readAgain(contender, held, figures, 'fresh copies');
  const { openFrozen } = contender;
  if (openFrozen === undefined) {
    for (const which of ['reused keys', 'fresh keys']) figures[`W3 read, frozen, ${which}`] = figures[`W3 fresh copies, ${which}`];
    return;
  }
  const { keys, values, order, expected } = held;
  const store = await openFrozen();
  fill(contender, store, keys, values);
  figures['W3 first read, frozen'] = timeSync(order.length, () => readAll(contender, store, order, (at) => keys[at]));
  check(contender, store, keys, expected);
  readAgain(contender, { store, keys, order }, figures, 'read, frozen');
  check(contender, store, keys, expected);
  assert.equal(contender.get(store, keys[0]), contender.get(store, keys[0]));
  await contender.close(store);
}

export function readAll(contender, store, order, name) {
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
  const load = await time(count, () => contender.load(loaded, bytes));
  const all = [...keys.keys()];
  const firstRead = timeSync(count, () => readAll(contender, loaded, all, (at) => keys[at]));
  Object.assign(figures, { 'W6 load': load, 'W6 load, first read of all included': load + firstRead });
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
  const first = timeSync(count, () => readAll(contender, empty, all, (at) => keys[at]));
  check(contender, empty, keys, expected);
  await contender.close(empty);
  Object.assign(figures, { 'W4 encode': encode, 'W4 apply': apply, 'W4 in all, first read included': encode + apply + first });
}

export function check(contender, store, keys, expected) {
  const step = keys.length > ALL ? SAMPLE : 1;
  for (let at = 0; at < keys.length; at += step) assert.equal(canonical(plain(contender.get(store, keys[at]))), expected[at]);
}

/** How many bytes texts have, and other values as JSON. */
const bytes = (list) => list.reduce((sum, one) => sum + encoder.encode(typeof one === 'string' ? one : JSON.stringify(one)).length, 0);

/** A value as text, whatever the order in which a contender keeps the fields of an object. */
export function canonical(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What a contender gives back for an object: the object, or a map of its own. */
function plain(value) {
  if (typeof value?.toJSON === 'function') return value.toJSON();
  return value;
}
