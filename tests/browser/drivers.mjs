// One browser for a test, whichever BROWSER names: Chromium by Playwright, Firefox by Puppeteer over WebDriver BiDi,
// WebKitGTK by Selenium. All give a context whose `newPage()` makes a tab; the tabs of a context share storage.
//
// Of a tab there is, in all three: goto, evaluate, waitForFunction, reload, close, and getByRole(…).click() and .check().
// In Chromium it is Playwright's own page, with everything. The drivers of the others, which are not among the everyday
// tools, are found where DRIVERS says.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';

export const BROWSER = process.env.BROWSER ?? 'chromium';

/** Longest wait for a condition; only a test that fails waits so long. */
const PATIENCE = 60_000;

/** Starts the browser with a fresh profile: `{ context, close }`. What its pages write to the console as errors goes to `hear`. */
export const launch = (options, hear) => ({ chromium: inChromium, firefox: inFirefox, webkit: inWebKit })[BROWSER](options, hear);

async function inChromium(options, hear) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.on('page', (page) => listen(page, hear));
  return { context, close: () => browser.close() };
}

async function inFirefox(_, hear) {
  const { default: puppeteer } = await driver('puppeteer-core');
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr', headless: true, protocolTimeout: PATIENCE });
  const newPage = async () => {
    const page = await browser.newPage();
    listen(page, hear);
    return tab({
      goto: (url) => page.goto(url),
      evaluate: (fn, arg) => page.evaluate(fn, arg),
      reload: () => page.reload(),
      close: () => page.close(),
    });
  };
  return { context: { newPage }, close: () => browser.close() };
}

function listen(page, hear) {
  page.on('console', (message) => { if (message.type() === 'error') hear(`${message.text()} (${message.location().url})`); });
  page.on('pageerror', (error) => hear(String(error)));
}

/** WebKitGTK tells its driver nothing of the console: there, errors show in the answers alone. */
async function inWebKit() {
  const { Builder, Capabilities } = await driver('selenium-webdriver');
  const service = await webKitDriver();
  const session = await new Builder().usingServer(service.url).withCapabilities(new Capabilities({ browserName: 'MiniBrowser' })).build();
  await session.manage().setTimeouts({ script: PATIENCE });
  // A session looks at one tab at a time: every step goes there first, and none comes between.
  let turn = Promise.resolve();
  const at = (handle, step) => {
    const done = turn.then(async () => {
      await session.switchTo().window(handle);
      return step();
    });
    turn = done.catch(() => {});
    return done;
  };
  // It calls a page there before the page's scripts have run.
  const loaded = () => until(() => session.executeScript("return document.readyState === 'complete'"), 'the page to load');
  let fresh = await session.getWindowHandle();
  const opened = () => {
    turn = turn.then(async () => {
      // The session has a tab of its own from the start; more of them are opened from one that is there.
      if (fresh === null) {
        await session.switchTo().window((await session.getAllWindowHandles())[0]);
        await session.switchTo().newWindow('tab');
        return session.getWindowHandle();
      }
      const handle = fresh;
      fresh = null;
      return handle;
    });
    return turn;
  };
  const newPage = async () => {
    const handle = await opened();
    return tab({
      goto: (url) => at(handle, () => session.get(url).then(loaded)),
      evaluate: (fn, arg) => at(handle, async () => {
        const { value, error } = await session.executeAsyncScript(`const done = arguments[arguments.length - 1];
          (async () => (${fn})(arguments[0]))().then((value) => done({ value }), (error) => done({ error: String(error) }));`, arg ?? null);
        if (error) throw new Error(error);
        return value ?? undefined;
      }),
      reload: () => at(handle, () => session.navigate().refresh().then(loaded)),
      close: () => at(handle, () => session.close()),
    });
  };
  return {
    context: { newPage },
    close: async () => {
      await session.quit();
      service.end();
    },
  };
}

/** WebKitGTK's driver, which starts the browser and needs a display for it (xvfb-run). */
async function webKitDriver() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.env.WEBKIT_DRIVER ?? '/usr/bin/WebKitWebDriver', [`--port=${port}`], { stdio: 'ignore' });
  let ended = null;
  child.once('error', (error) => { ended = error; });
  child.once('exit', (code) => { ended = new Error(`WebKitWebDriver ended with ${code}`); });
  const answers = () => fetch(`${url}/status`).then(({ ok }) => ok, () => false);
  await until(() => { if (ended) throw ended; return answers(); }, 'WebKitWebDriver to answer');
  return { url, end: () => child.kill() };
}

/** It cannot say which port it took, so it is given one that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function until(condition, what, timeout = PATIENCE) {
  const end = Date.now() + timeout;
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await setTimeout(50);
  }
}

const driver = (name) => import(createRequire(`${process.env.DRIVERS}/`).resolve(name));

/** The steps that differ, and what is made of them. */
function tab(steps) {
  const waitForFunction = (fn, arg, { timeout } = {}) => until(() => steps.evaluate(fn, arg), `${fn} ${JSON.stringify(arg ?? null)}`, timeout);
  // As a person names it: a button by its text or label, a radio by its label.
  const getByRole = (role, { name }) => {
    const click = () => steps.evaluate(({ role, name }) => {
      const selector = { button: 'button', radio: 'input[type=radio]', switch: 'input[role=switch]' }[role];
      const names = (element) => [element.ariaLabel, element.labels?.[0]?.textContent, element.textContent].map((text) => text?.trim());
      const found = [...document.querySelectorAll(selector)].filter((element) => names(element).includes(name));
      if (found.length !== 1) throw new Error(`${found.length} elements are a ${role} named ${name}`);
      found[0].click();
    }, { role, name });
    return { click, check: click };
  };
  return { ...steps, waitForFunction, getByRole };
}
