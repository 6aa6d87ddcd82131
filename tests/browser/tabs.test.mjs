// Real tabs of one browser and real edges: tabs sync over BroadcastChannel, share a socket, and keep their data over a reload.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answered, inBrowser, last, ready, shows } from './page.mjs';

test('two tabs see each other’s writes, and so do the edges', () => inBrowser({}, async ({ tab }) => {
  const first = await tab();
  const second = await tab();
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

test('a reloaded tab is the replica that it was, and Ann’s session goes on in it', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await answered(page, 'This tab', 'add a book');
  await answered(page, 'Tokyo', 'log in');
  await shows(page, 'tab', 'values.cart && values.login');
  const who = () => page.evaluate(() => ({ replica: demo.replicas().tab.replica, session: [...document.querySelectorAll('#token-facts dt')].find(({ textContent }) => textContent === 'session').nextElementSibling.textContent }));
  const before = await who();
  await page.reload();
  await ready(page);
  await shows(page, 'tab', 'values.cart?.items.length === 1 && values.login?.signedIn');
  assert.deepEqual(await who(), before);
  assert.equal(last(await answered(page, 'Paris', 'signed in?')).outcome.entry.value.signedIn, true);
}));

test('when the tab with the socket goes, another one takes it over', () => inBrowser({}, async ({ tab }) => {
  const first = await tab();
  const second = await tab();
  await answered(second, 'This tab', 'add a book');
  await shows(first, 'paris', 'values.cart?.items.length === 1');
  await first.close();
  await answered(second, 'This tab', 'add a book');
  await shows(second, 'paris', 'values.cart?.items.length === 2');
}));
