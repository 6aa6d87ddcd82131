// The fast path of `session.sync`: copies and accepted writes in front of the core. No answer may differ from what the core
// would have said, and nothing may leave that rests on what the core was not told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReplica, pair } from 'edge-session';
import { clock, converge, mocked, next, open, openAll, pull, thrown, within } from './support.mjs';

/** A session that reads and writes in front of the core: the core has answered it both. */
function warm(replica, init) {
  const session = replica.session(init);
  session.sync.set('warm', 'up');
  session.sync.get('warm');
  return session;
}

const writesOf = (session, replica) => session.inspect().writes[replica.id] ?? 0;
const readsOf = (session, replica) => session.inspect().reads[replica.id] ?? 0;

test('writes of one task are one atomic write, in order, and none is lost', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  const before = writesOf(ann, tokyo);
  for (let n = 0; n < 100; n += 1) ann.sync.set(`key ${n % 40}`, `value ${n}`);
  ann.sync.delete('key 39');
  assert.equal(ann.sync.get('key 39'), undefined);
  assert.equal(writesOf(ann, tokyo), before + 1, 'a hundred and one writes have one dot');
  await pull(paris, tokyo);
  const bob = paris.session({ token: ann.token });
  for (let n = 0; n < 39; n += 1) assert.equal(await bob.get(`key ${n}`), `value ${n < 20 ? n + 80 : n + 40}`);
  assert.equal(await bob.get('key 39'), undefined);
});

test('what was written leaves after the task, without anybody asking', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [here, there] = pair();
  tokyo.connect(here);
  paris.connect(there);
  const ann = warm(tokyo);
  const arrived = next(paris, 'change', ({ key }) => key === 'later');
  ann.sync.set('later', 'on');
  assert.equal((await arrived).value, 'on');
});

test('more writes than one log holds, of every size, and text that is not ASCII', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  const expected = new Map();
  for (let n = 0; n < 2_000; n += 1) {
    const [key, value] = [`ключ-${n}-€𝄞`, ['', 'ä'.repeat(n % 700), `𝄞${n}`, { n, text: 'ß' }, n, null][n % 6]];
    ann.sync.set(key, value);
    expected.set(key, value);
  }
  ann.sync.set('large', 'x'.repeat(500_000));
  ann.sync.set('after', 'large');
  await pull(paris, tokyo);
  const bob = paris.session({ token: ann.token });
  for (const [key, value] of expected) assert.deepEqual(await bob.get(key), value);
  assert.equal((await bob.get('large')).length, 500_000);
  assert.equal(await bob.get('after'), 'large');
});

test('a key that is written again before the core was told takes no dot more, and its last value is the one that leaves', async (t) => {
  const time = clock();
  const [tokyo, paris] = [await open(t, { id: 'tokyo', clock: time }), await open(t, { id: 'paris' })];
  const ann = warm(tokyo);
  const before = writesOf(ann, tokyo);
  const expected = new Map();
  for (let n = 0; n < 20_000; n += 1) {
    const [key, value] = [`key ${n % 900}`, [`value ${n}`, 'ä'.repeat(n % 90), { n }, n][n % 4]];
    if (n % 1_801 === 7) {
      ann.sync.delete(key);
      expected.delete(key);
    } else {
      ann.sync.set(key, value);
      expected.set(key, value);
    }
    if (n % 997 === 0) assert.deepEqual(ann.sync.get(key), expected.get(key));
  }
  for (let n = 0; n < 900; n += 1) assert.deepEqual(ann.sync.get(`key ${n}`), expected.get(`key ${n}`));
  const dots = writesOf(ann, tokyo) - before;
  assert(dots < 25, `twenty thousand writes of 900 keys have ${dots} dots`);
  await pull(paris, tokyo);
  const bob = paris.session({ token: ann.token });
  for (let n = 0; n < 900; n += 1) assert.deepEqual(await bob.get(`key ${n}`), expected.get(`key ${n}`));
});

test('writes of a task that takes its time are stamped anew', async (t) => {
  const time = clock();
  const tokyo = await open(t, { id: 'tokyo', clock: time });
  const ann = warm(tokyo);
  const before = writesOf(ann, tokyo);
  for (let n = 0; n < 3; n += 1) {
    ann.sync.set('hot', n);
    time.now += 19;
    ann.sync.set('hot', -n);
    time.now += 2;
  }
  assert.equal(writesOf(ann, tokyo), before + 3);
  assert.equal(ann.sync.get('hot'), -2);
});

test('what nobody has read yet is read while writes wait, and they stay one write; what one of them is of is read behind it', async (t) => {
  const time = clock();
  const [tokyo, paris] = [await open(t, { id: 'tokyo' }), await open(t, { id: 'paris', clock: time })];
  const ann = warm(tokyo);
  const key = (n) => `key ${String(n).padStart(2, '0')}`;
  for (let n = 0; n < 60; n += 1) ann.sync.set(key(n), n);
  await pull(paris, tokyo);
  const [cid, bob] = [warm(paris), warm(paris)];
  const before = writesOf(bob, paris);
  const order = Array.from({ length: 50 }, (_, n) => (n * 7) % 50);
  for (const n of order) bob.sync.set(key(n), `${bob.sync.get(key(n))} more`);
  // What comes with a read that asks the core may be of before these writes.
  for (const n of [50, 57, 53]) assert.equal(cid.sync.get(key(n)), n);
  for (const reader of [bob, cid]) for (const n of order) assert.equal(reader.sync.get(key(n)), `${n} more`);
  assert.equal(writesOf(bob, paris), before + 1);
  for (const reader of [bob, cid]) for (const n of order) assert.equal(reader.sync.get(key(n)), `${n} more`);
  bob.sync.set(key(1), 'once more');
  bob.sync.delete(key(58));
  assert.equal(cid.sync.get(key(58)), undefined);
  assert.equal(bob.sync.get(key(1)), 'once more');
  // The core is told of nothing at a time before the one at which it was asked.
  bob.sync.set(key(2), 'later');
  time.now += 1;
  assert.equal(cid.sync.get(key(59)), 59);
  bob.sync.set(key(3), 'later');
  assert.equal(writesOf(bob, paris), before + 4);
  await pull(tokyo, paris);
  for (const n of order) assert.equal(ann.sync.get(key(n)), [, 'once more', 'later', 'later'][n] ?? `${n} more`);
});

test('the reader of a copy whose write is in the log depends on it', async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const [ann, bob] = [warm(tokyo), warm(tokyo)];
  for (let n = 0; n < 3; n += 1) {
    ann.sync.set('key', n);
    ann.sync.set('other', n);
    ann.sync.set('key', n + 10);
    assert.equal(bob.sync.get('key'), n + 10);
    assert.equal(readsOf(bob, tokyo), writesOf(ann, tokyo));
  }
});

test('a token covers every write before it and every read before it', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  const bob = warm(tokyo);
  ann.sync.set('a', 'one');
  assert.equal(bob.sync.get('a'), 'one', 'a session of the same replica sees it at once');
  const token = bob.token;
  assert.equal(readsOf(bob, tokyo), writesOf(ann, tokyo), 'what it read was not yet handed over when it read it');
  const roamed = paris.session({ token });
  assert.equal(roamed.satisfied(), false);
  assert.equal(thrown(() => roamed.sync.get('a')).code, 'STALE_REPLICA');
  await pull(paris, tokyo);
  assert.equal(roamed.sync.get('a'), 'one');
});

test('a copy that was read many times is in the token of its reader, and of no other', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  ann.sync.set('a', 'one');
  await converge(tokyo, paris);
  const [bob, eve] = [warm(paris), warm(paris)];
  for (let n = 0; n < 5; n += 1) assert.equal(bob.sync.get('a'), 'one');
  assert.equal(readsOf(bob, tokyo), writesOf(ann, tokyo));
  assert.equal(readsOf(eve, tokyo), 0);
});

test('a change from elsewhere is never hidden by a copy', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [ann, bob] = [warm(tokyo), warm(paris)];
  ann.sync.set('a', 'one');
  await converge(tokyo, paris);
  assert.equal(bob.sync.get('a'), 'one');
  ann.sync.set('a', 'two');
  await pull(paris, tokyo);
  assert.equal(bob.sync.get('a'), 'two');
  ann.sync.delete('a');
  await pull(paris, tokyo);
  assert.equal(bob.sync.get('a'), undefined);
  for (let n = 0; n < 1_500; n += 1) ann.sync.set(`many ${n}`, 'old');
  await pull(paris, tokyo);
  for (let n = 0; n < 1_500; n += 1) assert.equal(bob.sync.get(`many ${n}`), 'old');
  for (let n = 0; n < 1_500; n += 1) ann.sync.set(`many ${n}`, 'new');
  await pull(paris, tokyo);
  for (let n = 0; n < 1_500; n += 1) assert.equal(bob.sync.get(`many ${n}`), 'new', 'more than are named one by one');
});

test('writes by promise, by batch and by another session are seen by the reader of a copy', async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const [ann, bob] = [warm(tokyo), warm(tokyo)];
  ann.sync.set('a', 1);
  assert.equal(bob.sync.get('a'), 1);
  await bob.set('a', 2);
  assert.equal(ann.sync.get('a'), 2);
  ann.sync.batch((tx) => tx.set('a', 3));
  assert.equal(bob.sync.get('a'), 3);
  bob.sync.set('a', 4);
  ann.sync.set('a', 5);
  bob.sync.set('a', 6);
  assert.equal(ann.sync.get('a'), 6);
  assert.equal(await ann.get('a'), 6, 'the core has them in the order in which they were made');
  assert.equal(ann.peek('a'), 6);
});

test('a sibling that arrives takes the copy away', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [ann, bob] = [warm(tokyo), warm(paris)];
  ann.sync.set('a', 'tokyo');
  bob.sync.set('a', 'paris');
  await converge(tokyo, paris);
  assert.equal(ann.sync.get('a'), bob.sync.get('a'), 'both show the same winner');
  assert.equal(ann.conflicts('a').length, 2);
});

test('an entry that ends is not served past its end', async (t) => {
  const now = clock();
  const tokyo = await open(t, { id: 'tokyo', clock: now });
  const ann = warm(tokyo);
  ann.sync.set('a', 'one', { ttl: '1m' });
  assert.equal(ann.sync.get('a'), 'one');
  assert.equal(ann.sync.get('a'), 'one');
  now.now += 60_000;
  assert.equal(ann.sync.get('a'), undefined);
});

test('a session whose time is over reads and writes nothing, copies or not', async (t) => {
  const now = clock();
  const tokyo = await open(t, { id: 'tokyo', clock: now });
  const ann = warm(tokyo, { expiresIn: '1m' });
  ann.sync.set('a', 'one');
  now.now += 60_000;
  assert.equal(thrown(() => ann.sync.get('a')).code, 'SESSION_EXPIRED');
  assert.equal(thrown(() => ann.sync.set('a', 'two')).code, 'SESSION_EXPIRED');
  assert.equal(await warm(tokyo).get('a'), 'one', 'what it had written before stays written');
});

test('many reads and writes of one task look at the platform\'s clock once, and a session that ends meanwhile is over by the next task', async (t) => {
  const now = clock();
  const own = mocked(t, Date, 'now', () => now.now);
  const tokyo = await open(t, { id: 'tokyo' });
  const [ann, bob] = [warm(tokyo, { expiresIn: '1m' }), warm(tokyo, { expiresIn: '1m' })];
  ann.sync.set('a', 'one');
  const looks = own.mock.callCount();
  for (let n = 0; n < 1_000; n += 1) assert.equal(ann.sync.get('a'), 'one');
  assert(own.mock.callCount() - looks < 50, 'the clock is not asked at each read');
  now.now += 60_000;
  await null;
  assert.equal(thrown(() => ann.sync.get('a')).code, 'SESSION_EXPIRED');
  assert.equal(thrown(() => bob.sync.set('a', 'two')).code, 'SESSION_EXPIRED');
});

test('a session that ends while a task reads and writes without end is not served for long', async (t) => {
  const now = clock();
  mocked(t, Date, 'now', () => now.now);
  const tokyo = await open(t, { id: 'tokyo' });
  const ann = warm(tokyo, { expiresIn: '1m' });
  for (let n = 0; n < 1_000; n += 1) ann.sync.set('a', n);
  now.now += 60_000;
  const over = thrown(() => {
    for (let n = 0; n < 100; n += 1) ann.sync.get('a');
  });
  assert.equal(over.code, 'SESSION_EXPIRED');
});

test('the first that a session hears of its end may be a write', async (t) => {
  const now = clock();
  const tokyo = await open(t, { id: 'tokyo', clock: now });
  const ann = warm(tokyo, { expiresIn: '1m' });
  ann.sync.set('a', 'one');
  now.now += 60_000;
  assert.equal(thrown(() => ann.sync.set('a', 'two')).code, 'SESSION_EXPIRED');
  assert.equal(await warm(tokyo).get('a'), 'one');
});

test('writes of two sessions in one task are each its own', async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const [ann, bob] = [warm(tokyo), warm(tokyo)];
  const [before, after] = [writesOf(ann, tokyo), writesOf(bob, tokyo)];
  ann.sync.set('a', 'of ann');
  bob.sync.set('b', 'of bob');
  ann.sync.set('c', 'of ann');
  // One dot each: the second log of ann is the latest, and bob's session knows of its own alone.
  assert.equal(writesOf(bob, tokyo), after + 2);
  assert.equal(writesOf(ann, tokyo), after + 3);
  assert(before < after);
});

test('the same key, written by two sessions in one task, is the later one\'s', async (t) => {
  const tokyo = await open(t, { id: 'tokyo', clock: clock() });
  const [ann, bob] = [warm(tokyo), warm(tokyo)];
  const before = writesOf(bob, tokyo);
  ann.sync.set('key', 'by ann');
  bob.sync.set('key', 'by bob');
  assert.equal(ann.sync.get('key'), 'by bob');
  assert.equal(writesOf(bob, tokyo), before + 2, 'after that of ann');
  assert.equal(writesOf(ann, tokyo), before + 1);
});

test('a merged token puts reads and writes under the core again', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  ann.sync.set('a', 'one');
  const bob = warm(paris);
  assert.equal(bob.sync.get('warm'), 'up');
  bob.merge(ann.token);
  assert.equal(thrown(() => bob.sync.get('warm')).code, 'STALE_REPLICA');
  assert.equal(thrown(() => bob.sync.set('warm', 'again')).code, 'STALE_REPLICA');
  assert.equal(bob.sync.with('none').get('warm'), 'up');
  await pull(paris, tokyo);
  assert.equal(bob.sync.get('a'), 'one');
  bob.sync.set('warm', 'again');
});

test('a session that is served stale answers hears of news as they come', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  ann.sync.set('a', 'one');
  const bob = paris.session({ token: ann.token, onStale: 'serve' });
  assert.equal(bob.sync.get('a'), undefined);
  await pull(paris, tokyo);
  assert.equal(bob.sync.get('a'), 'one');
  ann.sync.set('a', 'two');
  await pull(paris, tokyo);
  assert.equal(bob.sync.get('a'), 'two');
});

test('an object from a copy is the caller\'s own', async (t) => {
  const ann = warm(await open(t, { id: 'tokyo' }));
  const cart = { items: ['book'] };
  ann.sync.set('cart', cart);
  cart.items.push('mine');
  const first = ann.sync.get('cart');
  assert.deepEqual(first, { items: ['book'] });
  first.items.push('also mine');
  assert.deepEqual(ann.sync.get('cart'), { items: ['book'] });
  assert.notEqual(ann.sync.get('cart'), ann.sync.get('cart'));
});

test('limits hold for every write, also for those that are not handed over yet', async (t) => {
  const tokyo = await openReplica({ id: 'tokyo', limits: { keys: 100, valueBytes: 1_000 } });
  t.after(() => tokyo.close());
  const ann = warm(tokyo);
  assert.equal(thrown(() => ann.sync.set('large', 'x'.repeat(1_001))).code, 'VALUE_TOO_LARGE');
  assert.equal(thrown(() => ann.sync.set('large', 'ä'.repeat(501))).code, 'VALUE_TOO_LARGE');
  assert.equal(thrown(() => ann.sync.set('', 'no key')).code, 'KEY_INVALID');
  assert.equal(thrown(() => ann.sync.set('k'.repeat(2_000), 'long')).code, 'KEY_INVALID');
  const refused = thrown(() => {
    for (let n = 0; n < 200; n += 1) ann.sync.set(`key ${n}`, n);
  });
  assert.equal(refused.code, 'QUOTA_EXCEEDED');
  assert.equal(tokyo.inspect().keys, 100, 'all that was accepted is there, and not one more');
  ann.sync.set('key 1', 'again');
  assert.equal(ann.sync.get('key 1'), 'again', 'a full store can still overwrite');
});

test('limits hold for values that grow while their writes are not handed over yet', async (t) => {
  const tokyo = await open(t, { id: 'tokyo', clock: clock(), limits: { bytes: 40_000 } });
  const ann = warm(tokyo);
  const accepted = new Map();
  for (let n = 0; n < 50; n += 1) ann.sync.set(`key ${n}`, 'small');
  const refused = thrown(() => {
    for (let n = 0; n < 50; n += 1) {
      const value = `${n} `.padEnd(1_000, 'x');
      ann.sync.set(`key ${n}`, value);
      accepted.set(`key ${n}`, value);
    }
  });
  assert.equal(refused.code, 'QUOTA_EXCEEDED');
  assert(accepted.size > 25, 'what fits is accepted');
  const bob = tokyo.session();
  for (let n = 0; n < 50; n += 1) assert.equal(await bob.get(`key ${n}`), accepted.get(`key ${n}`) ?? 'small');
});

test('the room that is left is what others have left, not what it was before', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { limits: { keys: 100 } });
  const failures = [];
  tokyo.on('error', (error) => failures.push(error.code));
  const [ann, bob] = [warm(tokyo), warm(paris)];
  ann.sync.set('mine', 0);
  ann.token;
  for (let n = 0; n < 90; n += 1) bob.sync.set(`theirs ${n}`, n);
  await pull(tokyo, paris);
  const accepted = [];
  const refused = thrown(() => {
    for (let n = 0; n < 50; n += 1) {
      ann.sync.set(`mine ${n}`, n);
      accepted.push(n);
    }
  });
  assert.equal(refused.code, 'QUOTA_EXCEEDED');
  for (const n of accepted) assert.equal(await ann.get(`mine ${n}`), n, 'what was accepted is there');
  assert.deepEqual(failures, []);
  assert.equal(tokyo.inspect().keys, 100);
});

test('letting go of a session, and closing, lose nothing that was accepted', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [here, there] = pair();
  tokyo.connect(here);
  paris.connect(there);
  const bob = warm(paris);
  const ann = warm(tokyo);
  ann.sync.set('first', 'one');
  ann[Symbol.dispose]();
  assert.equal(thrown(() => ann.sync.get('first')).code, 'SESSION_NOT_FOUND');
  assert.equal(thrown(() => ann.sync.set('first', 'two')).code, 'SESSION_NOT_FOUND');
  const eve = warm(tokyo);
  assert.equal(eve.sync.get('first'), 'one');
  const arrived = next(paris, 'change', ({ key }) => key === 'last');
  eve.sync.set('last', 'words');
  eve.sync.set('last', 'last words');
  await within(arrived, 'the last words');
  assert.equal(bob.sync.get('last'), 'last words');
  await tokyo.close();
  assert.equal(thrown(() => eve.sync.get('last')).code, 'REPLICA_CLOSED');
  assert.equal(thrown(() => eve.sync.set('last', 'more')).code, 'REPLICA_CLOSED');
});

test('neighbours that came with a read are true, are forgotten like any copy, and count as read when they are', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  const expected = new Map();
  for (let n = 0; n < 300; n += 1) {
    const [key, value] = [`ключ-${n}-𝄞`, n % 3 ? `値 ${n}` : { n }];
    await ann.set(key, value);
    expected.set(key, value);
  }
  await pull(paris, tokyo);
  const bob = paris.session();
  const keys = [...expected.keys()].sort();
  for (const key of keys.slice(0, 20)) assert.deepEqual(bob.sync.get(key), expected.get(key));
  const read = () => readsOf(bob, tokyo);
  assert(read() < 300, 'what came ahead was not read');
  // One that is surely ahead changes elsewhere.
  await ann.set(keys[25], 'changed');
  expected.set(keys[25], 'changed');
  await pull(paris, tokyo);
  for (const key of keys) assert.deepEqual(bob.sync.get(key), expected.get(key));
  assert.equal(read(), writesOf(ann, tokyo), 'a copy that was read counts');
  for (const key of keys.slice(0, 3)) paris.session().sync.delete(key);
  for (const key of keys.slice(0, 3)) assert.equal(bob.sync.get(key), undefined);
});

test('what was fetched ahead and not looked at yet gives way to whatever is newer', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  const key = (n) => `key ${String(n).padStart(5, '0')}`;
  const expected = new Map();
  const put = (session, n, value) => {
    session.sync.set(key(n), value);
    expected.set(key(n), value);
  };
  for (let n = 0; n < 4_000; n += 1) put(ann, n, n % 5 ? `value ${n}` : { n });
  await pull(paris, tokyo);
  const [bob, eve] = [paris.session(), warm(paris)];
  for (let n = 0; n < 4_000; n += 1) {
    // Some keys further on, which a walk has fetched by now, change here, elsewhere, or go.
    if (n % 100 === 50) put(eve, n + 3, 'written here');
    if (n % 100 === 60) {
      eve.sync.delete(key(n + 3));
      expected.delete(key(n + 3));
    }
    if (n % 100 === 70) {
      await eve.set(key(n + 3), 'by promise');
      expected.set(key(n + 3), 'by promise');
    }
    if (n % 500 === 80) {
      put(ann, n + 3, 'elsewhere');
      await pull(paris, tokyo);
    }
    if (n % 100 === 90) assert.deepEqual(bob.sync.get(key(n + 5)), expected.get(key(n + 5)), 'out of order');
    assert.deepEqual(bob.sync.get(key(n)), expected.get(key(n)), key(n));
  }
  for (const bad of [[key(3)], 7, null, undefined, '\ud800']) assert.equal(thrown(() => bob.sync.get(bad)).code, 'KEY_INVALID');
});

test('what was read many times in a task is not what is answered once something has happened in that task', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  const keys = ['a', 'b', 'c', 'd', 'e'];
  for (const key of keys) ann.sync.set(key, `${key} of ann`);
  const stranger = await open(t, { id: 'oslo' });
  const far = warm(stranger);
  far.sync.set('far', 'away');
  await pull(paris, tokyo);
  const question = await paris.exchange(new Uint8Array());
  // Here and there, so that they are ready, and so often that no look at the clock is due.
  const hot = (...sessions) => {
    for (let n = 0; n < 100; n += 1) {
      for (const session of sessions) for (const at of [0, 2, 4, 1, 3]) assert.equal(typeof session.sync.get(keys[at]), 'string');
    }
  };
  const [bob, eve, joe, mia, kim] = Array.from({ length: 5 }, () => warm(paris));
  hot(bob, eve, joe, mia, kim);

  bob.sync.set('a', 'a of bob');
  assert.deepEqual([bob, eve].map((one) => one.sync.get('a')), ['a of bob', 'a of bob'], 'a write that the core does not have yet');
  assert.equal(readsOf(eve, paris), writesOf(bob, paris), 'and whose it is');
  hot(bob, eve);
  eve.sync.delete('b');
  assert.equal(bob.sync.get('b'), undefined, 'deleted');
  eve.sync.set('b', 'b of eve');
  assert.equal(bob.sync.get('b'), 'b of eve');
  assert.equal(readsOf(bob, paris), writesOf(eve, paris));
  hot(bob, eve, joe);

  joe.sync.set('new', 'of joe');
  void joe.satisfied();
  hot(bob);
  for (let n = 0; n < 3; n += 1) for (const key of ['new', 'c']) eve.sync.get(key);
  assert.equal(bob.sync.get('new'), 'of joe');
  assert.equal(readsOf(bob, paris), writesOf(joe, paris), 'what became ready for another is noted for who reads it now');

  ann.sync.set('c', 'c of ann, later');
  const answer = await tokyo.exchange(question);
  hot(bob, eve, joe);
  const taken = paris.exchange(answer);
  assert.equal(bob.sync.get('c'), 'c of ann, later', 'it came from elsewhere');
  await taken;
  hot(bob, eve, joe, mia, kim);

  const gone = thrown.bind(undefined, () => joe.sync.get('a'));
  joe.merge(far.token);
  assert.equal(gone().code, 'STALE_REPLICA', 'a token was merged');
  hot(mia, kim);
  mia[Symbol.dispose]();
  assert.equal(thrown(() => mia.sync.get('a')).code, 'SESSION_NOT_FOUND', 'it was let go of');
  hot(kim);
  const closed = paris.close();
  assert.equal(thrown(() => kim.sync.get('a')).code, 'REPLICA_CLOSED', 'the replica was closed');
  await closed;
});

test('a session that only reads what it has read before ends in time, whoever else has looked at the clock in the task', async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const [ann, bob] = [warm(tokyo, { expiresIn: 200 }), warm(tokyo)];
  for (const key of ['a', 'b', 'c']) bob.sync.set(key, key);
  void bob.satisfied();
  const read = (session, times) => {
    for (let n = 0; n < times; n += 1) assert.equal(session.sync.get(['a', 'c', 'b'][n % 3]), ['a', 'c', 'b'][n % 3]);
  };
  read(bob, 200);
  read(ann, 100);
  while (Date.now() <= ann.expiresAt) read(bob, 10);
  // One look at the clock serves so many reads at most.
  read(bob, 200);
  assert.equal(thrown(() => ann.sync.get('a')).code, 'SESSION_EXPIRED');
});
