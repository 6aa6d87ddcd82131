// One replica, one session: what is written is read, in every form of reading, and nothing that a caller holds is the store's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { all, clock, open, rejection, thrown, warm } from './support.mjs';

test('a value comes back as it was: JSON, strings of every kind, bytes', async (t) => {
  const session = (await open(t)).session();
  const values = [null, true, 0, -1.5, 1e300, '', 'text', 'ünïcødé 🙂', 'half of a pair \ud83d', [], {}, [1, [2, { three: 3 }]], { a: { b: null } }, '{"looks":"like JSON"}'];
  for (const value of values) {
    await session.set('key', value);
    assert.deepEqual(await session.get('key'), value);
    assert.deepEqual(session.sync.get('key'), value);
  }
  for (const bytes of [new Uint8Array(), Uint8Array.of(0, 1, 255), Buffer.from('buffer'), new Uint8Array(70_000).fill(9)]) {
    await session.set('key', bytes);
    const back = await session.get('key');
    assert.ok(back instanceof Uint8Array);
    assert.deepEqual([...back], [...bytes]);
  }
});

test('absent, written, deleted: get, read and entry say so', async (t) => {
  const session = (await open(t)).session();
  assert.equal(await session.get('cart'), undefined);
  assert.deepEqual(await session.read('cart'), { state: 'absent', stale: false });
  assert.equal(await session.entry('cart'), undefined);

  const version = await session.set('cart', ['book']);
  assert.equal(typeof version, 'string');
  const entry = { key: 'cart', value: ['book'], version, expiresAt: null };
  assert.deepEqual(await session.entry('cart'), entry);
  assert.deepEqual(await session.read('cart'), { state: 'value', stale: false, entry, conflicts: 0 });
  assert.deepEqual(session.sync.entry('cart'), entry);
  assert.deepEqual(session.peek('cart'), ['book']);

  const gone = await session.delete('cart');
  assert.ok(gone > version, 'a later version compares greater');
  assert.equal(await session.get('cart'), undefined);
  assert.deepEqual(await session.read('cart'), { state: 'absent', stale: false });
});

test('the operations without a promise do the same', async (t) => {
  const session = (await open(t)).session();
  session.sync.set('a', 1);
  assert.equal(session.sync.entry('a').version, (await session.entry('a')).version);
  session.sync.batch((tx) => tx.set('b', 2).set('c', 3));
  assert.deepEqual(session.sync.list().map(({ key, value }) => [key, value]), [['a', 1], ['b', 2], ['c', 3]]);
  session.sync.delete('b');
  assert.equal(session.sync.get('b'), undefined);
  assert.equal(session.sync.with('none').get('a'), 1);
  assert.equal(await session.get('c'), 3);
});

test('who reads from copies alone uses the session, and who reads nothing does not', async (t) => {
  let now = Date.now();
  const replica = await open(t, { clock: () => now, session: { idleTimeout: '1m' } });
  const [read, idle] = [replica.session(), replica.session()];
  read.sync.set('key', 1);
  idle.sync.set('other', 1);
  for (let n = 0; n < 4; n += 1) {
    now += 40_000;
    assert.equal(read.sync.get('key'), 1);
    // What is read is told to the core after the task.
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.deepEqual((await all(read.list())).map(({ key }) => key), ['key', 'other']);
  await assert.rejects(all(idle.list()), { code: 'SESSION_EXPIRED' });
  now += 60_000;
  await assert.rejects(all(read.list()), { code: 'SESSION_EXPIRED' });
});

test('who reads from copies alone uses the session, however long the task takes in which he does', async (t) => {
  let now = Date.now();
  const replica = await open(t, { clock: () => now, session: { idleTimeout: '1m' } });
  const session = warm(replica);
  for (let n = 0; n < 40; n += 1) {
    now += 10_000;
    assert.equal(session.sync.get('warm'), 'up', `after ${n} reads`);
  }
  now += 60_000;
  assert.throws(() => session.sync.get('warm'), { code: 'SESSION_EXPIRED' });
});

test('each read of the same copy is use, however often it was read before', async (t) => {
  let now = Date.now();
  const replica = await open(t, { clock: () => now, session: { idleTimeout: '1m' } });
  const session = replica.session();
  session.sync.set('key', 1);
  session.sync.get('key');
  for (const later of [30_000, 25_000]) {
    now += later;
    assert.equal(session.sync.get('key'), 1);
    // What is read is told to the core after the task.
    await new Promise((resolve) => setTimeout(resolve));
  }
  now += 50_000;
  assert.equal(await session.get('key'), 1);
});

test('no copy is answered and no write accepted after the idle end, though no timer has rung', async (t) => {
  let now = Date.now();
  const replica = await open(t, { clock: () => now, session: { idleTimeout: '1m' } });
  const [reader, writer, other, blank] = [replica.session(), replica.session(), replica.session(), replica.session()];
  for (const session of [reader, writer, other]) session.sync.set('key', 1);
  // The one that writes nothing is asked about by a read alone.
  for (const session of [reader, writer, blank]) assert.equal(session.sync.get('key'), 1);
  now += 59_999;
  assert.equal(other.sync.get('key'), 1);
  // In the same task: whatever waits for its time has not had its turn.
  now += 1;
  assert.throws(() => blank.sync.get('key'), { code: 'SESSION_EXPIRED' });
  assert.throws(() => reader.sync.get('key'), { code: 'SESSION_EXPIRED' });
  assert.throws(() => writer.sync.set('key', 2), { code: 'SESSION_EXPIRED' });
  assert.equal(other.sync.get('key'), 1);
});

test('a clock that is set back takes the idle end with it, also where reads and writes cross nothing', async (t) => {
  for (const rest of [() => {}, () => new Promise((resolve) => setTimeout(resolve))]) {
    let now = Date.now();
    const replica = await open(t, { clock: () => now, session: { idleTimeout: '1m' } });
    // A write that was accepted, and that the core then refuses, is told by this.
    const errors = [];
    replica.on('error', (error) => errors.push(error));
    const [reader, writer] = [replica.session(), replica.session()];
    for (const session of [reader, writer]) session.sync.set('key', 1);
    for (const session of [reader, writer]) assert.equal(session.sync.get('key'), 1);
    await rest();
    now -= 86_400_000;
    assert.equal(reader.sync.get('key'), 1);
    writer.sync.set('key', 2);
    await rest();
    now += 59_999;
    assert.equal(reader.sync.get('key'), 2);
    writer.sync.set('key', 3);
    await rest();
    now += 60_000;
    assert.throws(() => reader.sync.get('key'), { code: 'SESSION_EXPIRED' });
    assert.throws(() => writer.sync.set('key', 4), { code: 'SESSION_EXPIRED' });
    await rest();
    assert.deepEqual(errors, []);
  }
});

test('a listing is in key order, within its bounds', async (t) => {
  const session = (await open(t)).session();
  for (const key of ['b:2', 'a', 'b:10', 'c', 'b:1', 'b', 'é']) await session.set(key, key);
  const keys = async (range) => (await all(session.list(range))).map((entry) => entry.key);
  assert.deepEqual(await keys(), ['a', 'b', 'b:1', 'b:10', 'b:2', 'c', 'é']);
  assert.deepEqual(await keys({ prefix: 'b:' }), ['b:1', 'b:10', 'b:2']);
  assert.deepEqual(await keys({ start: 'b:10', end: 'c' }), ['b:10', 'b:2']);
  assert.deepEqual(await keys({ limit: 2 }), ['a', 'b']);
  assert.deepEqual(await keys({ reverse: true, limit: 2 }), ['é', 'c']);
  assert.deepEqual(await keys({ prefix: 'b:', reverse: true, limit: 2 }), ['b:2', 'b:10']);
  assert.deepEqual(await keys({ prefix: 'nothing' }), []);
  assert.deepEqual(await keys({ limit: 0 }), []);
  assert.deepEqual(session.sync.list({ prefix: 'b:' }).map((entry) => entry.key), ['b:1', 'b:10', 'b:2']);
});

test('a listing is what was there when it began', async (t) => {
  const session = (await open(t)).session();
  await session.batch((tx) => tx.set('a', 1).set('b', 1));
  const seen = [];
  for await (const { key, value } of session.list()) {
    seen.push([key, value]);
    session.sync.set('b', 2);
    session.sync.set('c', 2);
  }
  assert.deepEqual(seen, [['a', 1], ['b', 1]]);
});

test('an entry with a time to live is there until then, and not longer', async (t) => {
  const now = clock();
  const session = (await open(t, { clock: now })).session();
  await session.set('code', 1234, { ttl: '5m' });
  session.sync.set('other', 1, { ttl: 1000 });
  await session.batch((tx) => tx.set('third', 1, { ttl: '1h' }));
  assert.equal((await session.entry('code')).expiresAt, now.now + 300_000);
  now.now += 299_999;
  assert.equal(await session.get('code'), 1234);
  assert.equal(await session.get('other'), undefined);
  now.now += 1;
  assert.equal(await session.get('code'), undefined);
  assert.deepEqual(await session.read('code'), { state: 'absent', stale: false });
  assert.deepEqual((await all(session.list())).map((entry) => entry.key), ['third']);
});

test('a caller that changes what it was given, or what it gave, does not change the store', async (t) => {
  const session = (await open(t)).session();
  const given = { items: ['book'] };
  await session.set('cart', given);
  given.items.push('stolen');
  const first = await session.get('cart');
  first.items.push('stolen');
  (await session.entry('cart')).value.items.length = 0;
  session.sync.get('cart').items = null;
  (await all(session.list()))[0].value.items = null;
  session.conflicts('cart')[0].value.items = null;
  session.peek('cart').items = null;
  assert.deepEqual(await session.get('cart'), { items: ['book'] });

  const bytes = Uint8Array.of(1, 2, 3);
  await session.set('bytes', bytes);
  bytes.fill(0);
  (await session.get('bytes')).fill(0);
  assert.deepEqual([...(await session.get('bytes'))], [1, 2, 3]);

  const late = Uint8Array.of(1);
  session.sync.batch((tx) => {
    tx.set('late', late);
    late[0] = 2;
  });
  assert.deepEqual([...session.sync.get('late')], [1]);
});

test('listeners of one event share nothing', async (t) => {
  const replica = await open(t);
  const seen = [];
  replica.on('change', (change) => {
    change.value.fill(0);
  });
  replica.on('change', (change) => seen.push([...change.value]));
  await replica.session().set('bytes', Uint8Array.of(1, 2));
  assert.deepEqual(seen, [[1, 2]]);
});

test('what is no value is refused, and nothing is written', async (t) => {
  const session = (await open(t)).session();
  const cycle = {};
  cycle.cycle = cycle;
  const transferred = new Uint8Array(4);
  structuredClone(transferred, { transfer: [transferred.buffer] });
  for (const value of [undefined, () => {}, Symbol('s'), 10n, Number.NaN, Infinity, cycle, new Map(), new Set(), new Float64Array(1), new ArrayBuffer(1), transferred]) {
    assert.equal((await rejection(session.set('key', value))).code, 'VALUE_INVALID');
    assert.equal(thrown(() => session.sync.set('key', value)).code, 'VALUE_INVALID');
    assert.equal((await rejection(session.batch((tx) => tx.set('a', 1).set('key', value)))).code, 'VALUE_INVALID');
  }
  assert.deepEqual(await all(session.list()), []);
  await session.set('key', new Uint8Array());
  assert.deepEqual(await session.get('key'), new Uint8Array(), 'no bytes are a value');
});

test('what a value throws as it is looked at is told as the cause, and nothing is written', async (t) => {
  const session = (await open(t)).session();
  const why = new RangeError('mine');
  const throws = () => {
    throw why;
  };
  const revoked = (of) => {
    const { proxy, revoke } = Proxy.revocable(of, {});
    revoke();
    return proxy;
  };
  const values = [Object.defineProperty({}, 'a', { get: throws, enumerable: true }), { toJSON: throws }, [{ deep: { toJSON: throws } }], new Proxy({}, { getPrototypeOf: throws })];
  for (const value of [...values, revoked({}), revoked([]), { deep: revoked({}) }]) {
    // In front of the core, in the place of an object that is there, and by the core.
    session.sync.set('other', {});
    const errors = [thrown(() => session.sync.set('key', value)), thrown(() => session.sync.set('other', value)), thrown(() => session.sync.set('key', value, { ttl: 9 })), await rejection(session.set('key', value)), await rejection(session.batch((tx) => tx.set('a', 1).set('key', value)))];
    for (const { code, cause } of errors) {
      assert.equal(code, 'VALUE_INVALID');
      if (values.includes(value)) assert.equal(cause, why);
      else assert.ok(cause instanceof TypeError);
    }
    assert.deepEqual((await all(session.list())).map((entry) => [entry.key, entry.value]), [['other', {}]]);
  }
});

test('what is no key is refused', async (t) => {
  const session = (await open(t)).session();
  for (const key of [undefined, null, 1, '', 'half a pair \udc00', 'x'.repeat(100_000)]) {
    assert.equal((await rejection(session.get(key))).code, 'KEY_INVALID');
    assert.equal((await rejection(session.set(key, 1))).code, 'KEY_INVALID');
    assert.equal(thrown(() => session.sync.delete(key)).code, 'KEY_INVALID');
  }
});

test('sessions of different spaces do not see each other', async (t) => {
  const replica = await open(t, { space: 'shop' });
  const [shop, blog] = [replica.session(), replica.session({ space: 'blog' })];
  assert.equal(shop.space, 'shop');
  assert.equal(blog.space, 'blog');
  await shop.set('title', 'shop');
  assert.equal(await blog.get('title'), undefined);
  await blog.set('title', 'blog');
  assert.equal(await shop.get('title'), 'shop');
});

test('two sessions that take turns do not disturb each other', async (t) => {
  const replica = await open(t);
  const [ann, bob] = [replica.session({ user: 'ann' }), replica.session({ user: 'bob', guarantees: 'none' })];
  for (let turn = 0; turn < 50; turn += 1) {
    ann.sync.set('ann', turn);
    const wrote = bob.set('bob', turn);
    assert.equal(ann.sync.get('ann'), turn);
    await wrote;
    assert.equal(await bob.get('ann'), turn);
    assert.equal(await ann.get('bob'), turn);
  }
  assert.deepEqual([ann.user, bob.user], ['ann', 'bob']);
  assert.equal(ann.guarantees.length, 4);
  assert.deepEqual(bob.guarantees, []);
  assert.notEqual(ann.id, bob.id);
});

test('a session tells who it is, and its replica what it holds', async (t) => {
  const replica = await open(t, { id: 'fra1' });
  const session = replica.session({ user: 'ann', client: 'phone', expiresIn: '1h' });
  await session.set('a', 1);
  assert.match(replica.id, /^fra1~[a-z0-9]{16}$/);
  assert.match(session.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.ok(session.expiresAt > Date.now());
  assert.equal(session.resumed, false);
  assert.equal(session.reason, null);
  const inspected = session.inspect();
  assert.equal(inspected.id, session.id);
  assert.equal(inspected.client, 'phone');
  assert.deepEqual(inspected.guarantees, session.guarantees);
  assert.deepEqual(inspected.writes, { [replica.id]: 1 });
  assert.deepEqual(inspected.spaces, { default: { reads: inspected.reads, writes: inspected.writes } });

  const whole = replica.inspect();
  assert.deepEqual(whole, JSON.parse(JSON.stringify(whole)), 'an inspection is plain data');
  assert.equal(whole.replica, replica.id);
  assert.deepEqual(whole.vectors, { default: { [replica.id]: 1 } });
  assert.equal(whole.keys, 1);
  assert.ok(whole.bytes > 0);
  assert.ok(whole.wasmBytes >= 65_536);
  assert.deepEqual(whole.sessions.map(({ id }) => id), [session.id]);
  assert.deepEqual(whole.storage, { kind: 'memory', persisted: false, pending: 0 });
  assert.match(whole.version, /^\d+\.\d+\.\d+/);
});
