/** What a run of the suite prints, table by table as they are done, and the file that it writes in the end. */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { table } from './harness.mjs';

export function report({ place, how, rounds, entries }, args) {
  const begun = performance.now();
  const load = () => os.loadavg()[0].toFixed(1);
  const machine = { place, cpu: os.cpus()[0]?.model, cores: os.cpus().length, load: load() };
  const met = { met: 0, missed: 0 };
  const tell = (what) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${what}`);
  console.log(`${place} on ${machine.cores} × ${machine.cpu}, medians of ${rounds} interleaved rounds, ${how}, load ${machine.load}`);
  return {
    tell,
    show(title, rows) {
      tell('');
      for (const verdict of rows.map((row) => row.at(-1))) if (verdict in met) met[verdict] += 1;
      console.log(`\n${table(title, rows)}\n  (after ${Math.round((performance.now() - begun) / 1_000)} s, load ${load()})`);
    },
    end(results) {
      console.log(`\n${met.met} goals met, ${met.missed} missed`);
      const file = args.includes('--json') ? args[args.indexOf('--json') + 1] : undefined;
      if (file !== undefined) writeFileSync(file, `${JSON.stringify({ machine, rounds, entries, results }, null, 2)}\n`);
    },
  };
}
