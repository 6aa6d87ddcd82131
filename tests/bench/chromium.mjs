/**
 * `cargo xtask bench --chromium`: the suite on a page of headless Chromium, bundled, with the peers that run on a page without
 * more: Yjs, Loro, TinyBase. Tokens, memory and starting belong to servers and are measured in Node.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { table } from './harness.mjs';
import { options } from './suite.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const args = process.argv.slice(2);
const asked = options(args);
const file = args.includes('--json') ? args[args.indexOf('--json') + 1] : undefined;

const { outputFiles } = await build({
  entryPoints: [here('./page.mjs')],
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  alias: { 'node:assert/strict': here('./page/assert.mjs'), 'node:perf_hooks': here('./page/perf_hooks.mjs'), 'loro-crdt': here('./node_modules/loro-crdt/base64/index.js') },
});
const served = new Map([
  ['/', ['text/html', '<!doctype html><title>bench</title><script type="module" src="/page.js"></script>']],
  ['/page.js', ['text/javascript', outputFiles[0].text]],
  ['/vectors.wasm', ['application/wasm', readFileSync(here('./vectors.wasm'))]],
]);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, chromiumSandbox: false, args: ['--js-flags=--expose-gc'] });
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error));
  await page.route('**', (route) => {
    const [contentType, body] = served.get(new URL(route.request().url()).pathname) ?? [];
    return body === undefined ? route.fulfill({ status: 404 }) : route.fulfill({ contentType, body });
  });
  await page.goto('http://localhost/');
  await page.waitForFunction(() => globalThis.bench !== undefined);
  const machine = { place: `Chromium ${browser.version()}`, cpu: os.cpus()[0]?.model, cores: os.cpus().length };
  console.log(`${machine.place} on ${machine.cores} × ${machine.cpu}, medians of ${asked.rounds} interleaved rounds`);
  await page.exposeFunction('show', (title, rows) => console.log(`\n${table(title, rows)}`));
  const results = await page.evaluate((how) => globalThis.bench(how), asked);
  if (file !== undefined) writeFileSync(file, `${JSON.stringify({ machine, rounds: asked.rounds, entries: asked.entries, results }, null, 2)}\n`);
} finally {
  await browser.close();
}
