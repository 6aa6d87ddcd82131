// The page for everybody: by keyboard alone, on a phone, with less motion; and the package without a bundler.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { URL, answered, inBrowser, setLag } from './page.mjs';

const focused = (page) => page.evaluate(() => {
  const { activeElement } = document;
  if (activeElement === document.body) return null;
  // A switch and a radio are drawn by the element behind them.
  const drawn = /^(checkbox|radio)$/.test(activeElement.type) ? activeElement.nextElementSibling : activeElement;
  return { id: activeElement.id || activeElement.dataset.request || activeElement.dataset.road || activeElement.getAttribute('aria-label') || activeElement.value || activeElement.textContent, outline: getComputedStyle(drawn).outlineStyle };
});

test('the keyboard reaches every control, in order, and is never trapped', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  const expected = await page.evaluate(() => [...document.querySelectorAll('a[href], button, input, select, [tabindex="0"]')]
    .filter((element) => !element.disabled && (element.type !== 'radio' || element.checked)).length);
  const visited = [];
  for (let press = 0; press < expected; press += 1) {
    await page.keyboard.press('Tab');
    const now = await focused(page);
    assert.ok(now, `after ${visited.map(({ id }) => id).join(', ')}`);
    assert.notEqual(now.outline, 'none', `the focus shows on ${now.id}`);
    visited.push(now);
  }
  assert.equal(new Set(visited.map(({ id }) => id)).size >= expected - 3, true, 'the four plays have one name');
  await page.keyboard.press('Tab');
  const after = await focused(page);
  assert.ok(after === null || after.id === visited[0].id, 'past the last control the keyboard leaves the page');
}));

test('by keyboard alone: choose an edge, write, switch a guarantee off, read', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter'); // skip to the session
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowLeft'); // from Tokyo to Paris
  assert.equal(await page.getByRole('radio', { name: 'Paris' }).isChecked(), true);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter'); // add a book
  await page.getByRole('status').filter({ hasText: '1 book' }).waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space'); // read the cart
  await page.getByRole('status').filter({ hasText: 'read the cart' }).filter({ hasText: 'value' }).waitFor();
  await page.getByRole('switch', { name: 'Read Your Writes' }).focus();
  await page.keyboard.press('Space');
  assert.equal(await page.getByRole('switch', { name: 'Read Your Writes' }).isChecked(), false);
}));

test('verdicts are announced, controls have names', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  assert.equal(await page.locator('#verdict').getAttribute('aria-live'), 'polite');
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, select')].filter((control) =>
    !(control.getAttribute('aria-label') || control.labels?.[0]?.textContent.trim() || (control.tagName === 'BUTTON' && control.textContent.trim()))).map(({ outerHTML }) => outerHTML));
  assert.deepEqual(nameless, []);
}));

for (const [name, viewport] of [['a phone', { width: 390, height: 844 }], ['a small phone', { width: 320, height: 640 }], ['a tablet', { width: 820, height: 1180 }]]) {
  test(`on ${name} nothing is wider than the screen, and requests work`, () => inBrowser({ viewport, hasTouch: true }, async ({ tab }) => {
    const page = await tab();
    await answered(page, 'Paris', 'add a book');
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  }));
}

test('with less motion no message moves, and all are counted', () => inBrowser({ reducedMotion: 'reduce' }, async ({ tab }) => {
  const page = await tab();
  await page.evaluate(() => {
    window.moved = 0;
    new MutationObserver((changes) => { window.moved += changes.flatMap(({ addedNodes }) => [...addedNodes]).length; }).observe(document.querySelector('.messages'), { childList: true });
  });
  const before = await page.locator('#traffic').textContent();
  await setLag(page, 500);
  await answered(page, 'Paris', 'add a book');
  await page.waitForFunction((before) => document.getElementById('traffic').textContent !== before, before);
  assert.equal(await page.evaluate(() => window.moved), 0);
}));

test('with motion, messages move', () => inBrowser({ reducedMotion: 'no-preference' }, async ({ tab }) => {
  const page = await tab();
  await setLag(page, 2000);
  await answered(page, 'Paris', 'add a book');
  await page.locator('.messages circle').first().waitFor({ state: 'attached' });
}));

test('a page without a bundler imports the package', () => inBrowser({}, async ({ context }) => {
  const page = await context.newPage();
  await page.route(`${URL}bare.html`, (route) => route.fulfill({
    contentType: 'text/html',
    body: `<!doctype html><link rel="icon" href="data:,"><script type="module">
      import { openReplica, pair } from '/pkg/bundle.js';
      const [left, right] = pair();
      const tokyo = await openReplica({ connect: left });
      const paris = await openReplica({ connect: right });
      const ann = tokyo.session();
      await ann.set('cart', ['book']);
      const there = paris.session(await ann.sealed());
      document.body.dataset.cart = JSON.stringify(await there.get('cart'));
    </script>`,
  }));
  await page.goto(`${URL}bare.html`);
  await page.locator('body[data-cart]').waitFor({ state: 'attached', timeout: 15_000 });
  assert.equal(await page.locator('body').getAttribute('data-cart'), '["book"]');
}));
