// Drives the demo in headless Chromium and asserts, for each guarantee, that the checker finds anomalies under lag
// while it is off and none while it is on, all else equal; that edges which are killed and started again under way cost no
// anomaly and nothing that was acknowledged; and that a tab keeps its data where all edges are gone. Uses the controls that a
// person uses, and `window.demo` to read. Finds the page at DEMO_URL and the browser at CHROMIUM; exits non-zero unless all holds.
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
/** Requests while an edge is down, and as many after it is back. */
const OUTAGE = 12;
const EDGES = ['paris', 'tokyo', 'oregon'];
const PATIENCE = { timeout: 60_000 };

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
  await outages(page);
  await alone(page);
} finally {
  await browser.close();
}
if (failures.length > 0) {
  console.error(`the demo does not hold what it says:\n  ${failures.join('\n  ')}`);
  process.exit(1);
}
console.log('each guarantee: anomalies without it, none with it; nothing acknowledged is lost by a kill');

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
  await equal(page);
  const counts = await page.evaluate(() => window.demo.counts());
  const refused = await page.evaluate(() => window.demo.entries().filter(({ error }) => error).length);
  expect(refused === 0, `${refused} requests failed with [${chosen}] on`);
  console.log(`  [${chosen.join(' ') || 'none'}] ${counts.requests} requests: ${Object.values(counts.anomalies).join(' / ')} anomalies`);
  return counts;
}

// Every edge is killed and started again while requests go on at all of them, all guarantees on.
async function outages(page) {
  for (const guarantee of GUARANTEES) await page.locator(`#${guarantee}`).setChecked(true, { force: true });
  await page.locator('#deadline').selectOption('1000');
  await page.locator('#clear').click();
  await page.locator('#autopilot').click();
  for (const edge of EDGES) {
    await requests(page, OUTAGE);
    await power(page, edge, false);
    await requests(page, OUTAGE);
    await power(page, edge, true);
  }
  await requests(page, OUTAGE);
  await page.locator('#autopilot').click();
  await page.evaluate(() => window.demo.idle());
  await equal(page);
  const { anomalies, entries, replicas } = await page.evaluate(() => ({ anomalies: window.demo.counts().anomalies, entries: window.demo.entries(), replicas: window.demo.replicas() }));
  const steps = entries.flatMap((entry) => entry.steps ?? []);
  const unreached = steps.filter(({ outcome }) => outcome?.code === 'UNREACHED').length;
  const written = steps.filter(({ version }) => version);
  const winner = (version) => version.split('+', 1)[0];
  const lost = written.flatMap(({ key, version }) => Object.entries(replicas)
    .filter(([, { versions }]) => !versions[key] || winner(versions[key]) < winner(version)).map(([place]) => `${key} ${version} in ${place}`));
  const found = Object.values(anomalies).reduce((sum, count) => sum + count);
  const holds = expect(found === 0, `outages: ${JSON.stringify(anomalies)}`) + expect(lost.length === 0, `outages: lost ${lost.join(', ')}`)
    + expect(unreached > 0, 'outages: no request felt them') + expect(written.length >= JUDGED, `outages: only ${written.length} writes`);
  console.log(`each edge killed once under way: ${found} anomalies, ${written.length} acknowledged writes, ${lost.length} lost, ${unreached} requests without an answer  ${holds === 'okokokok' ? 'ok' : 'FAILED'}`);
}

// With all edges gone a reloaded tab is who it was and has what it had; started again, all have the same.
async function alone(page) {
  const tab = () => page.evaluate(() => { const { replica, values } = window.demo.replicas().tab; return { replica, values: JSON.stringify(Object.entries(values).sort()) }; });
  const before = await tab();
  for (const edge of EDGES) await power(page, edge, false);
  await page.reload();
  await page.evaluate(() => window.demo.ready);
  await page.waitForFunction(() => Object.keys(window.demo.replicas().tab.values).length > 0, undefined, PATIENCE);
  const after = await tab();
  const holds = expect(before.replica === after.replica, `alone: the tab was ${before.replica} and is ${after.replica}`) + expect(before.values === after.values, 'alone: the tab has lost something');
  await page.locator('input[value="tab"]').check({ force: true });
  await page.locator('[data-request="log-out"]').click();
  await page.evaluate(() => window.demo.idle());
  for (const edge of EDGES) await power(page, edge, true);
  const written = await page.evaluate(() => window.demo.entries().at(-1).steps.at(-1).version);
  const arrived = page.waitForFunction((version) => Object.values(window.demo.replicas()).every(({ versions }) => versions.login === version), written, PATIENCE);
  const came = expect(await arrived.then(() => true, () => false), 'alone: what was written then has not come to the edges');
  console.log(`a tab without edges, reloaded: the same replica, the same data; what it wrote reaches the edges later  ${holds + came === 'okokok' ? 'ok' : 'FAILED'}`);
}

async function requests(page, more) {
  const before = await page.evaluate(() => window.demo.counts().requests);
  await page.waitForFunction((least) => window.demo.counts().requests >= least, before + more, PATIENCE);
}

/** Kills or starts an edge with its button, and waits until that is done. */
async function power(page, edge, up) {
  await page.locator(`[data-edge="${edge}"]`).click();
  await page.waitForFunction(([id, wanted]) => window.demo.edges()[id] === wanted, [edge, up], PATIENCE);
}

/** What travels must arrive before it can be judged: all replicas have come to the same vector. */
async function equal(page) {
  await page.waitForFunction(() => {
    const vectors = Object.values(window.demo.replicas()).map(({ vector }) => JSON.stringify(Object.entries(vector).sort()));
    return vectors.every((vector) => vector === vectors[0]);
  }, undefined, PATIENCE);
}

async function slide(page, id, value) {
  await page.locator(`#${id}`).fill(String(value));
}
