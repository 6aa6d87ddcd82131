// Drives the demo in headless Chromium and asserts, for each guarantee, that the checker finds anomalies under lag
// while it is off and none while it is on, all else equal. Uses the controls that a person uses, and `window.demo` to
// read the counts. Finds the page at DEMO_URL and the browser at CHROMIUM; exits non-zero unless all holds.
//
// Every phase starts with empty counts and the same seed. "All else equal" is shown twice: the guarantee alone is taken
// from all four, and the guarantee alone is added to none.

import { chromium } from 'playwright-core';

const GUARANTEES = ['read-your-writes', 'monotonic-reads', 'monotonic-writes', 'writes-follow-reads'];
const LAG_MS = 150;
const SEED = 1994;
const PACE = 50;
/** Fewer checks of a guarantee than this would not make a zero mean anything. */
const JUDGED = 10;
const REQUESTS = 75;

const errors = [];
const failures = [];
const expect = (holds, what) => {
  if (!holds) failures.push(what);
  return holds ? 'ok' : 'FAILED';
};

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(process.env.DEMO_URL ?? 'http://127.0.0.1:8137/');
  await page.evaluate(() => window.demo.ready);
  console.log(`three edges run; lag ${LAG_MS} ms, seed ${SEED}, ${REQUESTS} requests a phase`);
  await slide(page, 'lag', LAG_MS);
  await slide(page, 'pace', PACE);
  await page.locator('#seed').fill(String(SEED));

  const all = await phase(page, GUARANTEES);
  const none = await phase(page, []);
  for (const guarantee of GUARANTEES) {
    const without = await phase(page, GUARANTEES.filter((other) => other !== guarantee));
    const alone = await phase(page, [guarantee]);
    judge(guarantee, 'on, the others on', all, 'off, the others on', without);
    judge(guarantee, 'on, the others off', alone, 'off, the others off', none);
  }
  console.log(`errors in the console: ${errors.length} ${expect(errors.length === 0, `errors in the console: ${errors.join('; ')}`)}`);
} finally {
  await browser.close();
}
if (failures.length > 0) {
  console.error(`the demo does not hold what it says:\n  ${failures.join('\n  ')}`);
  process.exit(1);
}
console.log('each guarantee: anomalies without it, none with it');

function judge(guarantee, onName, on, offName, off) {
  const kept = on.anomalies[guarantee];
  const broken = off.anomalies[guarantee];
  const checks = on.judged[guarantee];
  const holds = expect(kept === 0, `${guarantee} ${onName}: ${kept} anomalies`)
    + expect(checks >= JUDGED, `${guarantee} ${onName}: only ${checks} checks`) + expect(broken > 0, `${guarantee} ${offName}: no anomaly`);
  console.log(`${guarantee.padEnd(20)} ${onName}: ${kept} anomalies in ${checks} checks; ${offName}: ${broken} in ${off.judged[guarantee]}  ${holds === 'okokok' ? 'ok' : 'FAILED'}`);
}

// One run of the autopilot with these guarantees on, from cleared counts to the last message's arrival.
async function phase(page, chosen) {
  for (const guarantee of GUARANTEES) await page.locator(`#${guarantee}`).setChecked(chosen.includes(guarantee), { force: true });
  await page.locator('#clear').click();
  await page.locator('#autopilot').click();
  await page.waitForFunction((least) => window.demo.counts().requests >= least, REQUESTS, { timeout: 60_000 });
  await page.locator('#autopilot').click();
  await page.evaluate(() => window.demo.idle());
  // What travels must arrive before it can be judged: all replicas have come to the same vector.
  await page.waitForFunction(() => {
    const vectors = Object.values(window.demo.replicas()).map(({ vector }) => JSON.stringify(Object.entries(vector).sort()));
    return vectors.every((vector) => vector === vectors[0]);
  }, undefined, { timeout: 30_000 });
  const counts = await page.evaluate(() => window.demo.counts());
  const refused = await page.evaluate(() => window.demo.entries().filter(({ error }) => error).length);
  expect(refused === 0, `${refused} requests failed with [${chosen}] on`);
  console.log(`  [${chosen.join(' ') || 'none'}] ${counts.requests} requests: ${Object.values(counts.anomalies).join(' / ')} anomalies`);
  return counts;
}

async function slide(page, id, value) {
  await page.locator(`#${id}`).fill(String(value));
}
