// The packed package through every bundler, as it comes and without a line of configuration for the package, and
// without any: a session is written in one profile of Chromium and goes on in another.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { SEEN, ask, node, project, serve, start, tool, usedOnPage } from './support.mjs';

const VITE = tool('vite/bin/vite.js');

test('a session goes from page to page through Vite’s development server', async (t) => {
  const cwd = project('vite');
  const args = [VITE, '--host', '127.0.0.1', '--port', '0'];
  const [, url] = await start(t, { cwd, program: process.execPath, args, env: { NO_COLOR: '1' }, ready: /(http:\/\/127\.0\.0\.1:\d+\/)/ });
  await usedOnPage(url);
});

test('a session goes from page to page through Vite’s build', async (t) => {
  await node(project('vite'), VITE, 'build');
  await usedOnPage(await serve(t, join(project('vite'), 'dist')));
});

test('a session goes from page to page through webpack', async (t) => {
  await node(project('webpack'), 'build.mjs');
  await usedOnPage(await serve(t, project('webpack')));
});

test('a session goes from page to page through esbuild', async (t) => {
  await node(project('esbuild'), tool('esbuild/bin/esbuild'), 'page.js', '--bundle', '--format=esm', '--minify', '--outdir=dist', '--log-level=warning');
  await usedOnPage(await serve(t, project('esbuild')));
});

test('a session goes from page to page without a bundler', async (t) => {
  await usedOnPage(await serve(t, project('bare')));
});

describe('Next', () => {
  const NEXT = tool('next/dist/bin/next');
  const cwd = project('next');
  const env = { NEXT_TELEMETRY_DISABLED: '1', NO_COLOR: '1' };
  const starting = async (t) => {
    const [, url] = await start(t, { cwd, program: process.execPath, args: [NEXT, 'start', '--hostname', '127.0.0.1', '--port', '0'], env, ready: /(http:\/\/127\.0\.0\.1:[1-9]\d*)/ });
    return url;
  };

  before(async () => {
    await rm(join(cwd, '.next'), { recursive: true, force: true });
    Object.assign(process.env, env);
    await node(cwd, NEXT, 'build');
  });

  test('a session goes from process to process on Next’s server', async (t) => {
    const handed = await ask(`${await starting(t)}/api/use`);
    assert.deepEqual(await ask(`${await starting(t)}/api/use`, handed), SEEN);
  });

  test('a session goes from page to page in Next’s client', async (t) => usedOnPage(await starting(t)));
});
