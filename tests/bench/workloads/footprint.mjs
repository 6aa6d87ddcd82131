/** W9 memory an entry, W10 what the package weighs and how long it takes to be there. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { median } from '../harness.mjs';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const child = (...args) => JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));

/** The median of each figure that fresh processes tell. */
function medians(rounds, ...args) {
  const told = Array.from({ length: rounds }, () => child(...args));
  return (name) => median(told.map((one) => one[name]));
}

/** Bytes an entry, in wasm alone and in all, of processes that do nothing else: of an engine's heap half a megabyte comes and goes. */
export function memory(count, rounds) {
  const of = medians(rounds, '--expose-gc', file('./memory.mjs'), String(count));
  return {
    'W9 bytes an entry, wasm': of('wasm'),
    'W9 bytes an entry, in all': of('all'),
    'W9 bytes an entry, texts that nobody else holds included': of('texts'),
    'W2 bytes of memory an overwrite': of('overwrite'),
    [`W2 the same among ${count} entries, memory grows in steps: bytes`]: of('among'),
  };
}

/** Milliseconds of fresh processes, and the memory of an instance. */
export function startup(rounds) {
  const of = medians(rounds, file('./startup.mjs'));
  return {
    'W10 import + first operation, ms': of('first'),
    'W10 instance, ms': of('instance'),
    'W10 memory of an instance, KiB': of('memory'),
  };
}

/** KB of gzip: what a bundler makes of the smallest import, on workerd with the module that is a file of its own there. */
export async function sizes() {
  const module = new URL('./wasm/edge_session.wasm', import.meta.resolve('edge-session'));
  const gzip = (bytes) => gzipSync(bytes, { level: 9 }).length / 1_000;
  const bundle = async (options) => {
    const { outputFiles } = await build({
      stdin: { contents: "export { openReplica } from 'edge-session';", resolveDir: dirname(file('.')) },
      bundle: true,
      write: false,
      minify: true,
      format: 'esm',
      target: 'es2022',
      legalComments: 'none',
      outdir: '/out',
      ...options,
    });
    return gzip(outputFiles.find(({ path }) => path.endsWith('.js')).contents);
  };
  return {
    'W10 workerd entry with its module, KB of gzip': (await bundle({ conditions: ['workerd'], loader: { '.wasm': 'copy' } })) + gzip(readFileSync(module)),
    'W10 minimal import, module inline, KB of gzip': await bundle({ platform: 'browser' }),
  };
}
