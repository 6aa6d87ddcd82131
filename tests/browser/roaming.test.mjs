// Ann's session under lag and partition: what it depends on travels in its token, and an edge that lacks it waits, says
// so, or answers marked stale. Every guarantee is shown to be broken without its switch and kept with it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answered, ask, goTo, inBrowser, last, road, setLag, setSwitch } from './page.mjs';

const NAMES = { 'read-your-writes': 'Read Your Writes', 'monotonic-reads': 'Monotonic Reads', 'monotonic-writes': 'Monotonic Writes', 'writes-follow-reads': 'Writes Follow Reads' };

// Tokyo is an island: both of its roads are cut.
async function island(page, isIsland) {
  for (const other of ['Oregon', 'Paris']) {
    const button = other === 'Oregon' ? road(page, 'Oregon', 'Tokyo') : road(page, 'Paris', 'Tokyo');
    if ((await button.getAttribute('aria-pressed') === 'true') !== isIsland) await button.click();
  }
}

// Waits until the replicas have talked so much that, on whole roads, whatever was written before would have arrived.
async function talk(page) {
  const count = () => Number.parseInt(document.getElementById('traffic').textContent, 10);
  const before = await page.evaluate(count);
  await page.waitForFunction((before) => Number.parseInt(document.getElementById('traffic').textContent, 10) >= before + 14, before);
}

test('a session reads its write at every place that it roams to', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await setLag(page, 300);
  await answered(page, 'Tokyo', 'add a book');
  for (const place of ['Paris', 'Oregon', 'This tab', 'Tokyo']) {
    const { outcome } = last(await answered(page, place, 'read the cart'));
    assert.equal(outcome.state, 'value', place);
    assert.equal(outcome.entry.value.items.length, 1, place);
  }
  assert.deepEqual(await page.evaluate(() => demo.counts().anomalies), { 'read-your-writes': 0, 'monotonic-reads': 0, 'monotonic-writes': 0, 'writes-follow-reads': 0 });
}));

test('the token names every place where the session wrote, and stays the same session’s', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await setLag(page, 0);
  const decoded = async () => Object.fromEntries(await page.locator('#token-facts').evaluate((list) => [...list.querySelectorAll('dt')].map((dt) => [dt.textContent, dt.nextElementSibling.textContent])));
  const before = await decoded();
  for (const place of ['Oregon', 'Paris', 'Tokyo', 'This tab']) await answered(page, place, 'change the address');
  await answered(page, 'Paris', 'log in');
  const after = await decoded();
  assert.equal(after.session, before.session);
  assert.match(after.signed, /^yes/);
  assert.match(after['has written'], /oregon:1.*paris:2.*tab:1.*tokyo:1/);
  assert.equal(await page.locator('#token-text').textContent(), await page.evaluate(() => demo.token));
  assert.match(await page.evaluate(() => demo.token), /^[A-Za-z0-9._~-]+$/);
}));

test('across a partition an edge names the dots that it lacks; healed, it answers', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await setLag(page, 50);
  await island(page, true);
  await page.getByLabel('An edge that is behind').selectOption('throw');
  await answered(page, 'Tokyo', 'log out');
  await talk(page);
  const { outcome } = last(await answered(page, 'Paris', 'signed in?'));
  assert.equal(outcome.state, 'behind');
  assert.deepEqual(outcome.missing.map(({ replica, have, need }) => [replica.split('~')[0], have, need]), [['tokyo', 0, 1]]);
  await page.getByRole('status').filter({ hasText: 'lacks tokyo:1' }).waitFor();

  const refused = last(await answered(page, 'Paris', 'place an order'));
  assert.deepEqual([refused.version, refused.outcome.state], [null, 'behind']);

  await island(page, false);
  await page.getByLabel('An edge that is behind').selectOption('wait');
  const healed = last(await answered(page, 'Paris', 'signed in?'));
  assert.deepEqual([healed.outcome.state, healed.outcome.entry.value.signedIn], ['value', false]);
}));

test('a request that waits across a partition is answered when it heals', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await setLag(page, 50);
  await page.getByLabel('at most').selectOption('20000');
  await island(page, true);
  await answered(page, 'Tokyo', 'add a book');
  await goTo(page, 'Oregon');
  await ask(page, 'read the cart');
  await page.locator('#verdict[data-state="waiting"]').waitFor();
  await talk(page);
  await page.locator('[data-replica="oregon"] .behind').waitFor();
  assert.equal(await page.locator('#verdict').getAttribute('data-state'), 'waiting');
  await island(page, false);
  await page.locator('#verdict[data-state="value"]').waitFor({ timeout: 20_000 });
}));

test('served stale, the answer says so, and the checker does not call it an anomaly', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await island(page, true);
  await setLag(page, 50);
  await page.getByLabel('An edge that is behind').selectOption('serve');
  await answered(page, 'Tokyo', 'add a book');
  await talk(page);
  const { outcome } = last(await answered(page, 'Paris', 'read the cart'));
  assert.deepEqual([outcome.state, outcome.stale], ['absent', true]);
  await page.getByRole('status').filter({ hasText: 'marked stale' }).waitFor();
  assert.equal(await page.evaluate(() => demo.counts().anomalies['read-your-writes']), 0);
}));

for (const [guarantee, name] of Object.entries(NAMES)) {
  test(`${name}: its play breaks it when off and keeps it when on`, () => inBrowser({}, async ({ tab }) => {
    const page = await tab();
    await setLag(page, 1000);
    const card = page.locator('article', { has: page.getByRole('switch', { name }) });
    const count = () => page.evaluate((guarantee) => demo.counts().anomalies[guarantee], guarantee);
    const play = async () => {
      await card.getByRole('button', { name: 'Play it' }).click();
      await card.getByRole('button', { name: 'Play it', disabled: false }).waitFor({ timeout: 30_000 });
    };
    await setSwitch(page, name, false);
    await play();
    await page.waitForFunction((guarantee) => demo.counts().anomalies[guarantee] > 0, guarantee);
    assert.match(await card.textContent(), /[1-9]\d* anomal/);

    await page.getByRole('button', { name: 'Clear' }).click();
    await setSwitch(page, name, true);
    await play();
    // Judged everywhere: all that the play wrote has come to all replicas.
    await page.waitForFunction(() => new Set(Object.values(demo.replicas()).map(({ vector }) => JSON.stringify(Object.entries(vector).sort()))).size === 1);
    assert.equal(await count(), 0);
    assert.ok(await page.evaluate((guarantee) => demo.counts().judged[guarantee], guarantee) > 0);
  }));
}

test('the autopilot repeats a seed’s requests', () => inBrowser({}, async ({ tab }) => {
  const page = await tab();
  await setLag(page, 0);
  await page.getByRole('slider', { name: 'Pace' }).fill('50');
  const run = async () => {
    await page.getByRole('button', { name: 'Clear' }).click();
    await page.getByRole('button', { name: 'Start the autopilot' }).click();
    await page.waitForFunction(() => demo.counts().requests >= 20);
    await page.getByRole('button', { name: 'Stop the autopilot' }).click();
    await page.evaluate(() => demo.idle());
    return page.evaluate(() => demo.entries().slice(0, 20).map(({ who, place, what }) => `${who} ${place} ${what}`));
  };
  const first = await run();
  assert.deepEqual(await run(), first);
  await page.getByLabel('Seed').fill('7');
  assert.notDeepEqual(await run(), first);
}));
