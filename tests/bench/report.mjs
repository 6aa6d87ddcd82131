/**
 * What a run of the suite prints, table by table as they are done, and the files that it writes in the end: all of it (`--json
 * FILE`), and the tables as a page (`--markdown FILE`).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { digits, table } from './harness.mjs';
import { below, markdown } from './markdown.mjs';

const OFTEN = 20_000;
/** Options that name a file. */
const FILES = ['--json', '--markdown'];
/** Where it is measured by flag. */
const FLAGS = ['Chromium', 'Deno', 'Bun'];
const json = (url) => JSON.parse(readFileSync(url, 'utf8'));

/** The package that is measured, and who stands beside it. */
const versions = () => ({
  'edge-session': json(new URL('./package.json', import.meta.resolve('edge-session'))).version,
  ...json(new URL('./package.json', import.meta.url)).devDependencies,
});

/** What was called for this to be measured, but for the files. */
function called(place, args) {
  const flags = FLAGS.filter((name) => place.startsWith(name)).map((name) => `--${name.toLowerCase()}`);
  const words = args.filter((word, at) => !FILES.includes(word) && !FILES.includes(args[at - 1]));
  return ['cargo xtask bench', ...flags, ...words].join(' ');
}

export function report({ place, how, rounds, entries }, args) {
  const begun = performance.now();
  const since = () => performance.now() - begun;
  const load = () => os.loadavg()[0].toFixed(1);
  const machine = { place, cpu: os.cpus()[0]?.model, cores: os.cpus().length, memory: os.totalmem(), load: load() };
  const met = { met: 0, missed: 0 };
  const write = (option, text) => {
    if (args.includes(option)) writeFileSync(args[args.indexOf(option) + 1], text);
  };
  console.log(`${place} on ${machine.cores} × ${machine.cpu}, medians of ${rounds} interleaved rounds, ${how}, load ${machine.load}`);
  let told = since();
  return {
    /** What is being done: on a terminal at once, in a log now and then. */
    tell(what) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
      else if (since() - told > OFTEN) {
        told = since();
        process.stderr.write(`… ${what} (${Math.round(told / 1_000)} s)\n`);
      }
    },
    /** One part's table; how busy the machine was is noted with what is known of it. */
    show(title, rows, part) {
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
      for (const verdict of rows.map((row) => row.at(-1))) if (verdict in met) met[verdict] += 1;
      part.load = load();
      console.log(`\n${table(title, rows)}\n${below(part).map((line) => `  (${line})`).join('\n')}`);
    },
    /** A contender that failed its checks, or did not run, fails the run. */
    end(results) {
      const failed = Object.entries(results).flatMap(([title, part]) => Object.keys(part.failed).map((name) => `${name} (${title})`));
      console.log(`\n${met.met} goals met, ${met.missed} missed, after ${digits(since() / 60_000)} minutes`);
      const run = { date: new Date().toISOString(), command: called(place, args), machine, versions: versions(), how, rounds, entries, ...met, seconds: Math.round(since() / 1_000), results };
      write('--json', `${JSON.stringify(run, null, 2)}\n`);
      write('--markdown', markdown(run));
      if (failed.length === 0) return;
      console.error(`without a right result: ${failed.join(', ')}`);
      process.exitCode = 1;
    },
  };
}
