// The checks that native tests can switch off (src/mutant.rs) have no switch in what is shipped: none of the names that
// every test build carries is in the module.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const directory = new URL('.', import.meta.resolve('edge-session'));

test('the shipped module has no switch that turns a check off', () => {
  const files = readdirSync(fileURLToPath(directory), { recursive: true, encoding: 'utf8' });
  const modules = files.filter((file) => file.endsWith('.wasm'));
  assert.ok(modules.length > 0, 'the package has a module');
  const names = ['no-read-your-writes', 'no-monotonic-reads', 'no-monotonic-writes', 'no-writes-follow-reads', 'no-clause-1'];
  const others = ['no-from', 'no-hlc-receive', 'no-persist-before-escape', 'no-new-id', 'no-expiry-mask', 'no-fold-covered'];
  for (const module of modules) {
    const bytes = readFileSync(new URL(module, directory));
    assert.ok(bytes.includes('STALE_REPLICA'), 'texts of the core are found in the module');
    for (const name of [...names, ...others]) assert.ok(!bytes.includes(name), `${module} has ${name}`);
  }
});
