// What a page does when it is hidden, left and closed: it flushes once, keeps out of nobody's way, and lets go of everything.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { away, loaded, start, stop, withTabs } from './place.mjs';

const PACKAGE = fileURLToPath(new URL('../node_modules/edge-session/', import.meta.url));

test('nothing in the package listens to unload or beforeunload', async () => {
  const files = (await readdir(PACKAGE, { recursive: true })).filter((name) => name.endsWith('.js') && !name.startsWith('node_modules'));
  assert.ok(files.includes('bundle.js') && files.includes(join('entry', 'browser.js')));
  const listens = /(['"`])(before)?unload\1|\bon(before)?unload\b/;
  assert.match("addEventListener('unload', f)", listens);
  for (const name of files) assert.doesNotMatch(await readFile(join(PACKAGE, name), 'utf8'), listens, name);
});

test('a page that uses everything a page can use goes into the bfcache and comes back', () => withTabs(async ({ tab }) => {
  const page = await tab();
  await page.evaluate(async () => {
    await start({ connect: [es.channel('one'), es.shared('two', { kind: 'none', open: () => {} })] });
    window.unflush = es.flushOnHide(db);
    await me.set('k', 1);
  });
  assert.equal(await away(page), true);
  assert.equal(await page.evaluate(() => me.get('k')), 1);
}));

test('flushOnHide flushes when the page is hidden and when it is left, once at a time, until it is stopped', () => withTabs(async ({ tab }) => {
  const page = await tab();
  const counts = await page.evaluate(async () => {
    let [flushes, release] = [0, undefined];
    const replica = { flush: () => new Promise((resolve) => { flushes += 1; release = resolve; }) };
    const settle = async () => { release?.(); await new Promise((rest) => setTimeout(rest)); };
    const hide = (state) => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, value: state });
      document.dispatchEvent(new Event('visibilitychange'));
    };
    const stop = es.flushOnHide(replica);
    const counts = [];
    hide('visible');
    counts.push(flushes);
    hide('hidden');
    dispatchEvent(new PageTransitionEvent('pagehide'));
    counts.push(flushes);
    await settle();
    dispatchEvent(new PageTransitionEvent('pagehide'));
    counts.push(flushes);
    await settle();
    stop();
    hide('hidden');
    dispatchEvent(new PageTransitionEvent('pagehide'));
    counts.push(flushes);
    return counts;
  });
  assert.deepEqual(counts, [0, 1, 2, 2]);
}));

test('close() lets go of every lock, database, channel and listener', () => withTabs(async ({ context, tab }) => {
  await context.addInitScript(() => {
    window.listeners = new Set();
    for (const target of [window, document]) {
      const { addEventListener, removeEventListener } = target;
      const counted = (type) => /^(pagehide|pageshow|freeze|resume|visibilitychange)$/.test(type);
      target.addEventListener = function (type, listener, ...rest) { if (counted(type)) window.listeners.add(listener); return addEventListener.call(this, type, listener, ...rest); };
      target.removeEventListener = function (type, listener, ...rest) { if (counted(type)) window.listeners.delete(listener); return removeEventListener.call(this, type, listener, ...rest); };
    }
    window.channels = 0;
    window.BroadcastChannel = class extends BroadcastChannel {
      constructor(name) { super(name); window.channels += 1; }
      close() { window.channels -= 1; super.close(); }
    };
  });
  const page = await tab();
  await page.evaluate(() => start({ connect: es.shared('shop', { kind: 'none', open: () => {} }) }));
  const held = () => page.evaluate(async () => ({ locks: (await navigator.locks.query()).held.map(({ name }) => name).sort(), listening: listeners.size, channels }));
  await page.evaluate(() => until(async () => (await navigator.locks.query()).held.length === 2, 'the lead'));
  const open = await held();
  assert.deepEqual(open.locks, ['edge-session/shop/0', 'edge-session/shop/leader']);
  assert.ok(open.listening > 0 && open.channels === 2);
  await stop(page);
  await page.evaluate(() => until(async () => (await navigator.locks.query()).held.length === 0, 'no lock'));
  assert.deepEqual(await held(), { locks: [], listening: 0, channels: 0 });
  // A connection that was left open would block the deletion.
  assert.equal(await page.evaluate(() => new Promise((told) => {
    const deletion = indexedDB.deleteDatabase('edge-session/shop/0');
    deletion.onblocked = () => told('blocked');
    deletion.onsuccess = () => told('deleted');
  })), 'deleted');
  await page.reload();
  await loaded(page);
  await start(page);
}));
