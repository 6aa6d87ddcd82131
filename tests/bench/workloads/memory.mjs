/**
 * A process of its own for W9: one replica, so many entries, and what they take. The texts are the application's, which holds
 * them anyhow; what the store keeps alive of them once nobody else does is told apart.
 */
import { openReplica } from 'edge-session';
import { entries } from '../data.mjs';

const count = Number(process.argv[2]);
let { keys, values } = entries(count, 'ascii');
const hot = keys.slice(0, 1_000);
const replica = await openReplica();
const session = replica.session();
function used() {
  for (let turn = 0; turn < 3; turn += 1) globalThis.gc();
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
}
// The code that runs below is compiled before.
function write(names, texts, times) {
  for (let at = 0; at < times; at += 1) session.sync.set(names[at % names.length], texts[at]);
  session.satisfied();
}
write(['warm', 'up'], values, Math.min(count, 20_000));
const look = () => ({ heap: used(), wasm: replica.inspect().wasmBytes });
const bare = look();
write(keys, values, count);
const filled = look();
// The memory that entries take in the engine when nobody else holds their texts: measured against the arrays without them.
write(hot, values, count);
const after = look();
const wasm = (filled.wasm - bare.wasm) / count;
const all = wasm + (filled.heap - bare.heap) / count;
const overwrite = Math.max(0, after.wasm + after.heap - filled.wasm - filled.heap) / count;
const held = look().heap;
keys = values = undefined;
const left = look().heap;
// Both arrays are gone, of eight bytes a place; what else has gone are texts that the store does not hold.
const texts = all + textBytes() - (held - left - 16 * count) / count;
console.log(JSON.stringify({ wasm, all, overwrite, texts }));

/** What a key and a value take as texts of their own. */
function textBytes() {
  const before = used();
  const fresh = entries(count, 'ascii');
  const bytes = (used() - before) / count - 16;
  return fresh.keys.length === count ? bytes : NaN;
}
