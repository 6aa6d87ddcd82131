/** A process of its own for W9: one replica, so many entries, and what they take. */
import { openReplica } from 'edge-session';
import { entries } from '../data.mjs';

const count = Number(process.argv[2]);
const { keys, values } = entries(count, 'ascii');
const replica = await openReplica();
const session = replica.session();
const used = () => {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
};
session.sync.set('warm', 'up');
session.satisfied();
const [before, wasmBefore] = [used(), replica.inspect().wasmBytes];
for (let at = 0; at < count; at += 1) session.sync.set(keys[at], values[at]);
session.satisfied();
const [filled, wasmFilled] = [used(), replica.inspect().wasmBytes];
for (let at = 0; at < count; at += 1) session.sync.set(keys[at % 1_000], values[at]);
session.satisfied();
const wasmAfter = replica.inspect().wasmBytes;
const heap = filled - before;
console.log(JSON.stringify({ wasm: (wasmFilled - wasmBefore) / count, all: heap / count, overwrite: Math.max(0, wasmAfter - wasmFilled) / count }));
