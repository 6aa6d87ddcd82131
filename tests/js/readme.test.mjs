// Runs the quick start of the README as it stands; it prints what the README says.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { runScript } from './support.mjs';

test('the quick start prints what the README says', async () => {
  const readme = await readFile(new URL('README.md', import.meta.resolve('edge-session')), 'utf8');
  const found = /^```js\n(?<script>.*?)^```\n(?<between>.*?)^```[a-z]*\n(?<output>.*?)^```$/ms.exec(readme);
  assert.ok(found, 'the README has a ```js block and a block with its output after it');
  const { script, between, output } = found.groups;
  assert.ok(!between.includes('\n#'), 'the output follows in the same section');
  assert.ok(script.trim().split('\n').length <= 10, 'it is at most ten lines');
  assert.match(script, /from 'edge-session'/);
  const { stdout, stderr } = await runScript(script);
  assert.equal(stderr, '');
  // Which quotes console.log puts around a string is the runtime's own.
  const plain = (text) => text.trim().replaceAll('"', "'");
  assert.equal(plain(stdout), plain(output));
});
