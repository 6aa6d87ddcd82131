/**
 * W7: version vectors, encoded, decoded, merged and compared: ours inside wasm as the sync protocol does it, Yjs' state vectors
 * (maps of numbers, merged and compared as its users do), Loro's version vectors, which are wasm objects and do not merge.
 * Automerge and TinyBase have none.
 *
 * Ours are decoded by a replica that holds a vector of the same replicas, as all of a fleet do, and by one that knows none of
 * them: the others keep numbers, and have no such difference. Ours name replicas by up to 26 bytes, 80 bits of them random; Yjs by 32 bits, Loro by 64.
 */
import assert from 'node:assert/strict';
import { OURS } from '../contenders.mjs';
import { timeSync } from '../harness.mjs';

const LONG = 10e6;
const WHAT = ['encode', 'decode', 'decode unknown', 'merge', 'compare'];

const MAKERS = { [OURS]: (module, count) => ours(module, count), Yjs: (_, count) => yjs(count), Loro: (_, count) => loro(count) };

/** A contender's vectors of `count` replicas; figures in ns a vector. */
export async function vectors(name, module, count) {
  const work = await MAKERS[name](module, count);
  return () => Object.fromEntries(WHAT.filter((what) => work[what] !== undefined).map((what) => [`W7 ${what}, ${count} replicas`, often(work[what])]));
}

/** ns each, of as many as take long: one may be over in less than the clock's own time, and a page's clock has steps. */
function often(work) {
  for (let times = 16; ; times *= 4) {
    const each = timeSync(times, () => work(times));
    if (each * times >= LONG) return each;
  }
}

async function ours(module, count) {
  // What the core imports belongs to its bindings, which nothing here calls.
  const imports = new Proxy({}, { get: () => new Proxy({}, { get: (_, name) => () => assert.fail(`${String(name)} was called`), has: () => true }) });
  const { instance } = await WebAssembly.instantiate(module, imports);
  const { prepare, encode, decode, decode_unknown: unknown, merge, compare } = instance.exports;
  assert(prepare(count) > count, 'the laws of vectors hold');
  return { encode, decode, 'decode unknown': unknown, merge, compare };
}

// As many times as asked, and the sum of what comes out, so that nothing is optimised away.
const loop = (work) => (times) => {
  let sum = 0;
  for (let at = 0; at < times; at += 1) sum += work();
  assert(sum >= 0);
};

const sequences = (count, name) => {
  const left = Array.from({ length: count }, (_, at) => [name(at), at + 1_000]);
  const right = left.filter((_, at) => at % 10 !== 9).map(([id, sequence], at) => [id, sequence + (at % 3 === 2 ? 1 : 0)]);
  return [new Map(left), new Map(right)];
};

async function yjs(count) {
  const Y = await import('yjs');
  const [left, right] = sequences(count, (at) => Math.imul(at + 1, 0x9e3779b1) >>> 0);
  const bytes = Y.encodeStateVector(left);
  assert.equal(Y.decodeStateVector(bytes).size, count);
  const decode = loop(() => Y.decodeStateVector(bytes).size);
  const ahead = (a, b) => {
    for (const [id, clock] of b) if ((a.get(id) ?? 0) < clock) return false;
    return true;
  };
  return {
    encode: loop(() => Y.encodeStateVector(left).length),
    decode,
    'decode unknown': decode,
    merge: loop(() => {
      const both = new Map(left);
      for (const [id, clock] of right) if ((both.get(id) ?? 0) < clock) both.set(id, clock);
      return both.size;
    }),
    compare: loop(() => Number(ahead(left, right)) + Number(ahead(right, left))),
  };
}

async function loro(count) {
  const { VersionVector } = await import('loro-crdt');
  const [left, right] = sequences(count, (at) => String(BigInt.asUintN(63, BigInt(at + 1) * 0x9e3779b97f4a7c15n))).map((map) => new VersionVector(map));
  const bytes = left.encode();
  assert.equal(VersionVector.decode(bytes).length(), count);
  const decode = loop(() => {
    const vector = VersionVector.decode(bytes);
    vector.free();
    return 1;
  });
  return {
    encode: loop(() => left.encode().length),
    decode,
    'decode unknown': decode,
    compare: loop(() => (left.compare(right) === undefined ? 1 : 0)),
  };
}
