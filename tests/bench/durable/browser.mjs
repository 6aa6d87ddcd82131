/**
 * Tabs: IndexedDB in headless Chromium, on a disk. Every measurement is a page of its own, which has loaded its scripts and
 * nothing else; the profile, and with it the databases, is one.
 */
import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { entries } from '../data.mjs';

const GROUP = 100;

async function script() {
  const { outputFiles } = await build({ entryPoints: [fileURLToPath(new URL('page.mjs', import.meta.url))], bundle: true, write: false, format: 'esm', target: 'es2022', platform: 'browser', minify: true, logLevel: 'warning' });
  return outputFiles[0].contents;
}

const pairs = (count, kind) => {
  const { keys, values } = entries(count, kind);
  return keys.map((key, at) => [key, values[at]]);
};

/** Contenders for both workloads, and how to end. */
export async function tabs(count, writes) {
  const page = await script();
  const server = createServer(({ url }, response) => {
    if (url === '/page.js') return response.setHeader('Content-Type', 'text/javascript').end(page);
    return response.setHeader('Content-Type', 'text/html').end('<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const profile = await mkdtemp(join(tmpdir(), 'edge-session-bench-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const inPage = async (work, argument) => {
    const tab = await context.newPage();
    try {
      await tab.goto(`http://127.0.0.1:${server.address().port}/`);
      await tab.waitForFunction(() => window.contenders !== undefined);
      return await tab.evaluate(work, argument);
    } finally {
      await tab.close();
    }
  };
  const data = pairs(count, 'ascii');
  const [lastKey, lastValue] = data[count - 1];
  let runs = 0;

  const opening = (name) => async () => {
    const [took, value] = await inPage(async ([contender, key]) => {
      const began = performance.now();
      const value = await window.contenders[contender].open('cold', key);
      return [performance.now() - began, value];
    }, [name, lastKey]);
    if (value !== lastValue) throw new Error(`${name} has not what was written`);
    return { [`P1 cold open of ${count} entries, ms`]: took };
  };
  const writing = (name) => async () => {
    runs += 1;
    const groups = Array.from({ length: writes / GROUP }, (_, at) => data.slice(at * GROUP, (at + 1) * GROUP));
    const took = await inPage(([contender, database, groups]) => window.contenders[contender].sustain(database, groups), [name, `sustained-${runs}`, groups]);
    return { 'P2 durable write through grouping, µs': (took * 1_000) / writes };
  };
  return {
    fill: (name) => inPage(([contender, entries]) => window.contenders[contender].fill('cold', entries), [name, data]),
    opening,
    writing,
    async close() {
      await context.close();
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
      // Its processes may be writing still.
      await rm(profile, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}
