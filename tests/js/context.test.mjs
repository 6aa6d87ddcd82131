// The session of the current request: on servers with AsyncLocalStorage; browsers have none.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { currentSession, runWithSession } from 'edge-session/http';
import { SECRET, open, thrown } from './support.mjs';
import { serve } from './web.mjs';

test('requests that interleave have each their own session, across whatever they wait for', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const deep = async () => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
    await currentSession().set('a', 1);
    return new Promise((resolve) => setImmediate(() => resolve(currentSession().user)));
  };
  const url = await serve(t, async (request) => {
    const session = replica.session({ user: new URL(request.url).searchParams.get('user') });
    return Response.json(await runWithSession(session, deep));
  });
  const users = Array.from({ length: 20 }, (_, n) => `user ${n}`);
  const said = await Promise.all(users.map(async (user) => (await fetch(`${url}/?user=${user}`)).json()));
  assert.deepEqual(said, users);
  assert.equal(currentSession(), undefined);
});

test('the innermost counts, and what is thrown comes out', async (t) => {
  const replica = await open(t);
  const [outer, inner] = [replica.session(), replica.session()];
  runWithSession(outer, () => {
    assert.equal(runWithSession(inner, currentSession), inner);
    assert.equal(currentSession(), outer);
    assert.throws(() => runWithSession(inner, () => { throw new RangeError('mine'); }), RangeError);
  });
});

/** What a bundler makes of all of `edge-session/http` for a platform. */
async function bundled(conditions) {
  const stdin = { contents: "export * from 'edge-session/http';", resolveDir: import.meta.dirname };
  const { outputFiles, metafile } = await build({ stdin, conditions, platform: 'neutral', bundle: true, format: 'esm', write: false, metafile: true });
  return { text: outputFiles[0].text, files: Object.keys(metafile.inputs).join('\n') };
}

test('browsers load nothing of AsyncLocalStorage; workers and servers do', async () => {
  const browser = await bundled(['browser', 'import']);
  assert.match(browser.files, /http\/context\.browser\.js/);
  assert.doesNotMatch(browser.files, /http\/context\.js|wasm|async_hooks/);
  assert.doesNotMatch(browser.text, /async_hooks|AsyncLocalStorage|getBuiltinModule/);
  for (const conditions of [['workerd', 'worker', 'browser'], ['edge-light', 'worker', 'browser'], ['node', 'import'], []]) {
    assert.match((await bundled(conditions)).text, /getBuiltinModule\?\.\(\s*"node:async_hooks"\s*\)/, conditions.join());
  }
});

/** The module of a text. From a file: not every runtime imports data. */
async function imported(t, text) {
  const directory = await mkdtemp(join(tmpdir(), 'edge-session-'));
  t.after(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, 'module.mjs'), text);
  return import(pathToFileURL(join(directory, 'module.mjs')).href);
}

test('where there is no AsyncLocalStorage that is said', async (t) => {
  const browser = await imported(t, (await bundled(['browser'])).text);
  assert.equal(thrown(() => browser.runWithSession({}, () => {})).code, 'UNSUPPORTED');
  assert.equal(browser.currentSession(), undefined);

  // A server's code on a platform that lends nothing.
  const { text } = await bundled(['node']);
  const server = await imported(t, text.replaceAll('globalThis', '({})'));
  const error = thrown(() => server.runWithSession({}, () => {}));
  assert.equal(error.code, 'UNSUPPORTED');
  assert.match(error.message, /nodejs_compat/);
  assert.equal(server.currentSession(), undefined);
});
