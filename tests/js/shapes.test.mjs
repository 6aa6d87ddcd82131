// Code that an engine has compiled for reads and writes survives the last session, and the last replica.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const elsewhere = process.versions.bun || process.versions.deno ? 'this engine does not say what it throws away' : false;

const HOT = ['get', '#look', 'set', '#write', 'write', 'alive', 'heed', 'get account', 'string', 'now', 'again', 'find', 'add', 'replace', 'put'];

for (const work of ['use', 'write']) test(`code that was compiled for reads and writes is not thrown away with the last replica: ${work}`, { skip: elsewhere }, () => {
  const child = fileURLToPath(new URL('./shapes-child.mjs', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, ['--trace-deopt', child, work], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  assert.equal(status, 0);
  const thrown = [...stdout.slice(stdout.indexOf('WARM')).matchAll(/SharedFunctionInfo ([^>]*)>.*reason: weak objects/g)].map(([, name]) => name);
  assert(thrown.some((name) => name === 'known' || name === 'heat'), 'the engine says so');
  // What was compiled early, for little that had been seen, may go once.
  const again = HOT.filter((name) => thrown.filter((one) => one === name).length > 1);
  assert.deepEqual(again, []);
});
