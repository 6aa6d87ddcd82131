// What the tests of the matrix share: where the projects are, programs that are run or started and always ended, and a
// browser in which the program runs in two profiles. Nothing here knows the package but by its program, `use.mjs`.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

/** What the second process sees wherever the package works; kept beside the program, which needs the package. */
export const { SEEN } = await import(new URL('./plain/use.mjs', import.meta.url));

export const project = (name) => join(import.meta.dirname, name);

/** A program of the matrix's own tools. */
export const tool = (path) => join(import.meta.dirname, 'node_modules', path);

/** Ends a program that hangs; no run that works comes near it, on a busy machine either. */
const PATIENCE = 240_000;

/** Runs a program to its end and returns what it printed; whatever else it did is the error's message. */
export async function run(cwd, program, args, env = {}) {
  const { stdout } = await promisify(execFile)(program, args, { cwd, env: { ...process.env, ...env }, timeout: PATIENCE, maxBuffer: 1 << 26 })
    .catch(({ message, stdout, stderr }) => { throw new Error([message, stdout, stderr].join('\n')); });
  return stdout;
}

/** Runs a script of Node's. */
export const node = (cwd, ...args) => run(cwd, process.execPath, args);

/** Starts a program, waits until `ready` matches what it prints, and returns the match; the program ends with the test. */
export function start(t, { cwd, program, args, env = {}, ready, stdio = ['ignore', 'pipe', 'pipe'] }) {
  // A group of its own, so that what it starts ends with it.
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio, detached: true });
  const ended = new Promise((resolve) => child.once('close', resolve));
  t.after(async () => {
    try { process.kill(-child.pid, 'SIGKILL'); } catch { /* it has ended by itself */ }
    await ended;
  });
  return new Promise((resolve, reject) => {
    let said = '';
    const late = setTimeout(() => reject(new Error(`${program} did not get ready:\n${said}`)), PATIENCE);
    const hear = (chunk) => {
      said += chunk;
      const match = ready.exec(said);
      if (match) { clearTimeout(late); resolve(match); }
    };
    child.stdio.slice(1).forEach((stream) => stream?.on('data', hear));
    child.once('error', reject);
    child.once('close', (code) => { clearTimeout(late); reject(new Error(`${program} ended with ${code}:\n${said}`)); });
  });
}

/** Asks `url`, which runs the program: `GET` writes, `POST` reads what was handed over. */
export async function ask(url, handed) {
  const response = await fetch(url, handed && { method: 'POST', body: JSON.stringify(handed) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

const MIME = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** Serves a directory for the length of a test, and nothing above it. */
export async function serve(t, root) {
  const server = createServer(async ({ url }, response) => {
    const path = normalize(new URL(url, 'http://local').pathname);
    const file = join(root, path.endsWith('/') ? `${path}index.html` : path);
    const body = await readFile(file).catch(() => null);
    response.writeHead(body ? 200 : 404, { 'content-type': MIME[extname(file)] ?? 'application/octet-stream' }).end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }));
  return `http://127.0.0.1:${server.address().port}/`;
}

/** Runs the program on a page, in two profiles of Chromium that share nothing; the page may write no error to the console. */
export async function usedOnPage(url) {
  const errors = [];
  let handed;
  const step = async (call) => {
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
    try {
      const page = await browser.newPage();
      page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
      page.on('pageerror', (error) => errors.push(String(error)));
      await page.goto(url);
      await page.waitForFunction(() => globalThis.use !== undefined, null, { timeout: PATIENCE });
      return await call(page);
    } catch (cause) {
      throw new Error(`${cause.message}\nin the console: ${errors.join('\n')}`, { cause });
    } finally {
      await browser.close();
    }
  };
  handed = await step((page) => page.evaluate(() => globalThis.use.write()));
  assert.deepEqual(await step((page) => page.evaluate((handed) => globalThis.use.read(handed), handed)), SEEN);
  assert.deepEqual(errors, [], 'errors in the console');
}

/** Skips the test, loudly, where `file` was not made for this machine. */
export function needs(t, file, what) {
  if (existsSync(file)) return true;
  t.skip(`${what} is not to be had for ${process.platform} ${process.arch}`);
  return false;
}
