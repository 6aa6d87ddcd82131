// Requests to an object that is a replica: sessions, restarts, deadlines, and requests that interleave.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReplica } from 'edge-session';
import { socket } from './client.mjs';
import { Workerd, until } from './support.mjs';

const start = (t) => Workerd.start(t, './worker.mjs', { EDGE: 'Edge' });

test('a worker that imports everything at its top starts, and serves', async (t) => {
  const edge = await start(t);
  const first = await edge.json('/do', { user: 'ann', steps: [['set', 'cart', ['book']]] });
  const second = await edge.json('/do', { token: first.token, steps: [['get', 'cart']] });
  assert.deepEqual(second.answers, [['book'], 'ann']);
  const { id, storage } = await edge.json('/inspect');
  assert.match(id, /^edge~[0-9a-z]{16}$/);
  assert.deepEqual(storage, { kind: 'durable-object', persisted: true, pending: 0 });
});

test('after the process was killed the object goes on where it was, under its id', async (t) => {
  const edge = await start(t);
  const { token } = await edge.json('/do', { user: 'ann', steps: [['set', 'a', 1], ['set', 'b', [2]], ['delete', 'a']] });
  const before = await edge.json('/inspect');
  await edge.restart();
  const after = await edge.json('/do', { token, onStale: 'throw', steps: [['list']] });
  assert.deepEqual(after.answers[0].map(([key, value]) => [key, value]), [['b', [2]]]);
  assert.equal(after.answers[1], 'ann');
  const { id, vectors } = await edge.json('/inspect');
  assert.deepEqual([id, vectors], [before.id, before.vectors]);
});

test('a write is through in the turn that makes it: another session sees it before anything is waited for', async (t) => {
  const edge = await start(t);
  const { answers } = await edge.json('/do', { steps: [['sync', 'set', 'a', 1]] });
  assert.deepEqual(answers, [null, null]);
  const both = await edge.json('/do', { steps: [['sync', 'set', 'b', 2], ['sync', 'get', 'b']] });
  assert.equal(both.answers[1], 2);
  const { vectors, id, storage } = await edge.json('/inspect');
  assert.deepEqual(vectors, { default: { [id]: 2 } });
  assert.equal(storage.pending, 0);
});

test('two objects know nothing of each other; a token of one makes the other say that it is behind', async (t) => {
  const edge = await start(t);
  const { token } = await edge.json('/do?name=one', { user: 'ann', steps: [['set', 'a', 1]] });
  const other = await edge.json('/do?name=two', { token, onStale: 'throw', steps: [['get', 'a']] });
  assert.equal(other.code, 'STALE_REPLICA');
  const free = await edge.json('/do?name=two', { guarantees: 'none', steps: [['get', 'a']] });
  assert.deepEqual(free.answers, [null, null]);
});

test('a wait ends at its deadline, and writes no alarm for it', async (t) => {
  const edge = await start(t);
  const { token } = await edge.json('/do?name=one', { user: 'ann', steps: [['set', 'a', 1]] });
  const began = Date.now();
  const other = await edge.json('/do?name=two', { token, timeout: 250, steps: [['get', 'a']] });
  assert.equal(other.code, 'STALE_REPLICA');
  assert.ok(Date.now() - began >= 250);
  assert.equal((await edge.json('/inspect?name=two')).alarm, null);
});

test('a wait that is answered in time leaves no alarm behind', async (t) => {
  // Without a secret, so that whoever comes is believed. A socket is open, so that there is something to be done later.
  const edge = await Workerd.start(t, './worker.mjs', { EDGE: 'Edge' }, {});
  const writer = await openReplica({ heartbeat: '1h' });
  t.after(() => writer.close());
  const session = writer.session();
  await session.set('a', 1);
  const began = Date.now();
  const waiting = edge.json('/do', { token: session.token, timeout: 200_000, steps: [['get', 'a']] });
  await until('the request to wait', async () => (await edge.json('/inspect')).sessions === 1);
  writer.connect(socket(edge));
  assert.equal((await waiting).answers[0], 1);
  assert.ok(Date.now() - began < 150_000);
  // The next thing to be done is to say hello, after ten minutes.
  await until('the alarm of the socket', async () => {
    const { alarm, now } = await edge.json('/inspect');
    return alarm !== null && alarm > now + 300_000;
  });
});

test('what has expired is gone, also after a restart in between', async (t) => {
  const edge = await start(t);
  const { token } = await edge.json('/do', { steps: [['set', 'short', 1, { ttl: 1500 }], ['set', 'long', 1, { ttl: '1h' }]] });
  const list = async () => (await edge.json('/do', { token, steps: [['list']] })).answers[0].map(([key]) => key);
  assert.deepEqual(await list(), ['long', 'short']);
  await edge.restart();
  await until('the end of the short one', async () => (await list()).length === 1);
  assert.deepEqual(await list(), ['long']);
});

test('requests that interleave in one object never see each other\'s session', async (t) => {
  const edge = await start(t);
  const users = ['ann', 'bob', 'eve'];
  // Each is under way, with its session in use, while the others begin, write and read.
  const steps = (user) => [['set', `of:${user}`, user], ['meet', users.length], ['get', `of:${user}`], ['meet', users.length], ['set', 'shared', user]];
  const first = await Promise.all(users.map((user) => edge.json('/do', { user, steps: steps(user) })));
  const again = await Promise.all(first.map(({ token }, n) => edge.json('/do', { token, steps: [['meet', users.length], ['get', `of:${users[n]}`]] })));
  users.forEach((user, n) => {
    assert.equal(first[n].answers[2], user);
    assert.equal(first[n].answers.at(-1), user);
    assert.deepEqual(again[n].answers, [null, user, user]);
    // Each has two writes of its own, and no other's.
    assert.equal(Object.keys(first[n].writes).length, 1);
  });
  const last = first.map(({ writes }) => Object.values(writes)[0]).sort((a, b) => a - b);
  assert.deepEqual(last, [4, 5, 6], 'three sessions, each with its own last write');
});

test('values larger than a row of the database come back after a restart', async (t) => {
  const edge = await start(t);
  const large = 'x'.repeat(900_000);
  const names = ['a', 'b', 'c', 'd'];
  // Four values in one atomic write are one record of 3.6 MB, and snapshots follow.
  for (let round = 0; round < 3; round += 1) await edge.json('/do', { steps: names.map((name) => ['sync', 'set', name, large + round]) });
  await edge.restart();
  const { answers } = await edge.json('/do', { steps: [['list']] });
  assert.deepEqual(answers[0].map(([key, value]) => [key, value.length, value.at(-1)]), names.map((name) => [name, 900_001, '2']));
});
