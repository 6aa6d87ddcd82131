/**
 * `cargo xtask bench`: the store, its tokens and its package beside what users would otherwise pick, in one run.
 *
 * What the figures mean: `× Map` is how many times the floor ours costs, `ahead ×` how many times ours the best peer costs.
 * Peers carry richer types, and most of them history; ours carries the guarantees, all of them on. Options: `--quick` (three
 * rounds of a tenth), `--entries N`, `--rounds N`, `--json FILE`, and names of workloads (`W1 W8 …`).
 */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { digits, interleave, ratios, table } from './harness.mjs';
import * as automerge from './stores/automerge.mjs';
import * as ours from './stores/edge-session.mjs';
import * as loro from './stores/loro.mjs';
import * as map from './stores/map.mjs';
import * as tinybase from './stores/tinybase.mjs';
import * as yjs from './stores/yjs.mjs';
import * as ywasm from './stores/ywasm.mjs';
import { memory, startup } from './workloads/footprint.mjs';
import { workload } from './workloads/store.mjs';
import { concurrent, pull } from './workloads/sync.mjs';
import { contenders } from './workloads/tokens.mjs';

const args = process.argv.slice(2);
const option = (name, otherwise) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : otherwise);
const quick = args.includes('--quick');
const ROUNDS = option('--rounds', quick ? 3 : 9);
const ENTRIES = option('--entries', quick ? 10_000 : 100_000);
const file = args.includes('--json') ? args[args.indexOf('--json') + 1] : undefined;
const chosen = args.filter((arg) => /^W\d+b?$/.test(arg));
const wanted = (...names) => chosen.length === 0 || names.some((name) => chosen.includes(name));

const STORES = [map, ours, yjs, ywasm, loro, tinybase.plain, tinybase.mergeable, automerge];
const SYNCING = [ours, yjs, ywasm, loro, automerge];
const PEERS = new Set([...STORES, ...['fast-jwt', 'jose', 'iron-session'].map((name) => ({ name }))].map((one) => one.name).filter((name) => name !== 'Map' && name !== ours.name));

// The goals: [most times a Map, least times ahead of the best peer, at most].
const GOALS = {
  'W1 write': [6, 3],
  'W2 overwrite': [, 6],
  'W2 bytes of memory an overwrite': [, , 2],
  'W3 read, reused keys': [1.3, 1],
  'W3 read, fresh keys': [1.3, 1],
  'W4 encode': [, 5],
  'W4 apply': [, 10],
  'W4 in all, first read included': [, 3],
  'W4 bytes an entry': [, , 86],
  'W4b pull of one change': [, 2, 12_000],
  'W4b bytes': [, , 120],
  'W5 merge both ways': [, 5],
  'W6 save': [, 2],
  'W6 load': [, 1],
  'W6 bytes an entry': [, , 90],
  'W8 bytes, 3 dependencies': [, , 360],
  'W9 bytes an entry, wasm': [, , 160],
  'W9 bytes an entry, in all': [, , 300],
  'W10 import + first operation, ms': [, , 15],
  'W10 instance, ms': [, , 0.3],
  'W10 memory of an instance, KiB': [, , 256],
};

const results = {};
const rows = [];
const tell = (what) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${what}`);

function add(title, { figures, failed = {} }) {
  results[title] = { figures, failed };
  rows.push([title]);
  for (const [what, by] of Object.entries(figures)) {
    const { ours: own, toMap, best, ahead } = ratios(by, PEERS);
    const goal = GOALS[what] ?? (what.startsWith('W8 seal') ? [, 2] : []);
    const met = own !== undefined && !(goal[0] < toMap) && !(ahead < goal[1]) && !(goal[2] < own);
    const aim = [goal[0] && `≤ ${goal[0]}× Map`, goal[1] && `≥ ${goal[1]}×`, goal[2] && `≤ ${goal[2]}`].filter(Boolean).join(', ');
    const unit = /bytes|ms|KiB/.test(what) ? '' : 'ns';
    rows.push([`  ${what}`, unit, digits(own), digits(toMap), best ?? '', digits(by[best]), digits(ahead), aim, aim === '' ? '' : met ? 'met' : 'missed']);
  }
  for (const [name, why] of Object.entries(failed)) rows.push([`  ${name} did not run: ${why}`]);
}

const single = (figures) => ({ figures: Object.fromEntries(Object.entries(figures).map(([what, figure]) => [what, { [ours.name]: figure }])) });
const slow = new Set(STORES.filter((store) => store.slow).map((store) => store.name));
const round = (stores, work, ...rest) => interleave(new Map(stores.map((store) => [store.name, work(store, ...rest)])), ROUNDS, tell, slow);

if (wanted('W1', 'W2', 'W3', 'W4', 'W6')) {
  for (const kind of ['ascii', 'unicode', 'object']) add(`${ENTRIES} entries, ${kind}`, await round(STORES, workload, ENTRIES, kind));
}
if (wanted('W4b')) add(`${ENTRIES} entries of three origins`, await round(SYNCING, pull, ENTRIES));
if (wanted('W5')) add('10,000 concurrent writes on each side', await round(SYNCING, concurrent, 10_000));
if (wanted('W8')) for (const count of [3, 16, 256]) add(`tokens, ${count} dependencies`, await interleave(await contenders(count, 200), ROUNDS, tell));
if (wanted('W9')) add('memory', single(memory(ENTRIES)));
if (wanted('W10')) add('the package', single(startup(ROUNDS)));
tell('');

const machine = { node: process.version, cpu: os.cpus()[0]?.model, cores: os.cpus().length };
console.log(`Node ${machine.node} on ${machine.cores} × ${machine.cpu}, medians of ${ROUNDS} interleaved rounds`);
console.log(table(rows));
if (file !== undefined) writeFileSync(file, `${JSON.stringify({ machine, rounds: ROUNDS, entries: ENTRIES, results }, null, 2)}\n`);
