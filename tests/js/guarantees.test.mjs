// The four guarantees, each twice: without it a user who roams between replicas sees the anomaly that it is named for; with
// it the replica refuses, or waits, until it can answer truthfully.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converge, openAll, pull, rejection, within } from './support.mjs';

const ALL = ['read-your-writes', 'monotonic-reads', 'monotonic-writes', 'writes-follow-reads'];
const without = (name) => ALL.filter((guarantee) => guarantee !== name);

/** Goes on with a session at another replica. */
const roam = async (session, replica, guarantees, more = {}) => replica.session({ token: await session.sealed(), guarantees, timeout: '20s', ...more });

test('read your writes: off, a user does not find what they wrote; on, the replica is behind until it has it', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = tokyo.session();
  await ann.set('cart', ['book']);

  const careless = await roam(ann, paris, without('read-your-writes'));
  assert.equal(await careless.get('cart'), undefined, 'the anomaly');

  const strict = await roam(ann, paris, ['read-your-writes'], { onStale: 'throw' });
  const error = await rejection(strict.get('cart'));
  assert.equal(error.code, 'STALE_REPLICA');
  assert.equal(error.retryable, true);
  const missing = [{ space: 'default', replica: tokyo.id, have: 0, need: 1, holders: [] }];
  assert.deepEqual(error.details.missing, missing);
  assert.deepEqual(await strict.read('cart'), { state: 'behind', stale: false, missing });
  assert.deepEqual(strict.missing(), missing);
  assert.equal(strict.satisfied(), false);

  const waiting = (await roam(ann, paris, ['read-your-writes'])).get('cart');
  await pull(paris, tokyo);
  assert.deepEqual(await within(waiting, 'the write'), ['book']);
  assert.equal(strict.satisfied(), true);
  assert.deepEqual(await strict.get('cart'), ['book']);
});

test('monotonic reads: off, time runs backwards for a reader; on, it does not', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const author = tokyo.session();
  await author.set('news', 'old');
  await pull(paris, tokyo);
  await author.set('news', 'new');
  const reader = tokyo.session();
  assert.equal(await reader.get('news'), 'new');

  const careless = await roam(reader, paris, without('monotonic-reads'));
  assert.equal(await careless.get('news'), 'old', 'the anomaly');
  const strict = await roam(reader, paris, ['monotonic-reads'], { onStale: 'throw' });
  assert.equal((await rejection(strict.get('news'))).code, 'STALE_REPLICA');
  const waiting = (await roam(reader, paris, ['monotonic-reads'])).get('news');
  await pull(paris, tokyo);
  assert.equal(await within(waiting, 'the news'), 'new');
});

test('monotonic writes: off, others see a later write without the earlier one; on, nobody does', async (t) => {
  const [tokyo, paris, osaka] = await openAll(t, ['tokyo', 'paris', 'osaka']);
  const ann = tokyo.session();
  await ann.set('1-upload', 'photo');

  const careless = await roam(ann, paris, without('monotonic-writes'));
  await careless.set('2-link', 'photo');
  await pull(osaka, paris);
  const seen = osaka.session();
  assert.deepEqual([await seen.get('1-upload'), await seen.get('2-link')], [undefined, 'photo'], 'the anomaly');

  const strict = await roam(ann, paris, ['monotonic-writes'], { onStale: 'serve' });
  assert.equal((await rejection(strict.set('3-link', 'photo'))).code, 'STALE_REPLICA', 'a write is never served stale');
  const waiting = (await roam(ann, paris, ['monotonic-writes'])).set('3-link', 'photo');
  await pull(paris, tokyo);
  await within(waiting, 'the write');
  await pull(osaka, paris);
  assert.deepEqual([await seen.get('1-upload'), await seen.get('3-link')], ['photo', 'photo']);
});

test('writes follow reads: off, others see an answer without its question; on, nobody does', async (t) => {
  const [tokyo, paris, osaka] = await openAll(t, ['tokyo', 'paris', 'osaka']);
  await tokyo.session().set('question', 'why?');
  const bob = tokyo.session();
  assert.equal(await bob.get('question'), 'why?');

  const careless = await roam(bob, paris, without('writes-follow-reads'));
  await careless.set('answer', 'because');
  await pull(osaka, paris);
  const seen = osaka.session();
  assert.deepEqual([await seen.get('question'), await seen.get('answer')], [undefined, 'because'], 'the anomaly');

  const strict = await roam(bob, paris, ['writes-follow-reads'], { onStale: 'throw' });
  assert.equal((await rejection(strict.set('reply', 'because'))).code, 'STALE_REPLICA');
  const waiting = (await roam(bob, paris, ['writes-follow-reads'])).set('reply', 'because');
  await pull(paris, tokyo);
  await within(waiting, 'the write');
  await pull(osaka, paris);
  assert.deepEqual([await seen.get('question'), await seen.get('reply')], ['why?', 'because']);
});

test('serve answers with what is there, and says that it is stale', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = tokyo.session();
  await ann.set('theme', 'light');
  await pull(paris, tokyo);
  await ann.set('theme', 'dark');
  const there = await roam(ann, paris, 'all', { onStale: 'serve' });
  const outcome = await there.read('theme');
  assert.deepEqual([outcome.state, outcome.stale, outcome.entry.value], ['value', true, 'light']);
  assert.equal(await there.get('theme'), 'light');
  assert.equal((await there.read('nothing')).stale, true);
  await pull(paris, tokyo);
  assert.equal((await there.read('theme')).stale, false);
});

test('guarantees can be narrowed and widened for one operation', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = tokyo.session();
  await ann.set('theme', 'dark');
  const strict = await roam(ann, paris, 'all', { onStale: 'throw' });
  assert.equal(await strict.get('theme', { guarantees: 'none' }), undefined);
  assert.equal((await rejection(strict.get('theme'))).code, 'STALE_REPLICA');
  assert.equal(strict.sync.with(['monotonic-reads']).get('theme'), undefined);
  assert.throws(() => strict.sync.get('theme'), { code: 'STALE_REPLICA' });
  assert.equal(strict.peek('theme'), undefined);

  const careless = await roam(ann, paris, 'none');
  assert.equal(await careless.get('theme'), undefined);
  assert.equal((await rejection(careless.get('theme', { guarantees: 'all', onStale: 'throw' }))).code, 'STALE_REPLICA');
  assert.throws(() => careless.sync.with('all').get('theme'), { code: 'STALE_REPLICA' });
  assert.throws(() => careless.sync.with('all').list(), { code: 'STALE_REPLICA' });
});

test('a listing is a read: what it showed is asked for elsewhere', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  await tokyo.session().batch((tx) => tx.set('a', 1).set('b', 2));
  const reader = tokyo.session();
  assert.equal(reader.sync.list().length, 2);
  const there = await roam(reader, paris, 'all', { onStale: 'throw' });
  assert.throws(() => there.sync.list(), { code: 'STALE_REPLICA' });
  await converge(tokyo, paris);
  assert.equal(there.sync.list().length, 2);
});

test('a session knows which connected peer has what it lacks', async (t) => {
  const [tokyo, paris, osaka] = await openAll(t, ['tokyo', 'paris', 'osaka']);
  const ann = tokyo.session();
  await ann.set('x', 1);
  await pull(osaka, tokyo);
  // Paris hears what osaka holds, and loses the message that brings it.
  await paris.exchange(await osaka.exchange(new Uint8Array()));
  const [missing] = paris.session(await ann.sealed()).missing();
  assert.deepEqual(missing.holders, [osaka.id]);
});
