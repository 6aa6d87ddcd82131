// Upstreams that hang, under a real workerd: what an object does besides goes on, and the link is made anew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Workerd, until } from './support.mjs';

const start = (t) => Workerd.start(t, './upstream.mjs', { LINKED: 'Linked' });
const holds = (edge, ...keys) => until(`the other object holds ${keys}`, async () => String(await edge.json('/keys?of=other')) === String(keys));

for (const when of ['before', 'within']) {
  test(`an upstream that hangs ${when} its answer is given up, and asked again`, { timeout: 120_000 }, async (t) => {
    const edge = await start(t);
    await edge.json('/set', 'first');
    await holds(edge, 'first');
    await edge.json('/hang', when);
    await edge.json('/set', 'second');
    await until('the request is given up', async () => (await edge.json('/hanging'))[0]);
    await edge.json('/hang', null);
    await holds(edge, 'first', 'second');
  });
}

test('while an upstream hangs the alarm sees to what else is due', async (t) => {
  const edge = await start(t);
  await edge.json('/set', 'first');
  await holds(edge, 'first');
  await edge.json('/hang', 'before');
  await edge.json('/set', 'second');
  // For what was not acknowledged; it waits for the upstream then.
  const rung = await edge.json('/rings');
  await until('the alarm rings', async () => (await edge.json('/rings')) > rung);
  await edge.json('/sql', "CREATE TRIGGER full BEFORE INSERT ON edge_session_log BEGIN SELECT RAISE(ABORT, 'disk is full'); END");
  assert.equal(await edge.json('/set', 'third'), 'TIMEOUT');
  await edge.json('/sql', 'DROP TRIGGER full');
  await until('it is stored', () => edge.json('/persisted'));
  assert.deepEqual(await edge.json('/hanging'), [false], 'the upstream still hangs');
});
