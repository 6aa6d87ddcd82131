/**
 * A process of its own for W9: one replica, so many entries, and what they take; and before, for W2, what a thousand take more
 * when they have been overwritten 100,000 times, ten times over: the engine's heap by itself comes and goes by half a megabyte. The texts are the application's, which holds
 * them anyhow; what the store keeps of them once nobody else does is told apart.
 */
import { openReplica } from 'edge-session';
import { entries } from '../data.mjs';

const OVERWRITES = 100_000;
const TURNS = 10;
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
function texts(many = count) {
  const { keys, values } = entries(many, 'ascii');
  return [whole(keys), whole(values)];
}

// In a function, for a module's frame would hold the values. The first time the code is compiled that runs below.
const hot = entries(1_000, 'ascii').keys.map((name) => `hot ${name}`);
const overwrite = () => write(hot, texts(OVERWRITES)[1]);
overwrite();
const begun = used();
for (let turn = 0; turn < TURNS; turn += 1) overwrite();
const empty = used();
let [keys, values] = texts();
const bare = used();
write(keys, values);
const filled = used();
write(hot, values);
const after = used();
keys = values = undefined;
const left = used();

const grown = (from, to, what, by = count) => (to[what] - from[what]) / by;
const wasm = grown(bare, filled, 'wasm');
console.log(
  JSON.stringify({
    wasm,
    all: wasm + grown(bare, filled, 'heap'),
    texts: wasm + grown(empty, left, 'heap'),
    overwrite: Math.max(0, grown(begun, empty, 'wasm', TURNS * OVERWRITES) + grown(begun, empty, 'heap', TURNS * OVERWRITES)),
    among: Math.max(0, grown(filled, after, 'wasm') + grown(filled, after, 'heap')),
  }),
);
