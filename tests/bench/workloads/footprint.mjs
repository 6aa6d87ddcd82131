/** W9 memory an entry, W10 what the package weighs and how long it takes to be there. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { entries } from '../data.mjs';
import { median } from '../harness.mjs';

/** Bytes an entry, in wasm alone and in all, of a process that does nothing else. */
export function memory(count) {
  const figures = JSON.parse(execFileSync(process.execPath, ['--expose-gc', new URL('./memory.mjs', import.meta.url).pathname, String(count)], { encoding: 'utf8' }));
  return { 'W9 bytes an entry, wasm': figures.wasm, 'W9 bytes an entry, in all': figures.all, 'W2 bytes of memory an overwrite': figures.overwrite };
}

/** Sizes as gzip sends them, and milliseconds of fresh processes. */
export function startup(rounds) {
  const spent = Array.from({ length: rounds }, () => JSON.parse(execFileSync(process.execPath, [new URL('./startup.mjs', import.meta.url).pathname], { encoding: 'utf8' })));
  const of = (name) => median(spent.map((one) => one[name]));
  return {
    'W10 import + first operation, ms': of('first'),
    'W10 instance, ms': of('instance'),
    'W10 memory of an instance, KiB': of('memory'),
  };
}

/** Gzipped bytes of files of the installed package. */
export function sizes(files) {
  return Object.fromEntries(Object.entries(files).map(([what, paths]) => [what, paths.reduce((sum, path) => sum + gzipSync(readFileSync(path), { level: 9 }).length, 0)]));
}

export { entries };
