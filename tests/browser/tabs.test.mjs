// Real tabs of one browser: they sync over BroadcastChannel, survive a reload, and hand the edges over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answered, inBrowser, last, ready, shows } from './page.mjs';

test('two tabs see each other’s writes, and so do the edges', () => inBrowser({}, async ({ tab }) => {
  const first = await tab();
  const second = await tab();
  assert.deepEqual([await first.evaluate(() => demo.role), await second.evaluate(() => demo.role)], ['host', 'guest']);

  await answered(first, 'This tab', 'add a book');
  await shows(second, 'tab', 'values.cart?.items.length === 1');
  const read = await answered(second, 'This tab', 'read the cart');
  assert.equal(last(read).outcome.state, 'value');

  await answered(second, 'This tab', 'add a book');
  await shows(first, 'tab', 'values.cart.items.length === 2');
  for (const edge of ['oregon', 'paris', 'tokyo']) await shows(first, edge, 'values.cart?.items.length === 2');
}));

test('a tab writes at an edge, another tab sees it', () => inBrowser({}, async ({ tab }) => {
  const first = await tab();
  const second = await tab();
  await answered(first, 'Tokyo', 'change the address');
  await shows(second, 'tab', 'values.address !== undefined');
}));

test('a reloaded tab comes back with what the others know', () => inBrowser({}, async ({ tab }) => {
  const first = await tab();
  const second = await tab();
  await answered(second, 'This tab', 'add a book');
  await shows(first, 'tab', 'values.cart?.items.length === 1');
  await second.reload();
  await ready(second);
  await shows(second, 'tab', 'values.cart?.items.length === 1');
  const read = await answered(second, 'This tab', 'read the cart');
  assert.equal(last(read).outcome.state, 'value');
}));

test('when the tab with the edges goes, the next takes over and nothing is lost', () => inBrowser({}, async ({ tab }) => {
  const first = await tab();
  const second = await tab();
  await answered(second, 'This tab', 'add a book');
  await answered(first, 'Paris', 'log in');
  await shows(second, 'tab', 'values.cart && values.login');
  await first.close();
  await second.waitForFunction(() => window.demo.role === 'host');
  // New edges with new ids: Ann's session depends on what she wrote as a guest, and they catch up with it.
  const read = await answered(second, 'Tokyo', 'read the cart');
  assert.equal(last(read).outcome.state, 'value');
  assert.equal(last(read).outcome.entry.value.items.length, 1);
  await shows(second, 'oregon', 'values.cart && values.login?.signedIn');
}));

test('a reloaded tab that was alone starts a new world', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await answered(page, 'Paris', 'add a book');
  await page.reload();
  await ready(page);
  await page.waitForFunction(() => window.demo.role === 'host');
  const read = await answered(page, 'Paris', 'read the cart');
  assert.equal(last(read).outcome.state, 'absent');
}));
