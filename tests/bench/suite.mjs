/**
 * The workloads and their goals: what is measured with which contenders, in whatever place the code runs.
 *
 * It reads no file and starts no process, so that a page can run it too. What needs either is handed in as `extra`.
 */
import { digits, interleave, ratios } from './harness.mjs';
import { curve } from './workloads/curve.mjs';
import { workload } from './workloads/store.mjs';
import { concurrent, pull } from './workloads/sync.mjs';
import { vectors } from './workloads/vectors.mjs';

export const OURS = 'edge-session';

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
// Of every figure that begins so.
const GOALS_BY_NAME = [
  ['W7', [, 3]],
  ['W8 seal', [, 2]],
];

/** What the command line asks for. */
export function options(args) {
  const option = (name, otherwise) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : otherwise);
  const quick = args.includes('--quick');
  return {
    rounds: option('--rounds', quick ? 3 : 9),
    entries: option('--entries', quick ? 10_000 : 100_000),
    largest: option('--largest', quick ? 100_000 : 1_000_000),
    chosen: args.filter((arg) => /^W\d+b?$/.test(arg) || arg === 'curve'),
  };
}

/**
 * Measures, and answers the figures; `show` gets the rows of each part's table when it is done. `stores` are the contenders, the
 * floor among them; `extra` makes more figures, by workload; `module` are the bytes of the vectors' module.
 */
export async function suite({ stores, rivals = [], rounds, entries, largest, chosen, tell, show, extra = {}, module }) {
  const wanted = (...names) => chosen.length === 0 || names.some((name) => chosen.includes(name));
  const peers = new Set([...stores.map(({ name }) => name), ...rivals].filter((name) => name !== 'Map' && name !== OURS));
  const syncing = stores.filter((store) => store.vector !== undefined || store.replicate !== undefined);
  const slow = new Set(stores.filter((store) => store.slow).map((store) => store.name));
  const round = (list, work, ...rest) => interleave(new Map(list.map((store) => [store.name, work(store, ...rest)])), rounds, tell, slow);
  const results = {};

  const add = async (title, { figures, failed = {} }) => {
    results[title] = { figures, failed };
    const rows = Object.entries(figures).map(([what, by]) => row(what, by, peers));
    for (const [name, why] of Object.entries(failed)) rows.push([`  ${name} did not run: ${why.split('\n')[0].slice(0, 60)}`]);
    await show(title, rows);
  };

  if (wanted('W1', 'W2', 'W3', 'W4', 'W6')) {
    for (const kind of ['ascii', 'unicode', 'object']) await add(`${entries} entries, ${kind}`, await round(stores, workload, entries, kind));
  }
  if (wanted('W4b')) await add(`${entries} entries of three origins`, await round(syncing, pull, entries));
  if (wanted('W5')) await add('10,000 concurrent writes on each side', await round(syncing, concurrent, 10_000));
  if (wanted('W7')) for (const count of [8, 100, 10_000]) await add(`vectors of ${count} replicas`, await interleave(await vectors(module, count), rounds, tell));
  for (const [name, make] of Object.entries(extra)) if (wanted(name)) for (const [title, figures] of await make(rounds, tell)) await add(title, figures);
  if (chosen.includes('curve')) await add('curves: ns an operation over so many entries', await curve(stores.filter(({ name }) => name === 'Map' || name === OURS), largest, rounds, tell));
  return results;
}

function row(what, by, peers) {
  const { ours: own, toMap, best, ahead } = ratios(by, peers);
  const goal = GOALS[what] ?? GOALS_BY_NAME.find(([name]) => what.startsWith(name))?.[1] ?? [];
  const met = own !== undefined && !(goal[0] < toMap) && !(ahead < goal[1]) && !(goal[2] < own);
  const aim = [goal[0] && `≤ ${goal[0]}× Map`, goal[1] && `≥ ${goal[1]}×`, goal[2] && `≤ ${goal[2]}`].filter(Boolean).join(', ');
  const unit = /bytes|ms|KiB/.test(what) ? '' : 'ns';
  return [`  ${what}`, unit, digits(own), digits(toMap), best ?? '', digits(by[best]), digits(ahead), aim, aim === '' ? '' : met ? 'met' : 'missed'];
}

/** Figures of ours alone. */
export const single = (figures) => ({ figures: Object.fromEntries(Object.entries(figures).map(([what, figure]) => [what, { [OURS]: figure }])) });
