// Waiting: it ends by the missing writes, by the deadline, by the caller's signal or by the end of the replica, and leaves nothing
// behind.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReplica } from 'edge-session';
import { DEADLINE, TestStorage, open, openAll, pull, rejection, runScript, within } from './support.mjs';

/** A session at a replica that lacks what the session wrote elsewhere. */
async function behind(t, init = {}) {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = tokyo.session();
  await ann.set('a', 1);
  return { tokyo, paris, there: paris.session({ token: await ann.sealed(), timeout: DEADLINE, ...init }) };
}

test('a wait ends at its deadline with what is missing', async (t) => {
  const { tokyo, there } = await behind(t, { timeout: 20 });
  for (const call of [there.get('a'), there.read('a'), there.set('b', 1), there.list().next(), there.batch((tx) => tx.set('b', 1)), there.delete('a')]) {
    const error = await within(rejection(call), 'the deadline');
    assert.equal(error.code, 'STALE_REPLICA');
    assert.equal(error.details.missing[0].replica, tokyo.id);
  }
  assert.equal((await within(rejection(there.get('a', { timeout: '10ms' })), 'the deadline')).code, 'STALE_REPLICA');
  assert.equal((await rejection(there.get('a', { timeout: 0 }))).code, 'STALE_REPLICA');
});

test('a signal ends a wait at once, with its reason as the cause', async (t) => {
  const { tokyo, paris, there } = await behind(t);
  const control = new AbortController();
  const { signal } = control;
  const calls = [there.get('a', { signal }), there.set('b', 'never', { signal }), there.list({ signal }).next(), there.batch((tx) => tx.set('c', 'never'), { signal })];
  const reason = new Error('the user left');
  const errors = Promise.all(calls.map(rejection));
  control.abort(reason);
  for (const error of await within(errors, 'the abort')) {
    assert.equal(error.code, 'ABORTED');
    assert.equal(error.cause, reason);
  }
  await pull(paris, tokyo);
  assert.equal(await there.get('a'), 1);
  assert.equal(await there.get('b'), undefined, 'a write that was aborted while it waited is never applied');
  assert.equal(await there.get('c'), undefined);
});

test('a signal that is aborted already lets nothing begin', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  const signal = AbortSignal.abort();
  const calls = [session.set('a', 1, { signal }), session.get('a', { signal }), session.sealed({ signal }), session.list({ signal }).next(), replica.flush({ signal }), replica.exchange(new Uint8Array(), { signal })];
  for (const call of calls) assert.equal((await rejection(call)).code, 'ABORTED');
  assert.equal(await session.get('a'), undefined);
  assert.equal((await rejection(openReplica({ signal }))).code, 'ABORTED');
});

test('nothing stays on a signal whose operation has ended', async (t) => {
  const { tokyo, paris, there } = await behind(t);
  let listening = 0;
  const signal = {
    aborted: false,
    addEventListener: () => (listening += 1),
    removeEventListener: () => (listening -= 1),
  };
  const waiting = there.get('a', { signal });
  const watch = there.watch('a', { signal });
  const off = paris.on('change', () => {}, { signal });
  const exchange = paris.exchange(new Uint8Array(), { signal });
  assert.ok(listening > 0);
  await pull(paris, tokyo);
  await Promise.all([waiting, exchange]);
  off();
  await watch.return();
  assert.equal(listening, 0);
});

test('operations that wait are served in the order in which they began', async (t) => {
  const { tokyo, paris, there } = await behind(t);
  const order = [];
  const calls = [there.set('n', 1), there.get('n'), there.set('n', 2), there.get('n')].map((call, at) => call.then((answer) => order.push([at, answer])));
  await pull(paris, tokyo);
  await within(Promise.all(calls), 'all four');
  assert.deepEqual(order.map(([at]) => at), [0, 1, 2, 3]);
  assert.deepEqual([order[1][1], order[3][1]], [1, 2]);
});

test('a wait for storage ends at its deadline; the write stays and becomes durable later', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage, session: { timeout: 20 } });
  const session = replica.session();
  storage.hold();
  const calls = [session.set('a', 1), session.sealed(), replica.flush(), replica.exchange(new Uint8Array(), { timeout: 20 })];
  for (const refused of calls.map(rejection)) assert.equal((await within(refused, 'the deadline')).code, 'TIMEOUT');
  assert.equal(await session.get('a'), 1, 'the session sees its own write');
  storage.release();
  await within(replica.flush({ timeout: DEADLINE }), 'the flush');
  assert.equal(await replica.session().get('a'), 1);
});

test('an exchange that waits for storage can be aborted', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage });
  storage.hold();
  replica.session().sync.set('a', 1);
  const control = new AbortController();
  const reply = rejection(replica.exchange(new Uint8Array(), { signal: control.signal }));
  control.abort();
  assert.equal((await within(reply, 'the abort')).code, 'ABORTED');
  storage.release();
});

test('closing rejects what waits, and everything after it', async (t) => {
  const { paris, there } = await behind(t);
  const live = there.live('a');
  const waits = [there.get('a'), there.set('b', 1), there.list().next(), there.watch('a').next()].map((call) => rejection(call));
  await paris.close();
  for (const wait of waits) assert.equal((await within(wait, 'the end')).code, 'REPLICA_CLOSED');

  const { id, space } = there;
  assert.ok(id && space && paris.id, 'who they were stays readable');
  assert.equal(there.reason, 'REPLICA_CLOSED');
  assert.deepEqual(paris.status, { online: false, peers: 0, pending: 0, unsynced: 0, lagMs: null, persisted: false });
  const calls = {
    get: () => there.get('a'),
    read: () => there.read('a'),
    entry: () => there.entry('a'),
    set: () => there.set('a', 1),
    delete: () => there.delete('a'),
    list: () => there.list().next(),
    batch: () => there.batch((tx) => tx.set('a', 1)),
    sealed: () => there.sealed(),
    token: async () => there.token,
    peek: async () => there.peek('a'),
    watch: async () => there.watch('a'),
    live: async () => there.live('a'),
    value: async () => live.value,
    conflicts: async () => there.conflicts('a'),
    merge: async () => there.merge('~'),
    satisfied: async () => there.satisfied(),
    missing: async () => there.missing(),
    inspect: async () => there.inspect(),
    'sync.get': async () => there.sync.get('a'),
    'sync.entry': async () => there.sync.entry('a'),
    'sync.set': async () => there.sync.set('a', 1),
    'sync.delete': async () => there.sync.delete('a'),
    'sync.list': async () => there.sync.list(),
    'sync.batch': async () => there.sync.batch((tx) => tx.set('a', 1)),
    'replica.session': async () => paris.session(),
    'replica.connect': async () => paris.connect({ kind: 'none', open() {} }),
    'replica.exchange': () => paris.exchange(new Uint8Array()),
    'replica.flush': () => paris.flush(),
    'replica.on': async () => paris.on('change', () => {}),
    'replica.inspect': async () => paris.inspect(),
    'replica.inspectToken': async () => paris.inspectToken('~'),
    'replica.snapshot': async () => paris.snapshot(),
    'replica.restore': () => paris.restore(new Uint8Array()),
  };
  for (const [name, call] of Object.entries(calls)) assert.equal((await rejection(call())).code, 'REPLICA_CLOSED', name);
  there[Symbol.dispose]();
  await paris.close();
  await paris[Symbol.asyncDispose]();
});

test('the signal of the opening closes the replica', async (t) => {
  const control = new AbortController();
  const replica = await open(t, { signal: control.signal });
  const session = replica.session();
  control.abort();
  assert.equal((await rejection(session.get('a'))).code, 'REPLICA_CLOSED');
});

test('a handle that was let go of refuses; the session goes on by its token', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  await session.set('a', 1);
  const token = await session.sealed();
  session[Symbol.dispose]();
  session[Symbol.dispose]();
  assert.equal((await rejection(session.get('a'))).code, 'SESSION_NOT_FOUND');
  assert.throws(() => session.sync.get('a'), { code: 'SESSION_NOT_FOUND' });
  assert.deepEqual(replica.inspect().sessions, []);
  assert.equal(await replica.session(token).get('a'), 1);
});

test('letting go of a handle rejects what waits through it, and nobody else', async (t) => {
  const { tokyo, paris, there } = await behind(t);
  const other = paris.session({ token: there.token, timeout: DEADLINE });
  const [released, kept] = [rejection(there.get('a')), other.get('a')];
  there[Symbol.dispose]();
  assert.equal((await within(released, 'the end')).code, 'SESSION_NOT_FOUND');
  await pull(paris, tokyo);
  assert.equal(await within(kept, 'the write'), 1);
});

test('a listener stops by its function and by its signal', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  const control = new AbortController();
  const seen = [];
  const off = replica.on('change', () => seen.push('function'));
  replica.on('change', () => seen.push('signal'), { signal: control.signal });
  replica.on('change', () => seen.push('never'), { signal: AbortSignal.abort() });
  session.sync.set('a', 1);
  off();
  session.sync.set('a', 2);
  control.abort();
  session.sync.set('a', 3);
  assert.deepEqual(seen, ['function', 'signal', 'signal']);
});

test('a process ends when nobody waits any more, and not before', async () => {
  const { stdout } = await runScript(`
    import { openReplica, pair } from 'edge-session';
    const [tokyo, paris] = await Promise.all([openReplica(), openReplica()]);
    const [left, right] = pair();
    tokyo.connect(left);
    paris.connect(right);
    const stranger = await openReplica();
    const ann = stranger.session();
    await ann.set('a', 1);
    // Nothing but the deadline of this wait keeps the process alive; heartbeats go on behind it.
    await paris.session({ token: await ann.sealed(), timeout: 100 }).get('a').catch((error) => console.log(error.code));
    void (async () => { for await (const _ of paris.session().watch('a')); })();
    console.log('done');`);
  assert.equal(stdout, 'STALE_REPLICA\ndone\n');
});

test('a clock that is set back does not make a wait longer', async (t) => {
  let behind = 0;
  const clock = () => Date.now() - behind;
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { clock });
  const ann = tokyo.session();
  await ann.set('cart', 'book');
  const roamed = paris.session({ token: ann.token });
  const refused = rejection(roamed.get('cart', { timeout: 50 }));
  behind = 3_600_000;
  assert.equal((await within(refused, 'the end of the wait')).code, 'STALE_REPLICA');
});
