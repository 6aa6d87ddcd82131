/**
 * `cargo xtask bench --chromium`: the suite in headless Chromium, bundled, a page (and so a process) for each contender. Goals
 * hold there at 70 % of their ratios. fast-jwt needs Node; memory and starting belong to servers and are measured in Node.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { report } from './report.mjs';
import { options, suite } from './suite.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const args = process.argv.slice(2);
const asked = options(args);
// Ten minutes are enough: other values than ASCII have a tenth of the entries.
const others = Math.ceil(asked.entries / 10);
// Curves are of the core and of memory, which is the same in Node: here they run by name.
if (asked.chosen.length === 0) asked.chosen = ['W1', 'W2', 'W3', 'W4', 'W4b', 'W5', 'W6', 'W7', 'W8'];

// ywasm is published for Node alone: it gets what it asks Node for.
const ywasm = {
  name: 'ywasm on a page',
  setup({ onLoad }) {
    onLoad({ filter: /ywasm\.js$/ }, ({ path }) => {
      const module = readFileSync(path.replace(/\.js$/, '_bg.wasm')).toString('base64');
      const from = (code, what, to) => {
        if (!code.includes(what)) throw new Error(`ywasm no longer says ${what}`);
        return code.replace(what, () => to);
      };
      const bytes = `Uint8Array.from(atob('${module}'), (one) => one.charCodeAt(0))`;
      const contents = [
        ['require(`util`)', 'globalThis'],
        ["require('path').join(__dirname, 'ywasm_bg.wasm')", "''"],
        ["require('fs').readFileSync(path)", bytes],
      ].reduce((code, [what, to]) => from(code, what, to), readFileSync(path, 'utf8'));
      return { contents, loader: 'js' };
    });
  },
};
const { outputFiles } = await build({
  entryPoints: { page: here('./page.mjs') },
  bundle: true,
  splitting: true,
  write: false,
  outdir: '/',
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  external: ['fast-jwt'],
  plugins: [ywasm],
  alias: {
    'node:assert/strict': here('./page/assert.mjs'),
    'node:perf_hooks': here('./page/perf_hooks.mjs'),
    'loro-crdt': here('./node_modules/loro-crdt/base64/index.js'),
    '@automerge/automerge': here('./node_modules/@automerge/automerge/dist/mjs/entrypoints/fullfat_base64.js'),
  },
});
const served = new Map([
  ['/', ['text/html', '<!doctype html><title>bench</title><script type="module" src="/page.js"></script>']],
  ['/vectors.wasm', ['application/wasm', readFileSync(here('./vectors.wasm'))]],
  ...outputFiles.map(({ path, text }) => [path, ['text/javascript', text]]),
]);
// Isolated pages have a clock of microseconds, others one of a tenth of a millisecond.
const headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, chromiumSandbox: false, args: ['--js-flags=--expose-gc --min-semi-space-size=16'] });

const system = await browser.newBrowserCDPSession();
/** Milliseconds of processors that all pages together have taken. */
async function taken() {
  const { processInfo } = await system.send('SystemInfo.getProcessInfo');
  return processInfo.filter(({ type }) => type === 'renderer').reduce((sum, { cpuTime }) => sum + cpuTime * 1_000, 0);
}

/** Waits until the pages rest, for a few seconds at most: none is timed beside what clears away after another. */
async function rest() {
  for (let [turn, before] = [0, await taken()]; turn < 50; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await taken();
    if (now - before < 5) return;
    before = now;
  }
}

async function start(...part) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error));
  await page.route('**', (route) => {
    const [contentType, body] = served.get(new URL(route.request().url()).pathname) ?? [];
    return body === undefined ? route.fulfill({ status: 404 }) : route.fulfill({ contentType, body, headers });
  });
  // A host for each, so that no two share a process.
  await page.goto(`http://${part[0].toLowerCase().replaceAll(' ', '-')}.localhost/`);
  await page.waitForFunction(() => globalThis.ready !== undefined && globalThis.crossOriginIsolated);
  const close = () => page.context().close();
  try {
    await page.evaluate((what) => globalThis.ready(what), part);
  } catch (error) {
    await close();
    throw error;
  }
  const run = async (warming) => {
    await rest();
    return page.evaluate((how) => globalThis.round(how), warming);
  };
  return { run, close };
}

try {
  const { tell, show, end } = report({ ...asked, place: `Chromium ${browser.version()}`, how: 'a page for each contender' }, args);
  end(await suite({ ...asked, others, start, absent: ['fast-jwt'], share: 0.7, tell, show }));
} finally {
  await browser.close();
}
