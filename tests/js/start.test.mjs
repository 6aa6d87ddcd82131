// How Node loads the module: from its file, or from the text if the file is missing or another build's; and what it exports.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.resolve('edge-session')));
const elsewhere = globalThis.Deno !== undefined || globalThis.Bun !== undefined;

/** Opens a replica in a fresh process, writes and reads; whether the text had to be unpacked. */
function begin(from, before = '') {
  const program = `${before}
    import zlib from 'node:zlib';
    const { gunzipSync } = zlib;
    let unpacked = false;
    zlib.gunzipSync = (...packed) => ((unpacked = true), gunzipSync(...packed));
    const { openReplica } = await import('edge-session');
    const session = (await openReplica()).session();
    await session.set('key', 'value');
    console.log(await session.get('key'), unpacked);
    process.exit(0);`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: from, encoding: 'utf8' });
  assert.equal(stderr, '');
  return stdout.trim();
}

/** A place of its own with a copy of the package. */
function copied(t) {
  const place = realpathSync(mkdtempSync(join(tmpdir(), 'start-')));
  t.after(() => rmSync(place, { recursive: true }));
  cpSync(here, join(place, 'node_modules/edge-session'), { recursive: true });
  for (const name of ['partysocket', 'event-target-polyfill']) {
    const from = join(here, '..', name);
    if (existsSync(from)) symlinkSync(from, join(place, 'node_modules', name));
  }
  return [place, join(place, 'node_modules/edge-session/wasm/edge_session.wasm')];
}

test('in Node the module is read from its file, and nothing is unpacked', { skip: elsewhere }, (t) => {
  assert.equal(begin(copied(t)[0]), 'value false');
});

test('without its file, as in a bundle, the text serves', { skip: elsewhere }, (t) => {
  const [place, file] = copied(t);
  rmSync(file);
  assert.equal(begin(place), 'value true');
});

test('a file of that name of another build, shortened, damaged or longer, is not taken', { skip: elsewhere }, (t) => {
  const [place, file] = copied(t);
  const bytes = readFileSync(file);
  const shifted = Buffer.concat([bytes.subarray(0, 5_000), Buffer.of(0), bytes.subarray(5_000, -1)]);
  // What another build ends with, and a file of this one with a hole.
  const [another, damaged] = [Buffer.from(bytes), Buffer.from(bytes).fill(0xff, 5_000, 6_000)];
  another[bytes.length - 1] ^= 1;
  for (const other of [bytes.subarray(0, -1), shifted, another, damaged, Buffer.concat([bytes, Buffer.of(0)]), Buffer.of()]) {
    writeFileSync(file, other);
    assert.equal(begin(place), 'value true');
  }
});

test('where the engine refuses today, tomorrow it is asked again', { skip: elsewhere }, (t) => {
  const refusing = `const { compile } = WebAssembly;
    WebAssembly.compile = () => Promise.reject(new RangeError('no memory'));
    const why = await (await import('edge-session')).openReplica().catch((error) => error);
    if (!(why.cause ?? why).message.includes('no memory')) throw why;
    WebAssembly.compile = compile;`;
  assert.equal(begin(copied(t)[0], refusing), 'value false');
});

test('no function is an export, for which an engine makes code before anybody calls it', async () => {
  const { load } = await import(new URL('wasm/inline.js', import.meta.resolve('edge-session')));
  const exports = WebAssembly.Module.exports(await load());
  assert.deepEqual(exports.filter(({ kind }) => kind === 'function'), []);
  assert.deepEqual(exports.map(({ name }) => name).sort(), ['__wbindgen_externrefs', 'functions', 'memory']);
});
