/**
 * A process of its own for W9: one replica, so many entries, and what they take. The texts are the application's, which holds
 * them anyhow; what the store keeps of them once nobody else does is told apart.
 */
import { openReplica } from 'edge-session';
import { entries } from '../data.mjs';

const count = Number(process.argv[2]);
const replica = await openReplica();
const session = replica.session();

/** Bytes of the engine's heap and of wasm. */
function used() {
  for (let turn = 0; turn < 3; turn += 1) globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed + arrayBuffers, wasm: replica.inspect().wasmBytes };
}
function write(names, texts) {
  for (let at = 0; at < texts.length; at += 1) session.sync.set(names[at % names.length], texts[at]);
  session.satisfied();
}
/** Texts of their own, each in one piece. */
const whole = (list) => list.map((text) => Buffer.from(text).toString('latin1'));
function texts() {
  const { keys, values } = entries(count, 'ascii');
  return [whole(keys), whole(values)];
}

// The code that runs below is compiled before; in a function, for a module's frame would hold the values.
const warm = () => write(['warm', 'up'], entries(20_000, 'ascii').values);
warm();
const empty = used();
let [keys, values] = texts();
const bare = used();
write(keys, values);
const filled = used();
write(keys.slice(0, 1_000), values);
const after = used();
keys = values = undefined;
const left = used();

const grown = (from, to, what) => (to[what] - from[what]) / count;
const wasm = grown(bare, filled, 'wasm');
console.log(
  JSON.stringify({
    wasm,
    all: wasm + grown(bare, filled, 'heap'),
    texts: wasm + grown(empty, left, 'heap'),
    overwrite: Math.max(0, grown(filled, after, 'wasm') + grown(filled, after, 'heap')),
  }),
);
