/**
 * Measuring: interleaved rounds, medians, one table.
 *
 * Machines are noisy, so a figure by itself means little: contenders take turns within each round, a machine that slows down
 * slows all of them, and what counts is the ratio of medians. Before the rounds that count each warms up, for as
 * long as the others. In Node each contender of `cargo xtask bench` has a process of its own, with the same flags (see
 * apart.mjs): in one process they share a heap, whose garbage and fragmentation one leaves to the next, and inline caches,
 * which see the shapes of all. On Linux the clock stands still while the thread is ready and gets no processor.
 */
import { performance } from 'node:perf_hooks';

/** Milliseconds: the clock's, less those that this thread has waited for a processor where the system tells. */
export const clock = (() => {
  const now = () => performance.now();
  if (globalThis.process?.platform !== 'linux') return now;
  const { openSync, readSync } = process.getBuiltinModule('node:fs');
  const file = openSync('/proc/thread-self/schedstat', 'r');
  const bytes = Buffer.alloc(64);
  return () => now() - Number(bytes.latin1Slice(0, readSync(file, bytes, 0, 64, 0)).split(' ')[1]) / 1e6;
})();

/** Runs `work` and answers nanoseconds an operation. */
export async function time(operations, work) {
  const start = clock();
  await work();
  return ((clock() - start) * 1e6) / operations;
}

/** The same for work without a promise: nothing but the work stands between the two looks at the clock. */
export function timeSync(operations, work) {
  const start = clock();
  work();
  return ((clock() - start) * 1e6) / operations;
}

export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** The mean of the faster nine tenths: what interrupts a single answer is not its cost, and a page's clock has steps. */
export function usual(times) {
  const faster = [...times].sort((a, b) => a - b).slice(0, Math.ceil(times.length * 0.9));
  return faster.reduce((sum, one) => sum + one, 0) / faster.length;
}

const MOST_WARMING = 10;

/**
 * Runs every contender in turn, `rounds` times after it has warmed up for `warming` milliseconds, of which it is told. A contender
 * answers figures by name; one that throws is a contender that cannot do the work, and its reason is kept instead.
 */
export async function interleave(contenders, rounds, tell, { warming = 0 } = {}) {
  const seen = new Map();
  const failed = new Map();
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, run] of contenders) {
      if (failed.has(name)) continue;
      globalThis.gc?.();
      tell(`round ${round} of ${rounds}: ${name}`);
      let figures;
      try {
        const begun = performance.now();
        figures = await run(round === 0);
        if (round === 0) for (let turn = 1; turn < MOST_WARMING && performance.now() - begun < warming; turn += 1) await run(true);
      } catch (error) {
        failed.set(name, String(error?.message ?? error));
        continue;
      }
      if (round === 0) continue;
      for (const [what, figure] of Object.entries(figures)) {
        if (!seen.has(what)) seen.set(what, new Map());
        const by = seen.get(what);
        by.set(name, [...(by.get(name) ?? []), figure]);
      }
    }
  }
  const figures = {};
  for (const [what, by] of seen) figures[what] = Object.fromEntries([...by].map(([name, list]) => [name, median(list)]));
  const all = Object.fromEntries([...seen].map(([what, by]) => [what, Object.fromEntries(by)]));
  return { figures, failed: Object.fromEntries(failed), all };
}

const OURS = 'edge-session';

/** Ratios of one figure: ours to the floor (`Map`), and the best peer to ours (above 1: ours is better). */
export function ratios(by, peers) {
  const ours = by[OURS];
  const rivals = Object.entries(by).filter(([name]) => peers.has(name));
  const best = rivals.reduce((least, one) => (least === undefined || one[1] < least[1] ? one : least), undefined);
  return {
    ours,
    toMap: by.Map === undefined || ours === undefined ? undefined : ours / by.Map,
    best: best?.[0],
    ahead: best === undefined || ours === undefined ? undefined : best[1] / ours,
  };
}

/** One line a figure, under a title. */
export function table(title, rows) {
  const head = [title, 'unit', OURS, '× Map', 'best peer', '', 'ahead ×', 'goal', ''];
  const cells = [head, ...rows];
  const widths = head.map((_, at) => Math.max(...cells.map((row) => String(row[at] ?? '').length)));
  return cells.map((row) => row.map((cell, at) => String(cell ?? '').padEnd(widths[at])).join('  ').trimEnd()).join('\n');
}

/** Three digits are as many as a noisy machine has to say. */
export function digits(figure) {
  if (figure === undefined) return '';
  if (figure >= 100) return Math.round(figure).toLocaleString('en');
  return Number(figure.toPrecision(3)).toString();
}
