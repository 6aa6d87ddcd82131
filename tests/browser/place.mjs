// A place of its own for real tabs: an origin that serves a blank page and the installed package, and a Chromium that behaves as
// users' do (bfcache on, tabs that may be frozen). Every test gets a profile of its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const PACKAGE = fileURLToPath(new URL('../node_modules/edge-session/', import.meta.url));

// The page keeps what it opens in globals, so that a test can go on with it after the page was put aside.
const PAGE = `<!doctype html><link rel="icon" href="data:,"><title>tab</title>
<script type="importmap">{ "imports": { "#wasm": "/pkg/wasm/inline.js" } }</script>
<script type="module">
  import * as es from '/pkg/bundle.js';
  window.es = es;
  window.errors = [];
  window.start = async (options = {}) => {
    const { storage = es.idb('shop'), ...rest } = options;
    window.db = await es.openReplica({ storage, ...rest });
    window.events = [];
    db.on('error', (error) => errors.push([error.code, error.message, String(error.cause?.message ?? '')]));
    db.on('renamed', (event) => events.push(event));
    window.me = db.session({ timeout: 20_000 });
    return db.id;
  };
  window.until = async (test, what) => {
    for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((rest) => setTimeout(rest, 20))) if (await test()) return;
    throw new Error('waited in vain: ' + what);
  };
  window.plain = (url) => ({ kind: 'plain', open: ({ signal }, onPeer) => new Promise((opened) => {
    const socket = Object.assign(new WebSocket(url), { binaryType: 'arraybuffer' });
    signal.addEventListener('abort', () => socket.close());
    socket.onopen = () => {
      const readable = new ReadableStream({ start: (c) => { socket.onmessage = ({ data }) => c.enqueue(new Uint8Array(data)); socket.onclose = () => c.close(); } });
      onPeer({ readable, writable: new WritableStream({ write: (bytes) => socket.send(bytes), abort: () => socket.close() }) });
      opened();
    };
  }) });
  window.ready = true;
</script>`;

/** Serves the page at every path, and the package below /pkg/. `upgrade` takes WebSockets. */
export async function serve(upgrade) {
  const server = createServer(({ url }, response) => {
    const path = new URL(url, 'http://x').pathname;
    const file = join(PACKAGE, normalize(path.slice('/pkg'.length)));
    if (!path.startsWith('/pkg/')) return response.setHeader('Content-Type', 'text/html').end(PAGE);
    if (!file.startsWith(PACKAGE) || !existsSync(file)) return response.writeHead(404).end();
    response.setHeader('Content-Type', file.endsWith('.js') ? 'text/javascript' : 'application/octet-stream');
    createReadStream(file).pipe(response);
  });
  if (upgrade !== undefined) server.on('upgrade', upgrade);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}

export const LAUNCH = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
  ignoreDefaultArgs: ['--disable-back-forward-cache'],
};

/** Runs `test({ url, context, tab })` in a fresh profile; `tab(path)` is one more tab, which has loaded the package. */
export async function withTabs(test, { upgrade } = {}) {
  const place = await serve(upgrade);
  const browser = await chromium.launch(LAUNCH);
  try {
    const context = await browser.newContext();
    await test({ url: place.url, context, tab: (path = '') => tabIn(context, place.url + path) });
  } finally {
    await browser.close();
    await place.close();
  }
}

/**
 * The same where tabs can be frozen, which the driver prevents elsewhere: it tells every page that it is in front. `freeze(page)`
 * freezes one, as Chromium does with tabs in the background, and answers how to resume it.
 */
export async function withFreezableTabs(test, { upgrade } = {}) {
  const [place, profile] = [await serve(upgrade), await mkdtemp(join(tmpdir(), 'edge-session-profile-'))];
  const program = spawn(LAUNCH.executablePath, [...LAUNCH.args, '--headless=new', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'], { stdio: 'ignore' });
  const over = new Promise((resolve) => program.on('exit', resolve));
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${await debuggingPort(profile)}`, { noDefaults: true });
  try {
    const [context] = browser.contexts();
    const freeze = async (page) => {
      const devtools = await context.newCDPSession(page);
      await page.evaluate(() => document.addEventListener('freeze', () => { window.frozen = (window.frozen ?? 0) + 1; }));
      await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
      // It is answered before the page has heard of it; a frozen page still answers its debugger.
      while ((await page.evaluate(() => window.frozen)) !== 1) await new Promise((rest) => setTimeout(rest, 5));
      return async () => {
        await devtools.send('Page.setWebLifecycleState', { state: 'active' });
        assert.equal(await page.evaluate(() => window.frozen), 1, 'the page was frozen');
      };
    };
    await test({ url: place.url, context, tab: (path = '') => tabIn(context, place.url + path), freeze });
  } finally {
    await browser.close();
    program.kill('SIGKILL');
    await over;
    await place.close();
    await forget(profile);
  }
}

/** Removes a profile; Chromium's other processes, which outlive it for a moment, may be writing still. */
export const forget = (profile) => rm(profile, { recursive: true, force: true, maxRetries: 20 });

/** Chromium writes the port that it has chosen into its profile. */
async function debuggingPort(profile) {
  for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((rest) => setTimeout(rest, 50))) {
    const text = await readFile(join(profile, 'DevToolsActivePort'), 'utf8').catch(() => '');
    if (text.includes('\n')) return text.split('\n')[0];
  }
  throw new Error('Chromium did not start');
}

export async function tabIn(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  await loaded(page);
  return page;
}

/** Waits until the page has loaded the package. */
export const loaded = (page) => page.waitForFunction(() => window.ready === true, null, { timeout: 30_000 });

/** Opens a replica in the tab; answers its id. */
export const start = (page, options) => page.evaluate((given) => start(given), options ?? {});

/** Writes, and waits until it is durable. */
export const put = (page, key, value) => page.evaluate(([k, v]) => me.set(k, v).then(() => undefined), [key, value]);

export const get = (page, key) => page.evaluate((k) => me.get(k), key);

/** What the tab's replica holds: replica to sequence. */
export const vector = (page) => page.evaluate(() => db.inspect().vectors.default ?? {});

/** Closes the tab's replica. */
export const stop = (page) => page.evaluate(() => db.close());

/** Leaves for another origin's page and comes back; answers whether the page came out of the bfcache. */
export async function away(page, meanwhile = async () => {}) {
  await page.evaluate(() => { window.mark = 1; });
  await page.goto('data:text/html,elsewhere');
  await meanwhile();
  await page.goBack({ waitUntil: 'commit' });
  await loaded(page);
  return page.evaluate(() => window.mark === 1);
}

/** The slots of a pool, as numbers. */
export const slots = (page, name = 'shop') => page.evaluate(async (pool) => (await indexedDB.databases())
  .map((database) => database.name).filter((database) => database.startsWith(`edge-session/${pool}/`))
  .map((database) => Number(database.split('/')[2])).sort((a, b) => a - b), name);

/** Carries the sync protocol between the replicas of two pages until each knows what the other does. */
export async function sync(left, right) {
  const round = (page, message) => page.evaluate(async (bytes) => [...await db.exchange(new Uint8Array(bytes))], message);
  for (const [from, to] of [[left, right], [right, left], [left, right]]) {
    await round(to, await round(from, await round(to, [])));
  }
  assert.deepEqual(await vector(left), await vector(right), 'both hold the same writes');
}
