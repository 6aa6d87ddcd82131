// Objects that are handed out frozen: the same one to everybody and by every call, as long as the key holds the same, and never
// what a check, a change, an end or a role would have kept back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { openReplica } from 'edge-session';
import { collect } from './garbage.mjs';
import { all, clock, Disk, next, numbers, open, openAll, pull, rejection, SECRET, TestStorage, thrown, warm, within } from './support.mjs';

const FROZEN = { values: 'frozen' };
const cart = (n) => ({ n, items: ['book', { pages: [n, 2] }] });

/** What each call answers for a key. */
async function answers(session, key) {
  const watched = session.watch(key)[Symbol.asyncIterator]();
  const change = watched.next();
  const [listed] = await all(session.list({ prefix: key }));
  const found = {
    'sync.get': session.sync.get(key),
    'sync.get again': session.sync.get(key),
    'sync.entry': session.sync.entry(key)?.value,
    'sync.list': session.sync.list({ prefix: key })[0]?.value,
    get: await session.get(key),
    read: (await session.read(key)).entry?.value,
    entry: (await session.entry(key))?.value,
    peek: session.peek(key),
    list: listed?.value,
    live: session.live(key).value,
  };
  await session.set('other', 0);
  await session.set(key, found.get);
  found.watch = (await within(change, 'the change of the key')).value.value;
  await watched.return();
  return found;
}

function frozenThroughout(value) {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(frozenThroughout);
}

for (const [where, storage] of [['memory', () => undefined], ['a storage', () => new TestStorage(new Disk())]]) {
  test(`each call hands out the same frozen object, with ${where}`, async (t) => {
    const replica = await open(t, { ...FROZEN, storage: storage() });
    const ann = replica.session();
    const own = cart(1);
    await ann.set('cart', own);
    own.items.push('mine');
    const found = await answers(ann, 'cart');
    assert.deepEqual(found.get, cart(1));
    assert(frozenThroughout(found.get));
    for (const [call, value] of Object.entries(found)) assert.equal(value, found.get, call);
    assert.throws(() => found.get.items.push('also mine'), TypeError);
    assert.equal(replica.session().sync.get('cart'), found.get, 'another session');
    await ann.set('cart', cart(2));
    assert.deepEqual(ann.sync.get('cart'), cart(2));
    assert.deepEqual(found.get, cart(1), 'what was handed out stays what it was');
    const [changed] = [ann.sync.get('cart')];
    await ann.set('cart', { ...changed });
    assert.equal(ann.sync.get('cart'), changed, 'a write of the same JSON is no change of the object');
  });
}

test('unless it is asked for, each read makes an object of its own', async (t) => {
  for (const options of [{}, { values: 'fresh' }]) {
    const ann = warm(await open(t, options));
    ann.sync.set('cart', cart(1));
    for (const again of [1, 2, 3]) {
      for (const value of [ann.sync.get('cart'), await ann.get('cart'), ann.sync.entry('cart').value]) {
        assert.deepEqual(value, cart(1), `${again}`);
        value.items[1].pages.push('mine');
      }
    }
    assert(Object.isFrozen(ann.live('cart').value), 'but for live values');
  }
  for (const values of ['Frozen', true, null]) assert.equal((await rejection(openReplica({ values }))).code, 'ARGUMENT_INVALID');
});

test('what has no parts, strings and bytes are what they are, however often they are read', async (t) => {
  for (const options of [{}, FROZEN]) {
    const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], options);
    const ann = warm(tokyo);
    const values = { null: null, true: true, false: false, zero: 0, half: 0.5, text: 'text', empty: '', lone: '\ud800', odd: ' [1]', list: [], object: {} };
    for (const [key, value] of Object.entries(values)) ann.sync.set(key, value);
    const look = (session) => {
      // In the order in which they came, and here and there.
      for (const by of [1, 1, 5, 5, 7]) {
        const keys = Object.keys(values);
        for (let n = 0; n < keys.length; n += 1) {
          const key = keys[(n * by) % keys.length];
          assert.deepEqual(session.sync.get(key), values[key], key);
        }
      }
    };
    look(ann);
    void ann.satisfied();
    look(ann);
    await pull(paris, tokyo);
    look(warm(paris));
    const bytes = Uint8Array.of(1, 2, 3);
    ann.sync.set('bytes', bytes);
    for (const read of [() => ann.sync.get('bytes'), () => ann.sync.entry('bytes').value, () => ann.get('bytes')]) {
      const own = await read();
      assert.deepEqual(own, Uint8Array.of(1, 2, 3));
      own.fill(0);
    }
    ann.sync.set('null', 1);
    assert.equal(ann.sync.get('null'), 1);
    void ann.satisfied();
    for (let n = 0; n < 4; n += 1) assert.equal(ann.sync.get(n % 2 ? 'null' : 'zero'), n % 2);
    ann.sync.delete('null');
    assert.equal(ann.sync.get('null'), undefined);
  }
});

test('whatever is written, deleted or comes from elsewhere, and whoever reads by whichever call: the object of what is there now', async (t) => {
  for (const seed of [1, 2, 3]) {
    const below = numbers(seed);
    const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], FROZEN);
    const ann = warm(tokyo);
    const key = (n) => `key ${String(n).padStart(4, '0')}`;
    const [count, expected] = [600, new Map()];
    const put = (session, n, value) => {
      session.sync.set(key(n), value);
      expected.set(key(n), JSON.stringify(value));
    };
    for (let n = 0; n < count; n += 1) put(ann, n, cart(n));
    await pull(paris, tokyo);
    const readers = [warm(paris), paris.session(), warm(paris)];
    // The objects that were handed out, by key; forgotten when the key changes.
    const seen = new Map();
    let at = 0;
    for (let step = 0; step < 6_000; step += 1) {
      const [reader, chance] = [readers[below(3)], below(1_000)];
      if (chance < 3) {
        for (let n = below(20); n > 0; n -= 1) put(ann, below(count), cart(step));
        await pull(paris, tokyo);
        await pull(tokyo, paris);
      } else if (chance < 30) {
        if (chance < 25) put(reader, below(count), cart(step % 7));
        else {
          const n = below(count);
          reader.sync.delete(key(n));
          expected.delete(key(n));
        }
        await pull(tokyo, paris);
      } else {
        const name = key(chance < 600 ? (at = (at + 1) % count) : below(count));
        const by = below(12);
        const value = by === 0 ? reader.sync.entry(name)?.value : by === 1 ? await reader.get(name) : reader.sync.get(name);
        const text = expected.get(name);
        assert.equal(JSON.stringify(value), text, `${name}, seed ${seed}`);
        if (value === undefined) continue;
        const before = seen.get(name);
        if (before?.text === text) assert.equal(value, before.value, `the same object, ${name}, seed ${seed}`);
        seen.set(name, { text, value });
      }
    }
  }
});

test('no object is handed out past a failed check, an end, or a role that was taken away', async (t) => {
  const [now, roles] = [clock(), { ann: 'User', bob: 'User' }];
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { ...FROZEN, clock: now });
  const ann = warm(tokyo);
  const hot = (session, key = 'cart') => {
    for (let n = 0; n < 20; n += 1) assert.deepEqual(session.sync.get(n % 2 ? key : 'warm'), n % 2 ? cart(1) : 'up');
  };
  const bob = warm(paris);
  bob.sync.set('cart', cart(1));
  hot(bob);
  ann.sync.set('far', 'away');
  bob.merge(ann.token);
  for (const read of [() => bob.sync.get('cart'), () => bob.sync.entry('cart')]) assert.equal(thrown(read).code, 'STALE_REPLICA');
  assert.equal((await rejection(bob.get('cart', { onStale: 'throw' }))).code, 'STALE_REPLICA');

  ann.sync.set('brief', cart(1), { ttl: '1m' });
  assert.deepEqual([ann.sync.get('brief'), ann.sync.get('brief')], [cart(1), cart(1)]);
  const eve = warm(tokyo, { expiresIn: '1m' });
  eve.sync.set('cart', cart(1));
  hot(eve);
  now.now += 60_000;
  assert.equal(ann.sync.get('brief'), undefined, 'the entry has expired');
  assert.equal(await ann.get('brief'), undefined);
  assert.equal(thrown(() => eve.sync.get('cart')).code, 'SESSION_EXPIRED');

  const hosted = await open(t, { ...FROZEN, secret: SECRET, roleOf: (user) => roles[user] ?? null });
  const [joe, kim] = [warm(hosted, { user: 'ann' }), warm(hosted, { user: 'bob' })];
  joe.sync.set('cart', cart(1));
  hot(joe);
  hot(kim);
  delete roles.ann;
  assert.equal(thrown(() => joe.sync.get('cart')).code, 'PERMISSION_DENIED');
  hot(kim);
  const over = next(hosted, 'session');
  hosted.admin.killSession(kim.id);
  await over;
  assert.equal(thrown(() => kim.sync.get('cart')).code, 'SESSION_KILLED');
  const again = warm(hosted, { user: 'bob' });
  hot(again);
  const closed = hosted.close();
  assert.equal(thrown(() => again.sync.get('cart')).code, 'REPLICA_CLOSED');
  await closed;
});

test('siblings are frozen and no other\'s; the key\'s own object comes back when they are resolved', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], FROZEN);
  const [ann, bob] = [warm(tokyo), warm(paris)];
  ann.sync.set('cart', cart(1));
  bob.sync.set('cart', cart(2));
  await pull(paris, tokyo);
  const siblings = bob.conflicts('cart');
  assert.deepEqual(siblings.map(({ value }) => value.n).sort(), [1, 2]);
  assert(siblings.every(({ value }) => frozenThroughout(value)));
  const kept = bob.sync.get('cart');
  assert.equal(bob.sync.get('cart'), kept);
  bob.sync.set('cart', kept);
  for (let n = 0; n < 4; n += 1) assert.equal(bob.sync.get('cart'), kept);
});

test('a live value is the object that is read, and a change is another one', async (t) => {
  const ann = warm(await open(t, FROZEN));
  ann.sync.set('cart', cart(1));
  const told = [];
  const stop = ann.live('cart').subscribe((value) => told.push(value));
  ann.sync.set('cart', cart(1));
  ann.sync.set('cart', cart(2));
  await null;
  stop();
  assert.equal(told.at(-1), ann.sync.get('cart'));
  assert.deepEqual(told.at(-1), cart(2));
});

test('of what is kept for the next reader little is left of what nobody asks for', async (t) => {
  const replica = await open(t, FROZEN);
  const ann = replica.session();
  const text = 'x'.repeat(60_000);
  await ann.set('asked for', { text });
  const kept = await ann.get('asked for');
  const others = [];
  for (let n = 0; n < 300; n += 1) {
    await ann.set(`key ${n}`, { n, text });
    others.push(new WeakRef(await ann.get(`key ${n}`)));
    await ann.set('many', { n, text });
    assert.equal((await ann.get('many')).n, n);
    assert.equal(await ann.get('asked for'), kept);
  }
  // What was looked at through a reference lives until the task is over.
  const left = () => others.slice(0, 50).filter((one) => one.deref() !== undefined).length;
  for (let turn = 0; turn < 20 && left() > 5; turn += 1) {
    await setImmediate();
    collect();
  }
  assert(left() <= 5, `${left()} of 50 objects that were read long ago are there yet`);
  assert.deepEqual(await ann.get('key 0'), { n: 0, text });
});

test('what is ready goes on being the one object, though much else was asked for since', async (t) => {
  const ann = warm(await open(t, FROZEN));
  const keys = ['a', 'b', 'c', 'd'];
  for (const key of keys) await ann.set(key, cart(1));
  const read = () => keys.toReversed().map((key) => ann.sync.get(key));
  const kept = read();
  for (let turn = 0; turn < 4; turn += 1) read();
  const text = 'x'.repeat(60_000);
  for (let n = 0; n < 600; n += 1) {
    await ann.set(`key ${n % 200}`, { n, text });
    void ann.sync.entry(`key ${n % 200}`);
    assert(read().every((value, at) => value === kept[at]));
  }
  for (const [at, key] of keys.toReversed().entries()) {
    assert.equal(ann.sync.entry(key).value, kept[at], key);
    assert.equal(await ann.get(key), kept[at], key);
    assert.equal(ann.live(key).value, kept[at], key);
  }
  assert(read().every((value, at) => value === kept[at]));
  await ann.set('b', cart(2));
  assert.deepEqual([ann.sync.get('b'), ann.sync.entry('b').value], [cart(2), cart(2)]);
});
