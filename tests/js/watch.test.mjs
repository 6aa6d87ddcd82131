// Watches and live values: changes as reads of a session, from wherever they come, never older than what it has seen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pair } from 'edge-session';
import { DEADLINE, TestStorage, mocked, open, openAll, pull, rejection, within } from './support.mjs';

const shown = (change) => [change.key, 'deleted' in change ? 'gone' : change.value];

/** The next change of a watch. */
async function step(watch) {
  const { value, done } = await within(watch.next(), 'a change');
  return done ? 'end' : shown(value);
}

test('a watch yields the own writes and deletions of a key', async (t) => {
  const session = (await open(t)).session();
  const watch = session.watch('a');
  await session.set('b', 0);
  const version = await session.set('a', 1);
  assert.deepEqual((await watch.next()).value, { key: 'a', value: 1, version, expiresAt: null });
  await session.delete('a');
  const { value } = await watch.next();
  assert.deepEqual([value.key, value.deleted, typeof value.version], ['a', true, 'string']);
  session.sync.set('a', 2);
  assert.deepEqual(await step(watch), ['a', 2]);
});

test('a watch of a prefix yields every key with it', async (t) => {
  const session = (await open(t)).session();
  const watch = session.watch({ prefix: 'cart:' });
  await session.batch((tx) => tx.set('cart:2', 2).set('cart:1', 1).set('wish:1', 1));
  assert.deepEqual([await step(watch), await step(watch)], [['cart:1', 1], ['cart:2', 2]]);
  await session.set('cart:3', 3);
  assert.deepEqual(await step(watch), ['cart:3', 3]);
  const whole = session.watch({ prefix: '' });
  await session.set('wish:1', 2);
  assert.deepEqual(await step(whole), ['wish:1', 2]);
});

test('a watch yields what other sessions and other replicas write', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [watch, ann] = [tokyo.session().watch('a'), tokyo.session()];
  await ann.set('a', 'here');
  assert.deepEqual(await step(watch), ['a', 'here']);
  const [left, right] = pair();
  tokyo.connect(left);
  paris.connect(right);
  const pending = step(watch);
  // Later than the write here, in whichever runtime: two writes of one millisecond that know nothing of each other are
  // told apart by their replicas' ids.
  await paris.session(await ann.sealed()).set('a', 'there');
  assert.deepEqual(await pending, ['a', 'there']);
});

test('a slow consumer gets the last state of each key', async (t) => {
  const session = (await open(t)).session();
  const watch = session.watch({ prefix: '' });
  for (let n = 1; n <= 100; n += 1) session.sync.batch((tx) => tx.set('a', n).set('b', -n));
  assert.deepEqual(await step(watch), ['a', 100]);
  session.sync.set('b', 'newer than what lies ready');
  session.sync.set('c', 1);
  assert.deepEqual(await step(watch), ['b', 'newer than what lies ready']);
  assert.deepEqual(await step(watch), ['c', 1]);
});

test('a watch holds changes back while the replica is behind the session', async (t) => {
  const [tokyo, paris, osaka] = await openAll(t, ['tokyo', 'paris', 'osaka']);
  const ann = tokyo.session();
  await ann.set('a', 'what ann has seen');
  const there = paris.session({ token: await ann.sealed(), timeout: DEADLINE });
  const watch = there.watch({ prefix: '' });
  let told = false;
  const first = step(watch).finally(() => {
    told = true;
  });
  await osaka.session().set('b', 'news');
  await pull(paris, osaka);
  assert.equal(paris.session().peek('b'), 'news', 'the replica has the news');
  await new Promise(setImmediate);
  assert.equal(told, false, 'and keeps it from who has seen more');
  await pull(paris, tokyo);
  assert.deepEqual([await first, await step(watch)], [['a', 'what ann has seen'], ['b', 'news']]);
});

test('a watch that is held back for longer than its timeout ends with STALE_REPLICA', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = tokyo.session();
  await ann.set('a', 1);
  const there = paris.session({ token: await ann.sealed() });
  const watch = there.watch('b', { timeout: 20 });
  await paris.session().set('b', 'news');
  const error = await within(rejection(watch.next()), 'the end of the watch');
  assert.equal(error.code, 'STALE_REPLICA');
  assert.equal(error.details.missing[0].replica, tokyo.id);
  assert.equal((await watch.next()).done, true);
});

test('what a watch has yielded was read: it is asked for elsewhere', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const reader = tokyo.session();
  const watch = reader.watch('a');
  await tokyo.session().set('a', 1);
  assert.equal(paris.session(await reader.sealed()).satisfied(), true, 'nothing was taken yet');
  await step(watch);
  assert.equal(paris.session(await reader.sealed()).satisfied(), false);
});

test('an abort ends the iteration quietly, and so does break', async (t) => {
  const session = (await open(t)).session();
  const control = new AbortController();
  const seen = [];
  const loop = (async () => {
    for await (const change of session.watch('a', { signal: control.signal })) {
      seen.push(shown(change));
      control.abort();
    }
    return 'ended';
  })();
  session.sync.set('a', 1);
  assert.equal(await within(loop, 'the end'), 'ended');
  assert.deepEqual(seen, [['a', 1]]);

  const waiting = session.watch('a', { signal: AbortSignal.timeout(1) });
  assert.equal((await within(waiting.next(), 'the end')).done, true);
  for await (const _ of session.watch('a', { signal: AbortSignal.abort() })) assert.fail('it had ended before it began');
  const left = session.watch('a');
  session.sync.set('a', 2);
  for await (const _ of left) break;
  assert.equal((await left.next()).done, true);
});

test('several consumers of one watch are served in turn, and all of them hear of the end', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  const watch = session.watch({ prefix: '' });
  const steps = [watch.next(), watch.next(), watch.next()];
  session.sync.set('a', 1);
  session.sync.set('b', 2);
  assert.deepEqual([shown((await steps[0]).value), shown((await steps[1]).value)], [['a', 1], ['b', 2]]);
  await watch.return();
  assert.equal((await steps[2]).done, true);
});

test('a watch ends with its replica and with its session', async (t) => {
  const replica = await open(t);
  const [one, two] = [replica.session(), replica.session()];
  const released = one.watch('a').next();
  const closed = two.watch('a').next();
  one[Symbol.dispose]();
  assert.equal((await within(rejection(released), 'the end')).code, 'SESSION_NOT_FOUND');
  await replica.close();
  assert.equal((await within(rejection(closed), 'the end')).code, 'REPLICA_CLOSED');
});

test('another session hears of a write once it is durable, the writer itself is not told earlier', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage });
  storage.hold();
  const [writer, other] = [replica.session(), replica.session()];
  const watch = other.watch('a');
  writer.sync.set('a', 1);
  let told = false;
  const change = step(watch).finally(() => {
    told = true;
  });
  await new Promise(setImmediate);
  assert.equal(told, false);
  storage.release();
  assert.deepEqual(await change, ['a', 1]);
});

test('a live value calls with the value now and after each change, and keeps its identity in between', async (t) => {
  const session = (await open(t)).session();
  const live = session.live('cart');
  const seen = [];
  const stop = live.subscribe((value) => seen.push(value));
  await session.set('cart', { items: ['book'] });
  await session.set('other', 1);
  const { value } = live;
  assert.equal(live.value, value, 'the same object until it changes');
  assert.ok(Object.isFrozen(value) && Object.isFrozen(value.items));
  await session.delete('cart');
  assert.deepEqual(seen, [undefined, { items: ['book'] }, undefined]);
  stop();
  await session.set('cart', 'after');
  assert.equal(seen.length, 3);
  assert.equal(live.value, 'after', 'without a subscriber it is read when asked');
});

test('a live value does not go back behind what the session has seen', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = tokyo.session();
  await ann.set('theme', 'light');
  await pull(paris, tokyo);
  const there = paris.session(await ann.sealed());
  const live = there.live('theme');
  const seen = [];
  live.subscribe((value) => seen.push(value));
  await ann.set('theme', 'dark');
  there.merge(await ann.sealed());
  await paris.session().set('theme', 'a past that ann has left');
  assert.equal(live.value, 'light');
  await pull(paris, tokyo);
  assert.equal(live.value, await there.get('theme'));
  assert.deepEqual(seen, ['light', live.value]);
});

test('a listener of a live value that throws, or writes, disturbs nobody', async (t) => {
  const session = (await open(t)).session();
  const complaints = mocked(t, console, 'error', () => {});
  const live = session.live('n');
  const seen = [];
  live.subscribe((n) => {
    if (n === 1) throw new Error('a bug of the application');
  });
  live.subscribe((n) => {
    if (n < 3) session.sync.set('n', n + 1);
  });
  live.subscribe((n) => seen.push(n));
  session.sync.set('n', 1);
  assert.equal(seen.at(-1), 3);
  assert.equal(complaints.mock.callCount(), 1);
  assert.equal(session.sync.get('n'), 3);
});

test('a live value of a closed replica says so', async (t) => {
  const replica = await open(t);
  const live = replica.session().live('a');
  live.subscribe(() => {});
  await replica.close();
  assert.throws(() => live.value, { code: 'REPLICA_CLOSED' });
  assert.throws(() => live.subscribe(() => {}), { code: 'REPLICA_CLOSED' });
});
