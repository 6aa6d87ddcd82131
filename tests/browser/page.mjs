// A browser on the served demo, for the tests of this directory. Every test gets a profile of its own, and fails when any
// page of it wrote an error to the console. DEMO_URL is the demo; which browser it is, `drivers.mjs` says.

import assert from 'node:assert/strict';
import { launch } from './drivers.mjs';

export const URL = process.env.DEMO_URL ?? 'http://127.0.0.1:8137/';

/**
 * Runs `test({ context, tab })` in a fresh profile, and so in a new world of edges; `tab()` opens the demo in one more tab and waits
 * until it serves. Errors in the console that `mayFail` matches are expected.
 */
export async function inBrowser({ mayFail, ...options }, test) {
  const errors = [];
  const { context, close } = await launch(options, (error) => errors.push(error));
  try {
    await test({
      context,
      async tab() {
        const page = await context.newPage();
        await page.goto(URL);
        await ready(page);
        return page;
      },
    });
    assert.deepEqual(errors.filter((error) => !mayFail?.test(error)), [], 'errors in the console');
  } finally {
    await close();
  }
}

/** Waits until the page serves requests. */
export const ready = (page) => page.evaluate(() => window.demo.ready);

/** Ann's next requests go to this place. */
export const goTo = (page, place) => page.getByRole('radio', { name: place, exact: true }).check({ force: true });

/** Clicks a request's button; does not wait for the answer. */
export const ask = (page, request) => page.getByRole('button', { name: request, exact: true }).click();

/** Makes a request at a place and returns its entry in the log, answered. */
export async function answered(page, place, request) {
  await goTo(page, place);
  await ask(page, request);
  return page.evaluate(async () => {
    await window.demo.idle();
    return window.demo.entries().findLast(({ who }) => who === 'Ann');
  });
}

/** The last step of an answered request: its outcome, or its write. */
export const last = ({ steps }) => steps[steps.length - 1];

export const setLag = (page, ms) => page.getByRole('slider', { name: 'Replication lag' }).fill(String(ms));

export const road = (page, a, b) => page.getByRole('button', { name: `Cut the road between ${a} and ${b}` });

/** Kills an edge or starts it, and waits until that is done. */
export async function power(page, place, up) {
  await page.getByRole('button', { name: `${up ? 'Start' : 'Kill'} the edge in ${place}` }).click();
  await page.getByRole('button', { name: `${up ? 'Kill' : 'Start'} the edge in ${place}` }).waitFor();
}

export const setSwitch = (page, guarantee, on) => page.getByRole('switch', { name: guarantee }).setChecked(on, { force: true });

/** Waits until a place shows a value that `test` (source text of a function of the values) accepts. */
export async function shows(page, place, test) {
  await page.waitForFunction(({ place, test }) => new Function('values', `return ${test}`)(window.demo.replicas()[place].values), { place, test }, { timeout: 30_000 });
}
