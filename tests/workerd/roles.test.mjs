// The host's own roles (`roleOf`) in an object: asked anew before each operation, of several users, from the object's memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECRET, Workerd } from './support.mjs';

const start = (t) => Workerd.start(t, './worker.mjs', { EDGE: 'Edge' }, { TOKEN_SECRET: SECRET, HOST_ROLES: 'yes' });
const DENIED = 'PERMISSION_DENIED';

test('a role that the host takes away acts on the next operation of that user, and of nobody else', async (t) => {
  const edge = await start(t);
  await edge.json('/members', { default: { ann: 'User', bob: 'User' } });
  const ann = await edge.json('/do', { user: 'ann', steps: [['sync', 'set', 'k', 1], ['sync', 'get', 'k']] });
  const bob = await edge.json('/do', { user: 'bob', steps: [['get', 'k'], ['sync', 'get', 'k'], ['sync', 'get', 'k']] });
  assert.deepEqual([ann.answers, bob.answers], [[null, 1, 'ann'], [1, 1, 1, 'bob']]);

  await edge.json('/members', { default: { bob: 'Guest' } });
  for (const step of [['get', 'k'], ['sync', 'get', 'k'], ['set', 'k', 2], ['sync', 'set', 'k', 2], ['list']]) {
    assert.equal((await edge.json('/do', { token: ann.token, steps: [step] })).code, DENIED, step.join(' '));
  }
  const read = await edge.json('/do', { token: bob.token, steps: [['get', 'k']] });
  assert.deepEqual(read.answers, [1, 'bob'], 'a Guest reads');
  assert.equal((await edge.json('/do', { token: bob.token, steps: [['set', 'k', 2]] })).code, DENIED, 'and writes no more');

  await edge.json('/members', { default: { ann: 'User' } });
  const again = await edge.json('/do', { token: ann.token, steps: [['get', 'k'], ['sync', 'set', 'k', 3]] });
  assert.deepEqual(again.answers, [1, null, 'ann'], 'given again, it acts at once too');
});

test('a role that goes in the middle of a request is gone at its next step, what was served from a copy included', async (t) => {
  const edge = await start(t);
  const both = { default: { ann: 'User', bob: 'User' } };
  await edge.json('/members', both);
  const reads = (...steps) => edge.json('/do', { user: 'ann', steps: [['sync', 'set', 'k', 1], ['sync', 'get', 'k'], ['sync', 'get', 'k'], ...steps] });
  const gone = await reads(['members', { default: { bob: 'User' } }], ['sync', 'get', 'k']);
  assert.deepEqual([gone.code, gone.answers.slice(0, 3)], [DENIED, [null, 1, 1]]);
  await edge.json('/members', both);
  const less = await reads(['members', { default: { ann: 'Guest' } }], ['sync', 'get', 'k'], ['sync', 'set', 'k', 2]);
  assert.deepEqual([less.code, less.answers.at(-1)], [DENIED, 1]);
});

test('statements go by the same answers, and those that would change roles are refused with their code', async (t) => {
  const edge = await start(t);
  await edge.json('/members', { default: { ann: 'Admin', bob: 'User' } });
  const run = (user, statement) => edge.json('/do', { user, steps: [['run', statement]] });
  for (const user of ['ann', 'bob']) {
    const refused = await run(user, 'GRANT GUEST ON default TO bob');
    assert.equal(refused.code, DENIED);
    if (user === 'ann') assert.match(refused.message, /roleOf/);
  }
  assert.equal((await run('bob', 'CREATE USER eve')).code, DENIED, 'a User is not God');
  assert.equal((await run('ann', 'SHOW ROLES IN default')).code, undefined, 'an Admin may know');
  await edge.json('/members', { default: { bob: 'User' } });
  assert.equal((await run('ann', 'SHOW ROLES IN default')).code, DENIED);
  // What the host knows it knows from memory: after a restart nobody holds a role before it says so.
  await edge.restart();
  assert.equal((await edge.json('/do', { user: 'bob', steps: [['get', 'k']] })).code, DENIED);
  await edge.json('/members', { default: { bob: 'User' } });
  assert.deepEqual((await edge.json('/do', { user: 'bob', steps: [['get', 'k']] })).answers, [null, 'bob']);
});
