// The traces that the native simulator has just written, of so many seeds: TRACES names their directory.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const traces = readdirSync(process.env.TRACES)
  .filter((name) => name.endsWith('.jsonl'))
  .map((name) => ({ seed: Number(name.replace('.jsonl', '')), text: readFileSync(join(process.env.TRACES, name), 'utf8') }))
  .sort((a, b) => a.seed - b.seed);

/** What all replays have compared, together. */
export const sum = (all) => all.reduce((total, one) => Object.fromEntries(Object.entries(one).map(([name, count]) => [name, count + (total[name] ?? 0)])), {});
