// The wasm suite in Firefox: `node wasm-suite.mjs cargo test …`. wasm-bindgen's runner, asked not to start a browser,
// serves the suite as a page and waits; Firefox opens the page, and what it reports is printed as the runner would.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { argv, env, exit, kill } from 'node:process';

const { default: puppeteer } = await import(createRequire(`${env.DRIVERS}/`).resolve('puppeteer-core'));

const [, , program, ...args] = argv;
const suite = spawn(program, args, { env: { ...env, NO_HEADLESS: '1' }, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
const page = new Promise((resolve, reject) => {
  let said = '';
  suite.stdout.on('data', (chunk) => {
    said += chunk;
    const served = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
    if (served) resolve(served[0]);
  });
  suite.once('error', reject);
  suite.once('close', (code) => reject(new Error(`${program} ended with ${code} before it served a page:\n${said}`)));
});

let failed = true;
try {
  const url = await page;
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath: env.FIREFOX, headless: true });
  try {
    const tab = await browser.newPage();
    tab.on('pageerror', (error) => console.error(String(error)));
    await tab.goto(url);
    await tab.waitForFunction(() => document.querySelector('#output')?.textContent.includes('test result: '), { timeout: 300_000 });
    const report = await tab.$eval('#output', (output) => output.textContent);
    console.log(report);
    failed = !report.includes('test result: ok');
  } finally {
    await browser.close();
  }
} finally {
  // The runner serves until it is ended.
  try { kill(-suite.pid, 'SIGKILL'); } catch { /* it has ended by itself */ }
}
exit(failed ? 1 : 0);
