// The packed package, installed and used, in every runtime: a session is written in one process and goes on in another.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { SEEN, ask, needs, node, project, run, start, tool } from './support.mjs';

async function usedByCommand(program, args) {
  const command = (...rest) => run(project('plain'), program, [...args, 'cli.mjs', ...rest]);
  const handed = await command('write');
  assert.deepEqual(JSON.parse(await command('read', handed)), SEEN);
}

for (const version of ['20', '24']) {
  test(`a session goes from process to process in Node ${version}`, async (t) => {
    const program = tool(`node-${version}/bin/node`);
    if (!needs(t, program, `Node ${version}`)) return;
    assert.match(await run('.', program, ['--version']), new RegExp(`^v${version}\\.`));
    await usedByCommand(program, []);
  });
}

// Under no permission at all: the package reads no file, opens no socket, asks for no variable of the environment.
test('a session goes from process to process in Deno', () => usedByCommand(tool('.bin/deno'), ['run', '--no-prompt']));

test('a session goes from process to process in Bun', async (t) => {
  const program = tool(`@oven/bun-${process.platform}-${process.arch}/bin/bun`);
  if (needs(t, program, 'Bun')) await usedByCommand(program, []);
});

/** Writes in one server, reads in another. */
async function usedByServers(t, starting) {
  const handed = await ask(await starting());
  assert.deepEqual(await ask(await starting(), handed), SEEN);
}

/** Bundles a worker, with or without knowing where it goes. */
const bundled = (script, ...options) => node(project('worker'), tool('esbuild/bin/esbuild'), script, '--bundle', '--format=esm', '--outdir=dist', '--log-level=warning', ...options);

/** Starts workerd and answers its address. */
async function workerd(t, config) {
  const [, port] = await start(t, { cwd: project('worker'), program: process.env.WORKERD, args: ['serve', '--control-fd=3', config], stdio: ['ignore', 'pipe', 'pipe', 'pipe'], ready: /"socket":"http","port":(\d+)/ });
  return `http://127.0.0.1:${port}/`;
}

test('a session goes from process to process in workerd', async (t) => {
  if (!needs(t, process.env.WORKERD, 'workerd')) return;
  await bundled('worker.js', '--conditions=workerd', '--loader:.wasm=copy', '--asset-names=[name]');
  await usedByServers(t, () => workerd(t, 'workerd.capnp'));
});

test('a worker that was not bundled for workerd is told how to be', async (t) => {
  if (!needs(t, process.env.WORKERD, 'workerd')) return;
  await bundled('refused.js');
  const { code, message } = await ask(await workerd(t, 'refused.capnp'));
  assert.equal(code, 'WASM_UNAVAILABLE');
  assert.match(message, /condition 'workerd'/);
});

const WRANGLER = { WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false', CI: '1', NO_COLOR: '1' };

test('a session goes from process to process in wrangler dev', async (t) => {
  const cwd = project('worker');
  let servers = 0;
  await usedByServers(t, async () => {
    const args = [tool('wrangler/bin/wrangler.js'), 'dev', '--local', '--ip', '127.0.0.1', '--port', '0', '--inspector-port', '0', '--show-interactive-dev-session=false', '--persist-to', `state-${servers += 1}`];
    const [, url] = await start(t, { cwd, program: process.execPath, args, env: WRANGLER, ready: /Ready on (http:\S+)/ });
    return url;
  });
});

test('wrangler deploy would upload the worker with the module beside it, not inside', async () => {
  const cwd = project('worker');
  await run(cwd, process.execPath, [tool('wrangler/bin/wrangler.js'), 'deploy', '--dry-run', '--outdir', 'upload'], WRANGLER);
  const files = await readdir(join(cwd, 'upload'));
  assert.ok(files.some((name) => name.endsWith('edge_session.wasm')), files.join(', '));
});
