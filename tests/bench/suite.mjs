/**
 * The workloads: what is measured with which contenders, in rounds. Where a contender runs is handed in: `start` makes its part
 * of a workload ready in a process, a page, or here. So are figures that need files or processes, as `extra`.
 */
import { few, FLOOR, OURS, STORES, TOKENS, VECTORS } from './contenders.mjs';
import { lines, verdicts } from './goals.mjs';
import { interleave } from './harness.mjs';

/** What the command line asks for. */
export function options(args) {
  const option = (name, otherwise) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : otherwise);
  const quick = args.includes('--quick');
  return {
    rounds: option('--rounds', quick ? 3 : 9),
    // Milliseconds; one round it is in any case. An engine compiles what has run for a while.
    warming: quick ? 1_000 : 3_000,
    entries: option('--entries', quick ? 10_000 : 100_000),
    only: args.includes('--only') ? args[args.indexOf('--only') + 1].split(',') : undefined,
    largest: option('--largest', quick ? 100_000 : 1_000_000),
    chosen: args.filter((arg) => /^W\d+b?$/.test(arg) || arg === 'curve'),
  };
}

/**
 * Measures, and answers all that it knows of each part; `show` gets the rows of a part's table when it is done. `absent` are
 * contenders that do not run in this place, `share` is how much of the goals' ratios is asked for, `others` how many entries
 * there are of other values than ASCII.
 */
export async function suite({ start, absent = [], only, share = 1, rounds, warming, entries, others = entries, largest, chosen, tell, show, extra = {} }) {
  const wanted = (...names) => chosen.length === 0 || names.some((name) => chosen.includes(name));
  const results = {};

  const measure = async (names, part, args, turns = rounds) => {
    const running = new Map();
    try {
      for (const name of names.filter((name) => !absent.includes(name) && (only?.includes(name) ?? true))) {
        tell(`${name} makes itself ready`);
        const started = await start(name, part, args(name)).catch((error) => ({ run: () => Promise.reject(error), close() {} }));
        running.set(name, started);
      }
      return await interleave(new Map([...running].map(([name, { run }]) => [name, run])), turns, tell, { warming });
    } finally {
      for (const { close } of running.values()) await close();
    }
  };
  const add = async (title, work, note) => {
    const begun = performance.now();
    tell(title);
    const { figures, failed = {}, all } = await work();
    const judged = Object.fromEntries(Object.entries(figures).map(([what, by]) => [what, verdicts(title, what, by, share)]));
    const seconds = Math.round((performance.now() - begun) / 1_000);
    results[title] = { seconds, note, figures, verdicts: judged, failed, rounds: all };
    const rows = Object.entries(figures).flatMap(([what, by]) => lines(what, by, judged[what]));
    show(title, rows, results[title]);
  };

  const stores = Object.keys(STORES);
  const syncing = stores.filter((name) => name !== FLOOR && name !== 'TinyBase');
  const fewer = (count, kind) => `${stores.filter((name) => few(name, count, kind) < count).join(', ')}: ${Math.ceil(count / 10)} entries`;
  if (wanted('W1', 'W2', 'W3', 'W4', 'W6')) {
    for (const [kind, count] of Object.entries({ ascii: entries, unicode: others, object: others })) {
      const note = `${fewer(count, kind)}, but for reused and fresh keys`;
      await add(`${count} entries, ${kind}`, () => measure(stores, 'store', (name) => [few(name, count, kind), kind, count]), note);
    }
  }
  if (wanted('W2b')) {
    for (const [count, kind] of [[Math.ceil(entries / 10), 'ascii'], [entries, 'ascii'], [Math.ceil(entries / 10), 'object']]) {
      // Who has fewer entries elsewhere has no part here.
      const quick = stores.filter((name) => few(name, count, kind) === count);
      await add(`${count} entries written over, ${kind}`, () => measure(quick, 'rewrites', () => [count, kind]));
    }
  }
  if (wanted('W4b')) await add(`${entries} entries of three origins`, () => measure(syncing, 'pull', (name) => [few(name, entries)]), fewer(entries));
  if (wanted('W5')) await add('10,000 concurrent writes on each side', () => measure(syncing, 'concurrent', () => [10_000]));
  if (wanted('W7')) for (const count of [8, 100, 10_000]) await add(`vectors of ${count} replicas`, () => measure(VECTORS, 'vectors', () => [count]));
  if (wanted('W8')) for (const count of [3, 16, 256]) await add(`tokens, ${count} dependencies`, () => measure(TOKENS, 'tokens', () => [count]));
  for (const [title, { names, work }] of Object.entries(extra)) if (wanted(...names)) await add(title, async () => single(await work(rounds)));
  if (wanted('curve')) await add('curves: ns an operation among so many entries', () => curves(measure, largest, rounds));
  return results;
}

/** Figures by size, from a thousand to `largest`, and how much they have grown on the way. */
async function curves(measure, largest, rounds) {
  const all = { figures: {}, failed: {}, all: {} };
  const seen = new Map();
  for (let size = 1_000; size <= largest; size *= 10) {
    // A million entries take seconds to fill: three rounds of them are enough.
    const { figures, failed, all: each } = await measure([FLOOR, OURS], 'curve', () => [size], size > 100_000 ? Math.min(rounds, 3) : rounds);
    for (const [what, by] of Object.entries(figures)) {
      seen.set(what, [...(seen.get(what) ?? []), by]);
      all.figures[`${what} among ${size}`] = by;
      all.all[`${what} among ${size}`] = each[what];
    }
    for (const [name, why] of Object.entries(failed)) all.failed[`${name} among ${size}`] = why;
  }
  for (const [what, list] of seen) {
    const [least, most] = [list[0], list.at(-1)];
    const grown = Object.keys(most).filter((name) => least[name] !== undefined).map((name) => [name, most[name] / least[name]]);
    all.figures[`grown: ${what}`] = Object.fromEntries(grown);
  }
  // One table, its rows by operation and not by size.
  const order = [...seen.keys()];
  const place = (name) => order.findIndex((what) => name.startsWith(`${what} among`) || name === `grown: ${what}`);
  all.figures = Object.fromEntries(Object.entries(all.figures).sort(([a], [b]) => place(a) - place(b)));
  return all;
}

/** Figures of ours alone. */
const single = (figures) => ({ figures: Object.fromEntries(Object.entries(figures).map(([what, figure]) => [what, { [OURS]: figure }])) });
