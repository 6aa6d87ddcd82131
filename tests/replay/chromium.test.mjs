// The shipped module in headless Chromium gives the native core's histories, call by call and byte by byte.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { sum, traces } from './traces.mjs';

const source = readFileSync(new URL('./replay.mjs', import.meta.url), 'utf8');

test('every trace gives the same history', async (t) => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  try {
    const page = await browser.newPage();
    // Any page of the server will do: the package is beside it.
    await page.goto(`${process.env.DEMO_URL}pkg/package.json`);
    await page.evaluate(async ({ pkg, source }) => {
      const names = Object.assign(document.createElement('script'), { type: 'importmap', textContent: JSON.stringify({ imports: { '#wasm': `${pkg}wasm/inline.js` } }) });
      document.head.append(names);
      const from = (text) => import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
      const [{ replay }, { instantiate }, { load }] = await Promise.all([from(source), import(`${pkg}wasm/glue.js`), import(`${pkg}wasm/inline.js`)]);
      const module = await load();
      window.play = (text) => replay(text, () => instantiate(module));
    }, { pkg: `${process.env.DEMO_URL}pkg/`, source });
    const counts = [];
    for (const { seed, text } of traces) {
      counts.push(await page.evaluate((text) => window.play(text), text).catch((error) => { throw new Error(`seed ${seed}: ${error.message}`); }));
    }
    const { calls, replicas, answers, effects, bytes } = sum(counts);
    t.diagnostic(`${traces.length} seeds, ${replicas} replicas, ${calls} calls, ${answers} answers, ${effects} effects, ${bytes} bytes`);
    assert.ok(traces.length >= 10 && effects > 10_000 && bytes > 1_000_000, 'too little was compared');
    // The page compares: a history that ends otherwise is noticed there too.
    const [{ text }] = traces;
    await assert.rejects(page.evaluate((text) => window.play(text), text.replace('"kind":"transmit","link":', '"kind":"transmit","link":1')), /line \d+/);
  } finally {
    await browser.close();
  }
});
