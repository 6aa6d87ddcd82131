// A page whose Content-Security-Policy refuses WebAssembly is told which directive to send; with the directive it works.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch } from './drivers.mjs';
import { URL } from './page.mjs';

/** Opens a replica on a page under `policy`: what came of it, and what the page wrote to the console as errors. */
async function openedUnder(policy) {
  const errors = [];
  const { context, close } = await launch({}, (error) => errors.push(error));
  try {
    const page = await context.newPage();
    await page.route(`${URL}policy.html`, (route) => route.fulfill({
      contentType: 'text/html',
      headers: { 'content-security-policy': policy },
      body: '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/policy.js"></script>',
    }));
    await page.route(`${URL}policy.js`, (route) => route.fulfill({
      contentType: 'text/javascript',
      body: `import { openReplica } from '/pkg/bundle.js';
        try {
          const session = (await openReplica()).session();
          await session.set('a', 1);
          window.outcome = { value: await session.get('a') };
        } catch ({ code, message }) {
          window.outcome = { code, message };
        }`,
    }));
    await page.goto(`${URL}policy.html`);
    await page.waitForFunction(() => window.outcome !== undefined);
    return { ...await page.evaluate(() => window.outcome), errors };
  } finally {
    await close();
  }
}

test('under a policy that refuses WebAssembly, opening fails and names the header that allows it', async () => {
  const { code, message, value } = await openedUnder("script-src 'self'");
  assert.deepEqual([code, value], ['WASM_UNAVAILABLE', undefined]);
  assert.ok(message.includes("Content-Security-Policy: script-src 'wasm-unsafe-eval'"), message);
});

test('under a policy with that directive the package works', async () => {
  assert.deepEqual(await openedUnder("script-src 'self' 'wasm-unsafe-eval'"), { value: 1, errors: [] });
});
