// The demo's edges, from a page: what one page orders of them every page shows, one of them is killed, all begin anew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answered, inBrowser, last, power, ready, shows } from './page.mjs';

test('what one tab orders of the roads and the edges, the others show', () => inBrowser({}, async ({ tab }) => {
  const first = await tab();
  const second = await tab();
  await first.getByRole('slider', { name: 'Replication lag' }).fill('250');
  await first.getByRole('button', { name: 'Cut the road between Paris and Tokyo' }).click();
  await second.waitForFunction(() => document.getElementById('lag').value === '250');
  await second.locator('[data-road="paris-tokyo"][aria-pressed="true"]').waitFor();
}));

test('an edge that is killed answers nothing, and has what it had acknowledged when it is back', () => inBrowser({ mayFail: /net::ERR_|WebSocket connection/ }, async ({ tab }) => {
  const page = await tab();
  await answered(page, 'Oregon', 'change the address');
  const [{ version }] = (await answered(page, 'Tokyo', 'log in')).steps;
  await shows(page, 'tab', 'values.login');
  await power(page, 'Tokyo', false);
  try {
    assert.equal(last(await answered(page, 'Tokyo', 'signed in?')).outcome.code, 'UNREACHED');
    await page.getByRole('status').filter({ hasText: 'does not answer' }).waitFor();
    assert.equal(last(await answered(page, 'This tab', 'read the cart')).outcome.state, 'absent', 'others go on');
  } finally {
    await power(page, 'Tokyo', true);
  }
  const { outcome } = last(await answered(page, 'Tokyo', 'signed in?'));
  assert.deepEqual([outcome.state, outcome.entry.version], ['value', version]);
}));

test('a new world knows nothing of the one before', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await answered(page, 'Paris', 'add a book');
  await Promise.all([page.waitForEvent('load'), page.getByRole('button', { name: 'Begin in a new world' }).click()]);
  await ready(page);
  for (const place of ['Paris', 'This tab']) assert.equal(last(await answered(page, place, 'read the cart')).outcome.state, 'absent', place);
}));
