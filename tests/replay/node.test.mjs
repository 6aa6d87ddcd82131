// The shipped module in Node gives the native core's histories, call by call and byte by byte.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instantiate } from '../node_modules/edge-session/wasm/glue.js';
import { load } from '../node_modules/edge-session/wasm/inline.js';
import { replay } from './replay.mjs';
import { sum, traces } from './traces.mjs';

const module = await load();
const play = (text) => replay(text, () => instantiate(module));

test('every trace gives the same history', async (t) => {
  const counts = [];
  for (const { seed, text } of traces) {
    counts.push(await play(text).catch((error) => { throw new Error(`seed ${seed}: ${error.message}`); }));
  }
  const { calls, replicas, answers, effects, bytes } = sum(counts);
  t.diagnostic(`${traces.length} seeds, ${replicas} replicas, ${calls} calls, ${answers} answers, ${effects} effects, ${bytes} bytes`);
  assert.ok(traces.length >= 10 && effects > 10_000 && bytes > 1_000_000, 'too little was compared');
});

/** The trace with one line changed: the first for which `change` gives another line. */
function changed(text, change) {
  const lines = text.split('\n');
  for (const [at, line] of lines.entries()) {
    const other = line === '' ? undefined : change(JSON.parse(line));
    if (other !== undefined) return [...lines.slice(0, at), JSON.stringify(other), ...lines.slice(at + 1)].join('\n');
  }
  throw new Error('the trace has no such line');
}

const differs = { message: /^line \d+, .*: / };

// The test of the test: whatever is asked or answered otherwise is noticed.
const [{ text }] = traces;
for (const [what, change] of Object.entries({
  'another seed': (line) => (line.blob !== undefined && atob(line.blob).length === 32 && line.blob[0] !== 'B' ? { blob: `B${line.blob.slice(1)}` } : undefined),
  'another time of a write': ([replica, method, args, result]) => (method === 'set' ? [replica, method, [...args.slice(0, -1), args.at(-1) + 1], result] : undefined),
  'a missing answer': ([replica, method, args, result]) => (method === 'get' && result.ok ? [replica, method, args, { ok: null }] : undefined),
  'an effect that was not ordered': ([replica, method, args, result]) => (method === 'poll' && result?.kind === 'transmit' ? [replica, method, args, null] : undefined),
})) {
  test(`${what} gives another history`, async () => {
    await assert.rejects(play(changed(text, (line) => (Array.isArray(line) || what === 'another seed' ? change(line) : undefined))), differs);
  });
}

test('one bit of a message gives another history', async () => {
  const sent = text.split('\n').find((line) => line.includes('"transmit"'));
  const { b } = JSON.parse(sent)[3].bytes;
  let number = -1;
  const flip = (line) => {
    if (line.blob === undefined || (number += 1) !== b) return undefined;
    const bytes = atob(line.blob);
    return { blob: btoa(bytes.slice(0, -1) + String.fromCharCode(bytes.charCodeAt(bytes.length - 1) ^ 1)) };
  };
  await assert.rejects(play(changed(text, (line) => (Array.isArray(line) ? undefined : flip(line)))), differs);
});
