/**
 * `cargo xtask bench`: the store, its tokens and its package beside what users would otherwise pick, in one run.
 *
 * What the figures mean: `× Map` is how many times the floor ours costs, `ahead ×` how many times ours the best peer costs.
 * Peers carry richer types, and most of them history; ours carries the guarantees, all of them on. Options: `--quick` (three
 * rounds of a tenth), `--entries N`, `--rounds N`, `--json FILE`, and names of workloads (`W1 W8 curve …`); the curves run by
 * name alone, up to `--largest N` entries. The same file runs in Deno and Bun, but for what measures Node's processes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { interleave, table } from './harness.mjs';
import * as automerge from './stores/automerge.mjs';
import * as ours from './stores/edge-session.mjs';
import * as loro from './stores/loro.mjs';
import * as map from './stores/map.mjs';
import * as tinybase from './stores/tinybase.mjs';
import * as yjs from './stores/yjs.mjs';
import * as ywasm from './stores/ywasm.mjs';
import { options, single, suite } from './suite.mjs';
import { memory, startup } from './workloads/footprint.mjs';
import { contenders } from './workloads/tokens.mjs';

const args = process.argv.slice(2);
const asked = options(args);
const file = args.includes('--json') ? args[args.indexOf('--json') + 1] : undefined;
const tell = (what) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${what}`);
const { deno, bun } = process.versions;
const place = deno ? `Deno ${deno}` : bun ? `Bun ${bun}` : `Node ${process.version}`;

const extra = {
  async W8(rounds) {
    const titled = async (count) => [`tokens, ${count} dependencies`, await interleave(await contenders(count, 2_000), rounds, tell)];
    const tables = [];
    for (const count of [3, 16, 256]) tables.push(await titled(count));
    return tables;
  },
};
// Both start processes of Node's, with its flags.
if (!deno && !bun) {
  extra.W9 = () => [['memory', single(memory(asked.entries))]];
  extra.W10 = (rounds) => [['the package', single(startup(rounds))]];
}

const machine = { place, cpu: os.cpus()[0]?.model, cores: os.cpus().length };
console.log(`${machine.place} on ${machine.cores} × ${machine.cpu}, medians of ${asked.rounds} interleaved rounds`);
const results = await suite({
  ...asked,
  stores: [map, ours, yjs, ywasm, loro, tinybase.plain, tinybase.mergeable, automerge],
  rivals: ['Loro', 'Yjs', 'fast-jwt', 'jose', 'iron-session'],
  tell,
  show(title, rows) {
    tell('');
    console.log(`\n${table(title, rows)}`);
  },
  extra,
  module: readFileSync(new URL('./vectors.wasm', import.meta.url)),
});

if (file !== undefined) writeFileSync(file, `${JSON.stringify({ machine, rounds: asked.rounds, entries: asked.entries, results }, null, 2)}\n`);
