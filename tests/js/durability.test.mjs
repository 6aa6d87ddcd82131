// Durability: nothing that an undurable write decided leaves a replica, and what was durable is there again after a restart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeSessionError, openReplica } from 'edge-session';
import { DEADLINE, Disk, SECRET, TestStorage, hasten, mocked, next, open, openAll, pull, rejection, within } from './support.mjs';

const turn = () => new Promise(setImmediate);

/** A transport that keeps what it is told to send. */
function tap() {
  const sent = [];
  const writable = () => new WritableStream({ write: (bytes) => void sent.push(bytes) });
  return { sent, kind: 'tap', open: (_, onPeer) => onPeer({ readable: new ReadableStream(), writable: writable() }) };
}

test('while storage is slow nothing of a write escapes: no message, no token, no vector, no answer to others', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage, secret: SECRET });
  const session = replica.session({ user: 'ann' });
  await session.set('old', 1);
  const before = { token: replica.inspectToken(session.token).writes, vectors: replica.inspect().vectors };
  const changes = [];
  replica.on('change', ({ key }) => changes.push(key));
  const link = tap();
  await replica.connect(link).ready;
  await turn();
  const messages = link.sent.length;

  storage.hold();
  session.sync.set('new', 'secret');
  const written = session.set('newer', 'secret');
  const other = replica.session({ timeout: DEADLINE });
  let [answered, resolved] = [false, false];
  const answer = other.get('new').finally(() => (answered = true));
  void written.finally(() => (resolved = true));
  const reply = replica.exchange(new Uint8Array());
  await turn();

  assert.equal(await session.get('new'), 'secret', 'the session itself sees its write');
  assert.equal(session.sync.list({ prefix: 'new' }).length, 2);
  assert.deepEqual([answered, resolved], [false, false]);
  assert.throws(() => other.sync.get('new'), { code: 'STALE_REPLICA' });
  assert.throws(() => other.peek('new'), { code: 'STALE_REPLICA' });
  assert.deepEqual(replica.inspectToken(session.token).writes, before.token);
  assert.deepEqual(session.inspect().writes, before.token);
  assert.deepEqual(replica.inspect().vectors, before.vectors);
  assert.equal(link.sent.length, messages);
  assert.deepEqual(changes, []);
  assert.equal(replica.status.pending > 0, true);
  assert.throws(() => replica.snapshot(), { code: 'STALE_REPLICA' });

  storage.release();
  assert.equal(await within(answer, 'the answer'), 'secret');
  assert.equal(typeof (await within(written, 'the write')), 'string');
  assert.ok((await reply).length > 0);
  assert.deepEqual(changes, ['new', 'newer']);
  assert.deepEqual(replica.inspectToken(await session.sealed()).writes, { [replica.id]: 3 });
  assert.ok(replica.snapshot().length > 0);
  assert.equal(replica.status.pending, 0);
});

test('replies that wait for storage at once each reach who has asked, and so does the end', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage });
  const one = await open(t);
  const two = await open(t);
  const session = replica.session();
  await session.set('old', 1);
  const greetings = await Promise.all([one, two].map((asks) => asks.exchange(new Uint8Array())));
  const ask = () => greetings.map((greeting) => replica.exchange(greeting));

  storage.hold();
  session.sync.set('new', 2);
  session.satisfied();
  const link = tap();
  const [first, second] = ask();
  await replica.connect(link).ready;
  const third = replica.exchange(new Uint8Array());
  storage.release();
  for (const [asks, reply] of [[one, first], [two, second], [one, third]]) await asks.exchange(await within(reply, 'a reply'));
  for (const asks of [one, two]) assert.equal(asks.session().sync.get('new'), 2);
  await turn();
  assert.ok(link.sent.length > 0, 'and what is said on a link reaches that');

  storage.hold();
  session.sync.set('newer', 3);
  session.satisfied();
  const ends = ask().map((reply) => rejection(reply));
  void replica.close();
  for (const end of ends) assert.equal((await within(end, 'the end')).code, 'REPLICA_CLOSED');
  storage.release();
});

test('records that come while one is being written go to storage as one group', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage });
  const session = replica.session();
  storage.hold();
  for (let n = 0; n < 100; n += 1) session.sync.set(`key ${n}`, n);
  storage.release();
  await replica.flush();
  assert.equal(storage.appends, 2);
});

test('storage that answers at once is through with a write, and with what follows from it, in the same turn', async (t) => {
  const storage = new TestStorage();
  storage.append = (records) => void storage.disk.records.push(...records.map((record) => record.slice()));
  const replica = await open(t, { storage });
  const session = replica.session();
  const seen = [];
  replica.on('change', ({ key }) => seen.push([key, replica.status.pending, storage.disk.records.length]));
  session.sync.set('a', 1);
  // A listener that writes is inside the write of another.
  const off = replica.on('change', ({ key }) => key === 'b' && session.sync.set('c', 3));
  session.sync.set('b', 2);
  off();
  assert.deepEqual(seen, [['a', 0, 1], ['b', 0, 2], ['c', 0, 3]]);
  assert.equal(replica.session().sync.get('c'), 3, 'nothing is held back');
  assert.deepEqual(replica.inspect().vectors, { default: { [replica.id]: 3 } });
});

test('a write in the very moment in which a group has been stored is stored too', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage });
  const session = replica.session();
  storage.hold();
  session.sync.set('a', 1);
  const reply = replica.exchange(new Uint8Array()).then(() => session.sync.set('b', 2));
  storage.release();
  await reply;
  // Nothing else happens here that could remind the replica of it.
  const stored = async () => {
    while (replica.status.pending > 0) await turn();
  };
  await within(stored(), 'the second write in storage', 10_000);
  assert.equal(storage.appends, 2);
});

test('what was written is there after a restart, under the same id', async (t) => {
  const disk = new Disk();
  const first = await open(t, { storage: new TestStorage(disk), id: 'fra1' });
  const session = first.session();
  await session.set('a', { n: 1 });
  await session.set('b', Uint8Array.of(1, 2, 3));
  await session.delete('a');
  await session.batch((tx) => tx.set('c', 'text').set('d', null, { ttl: '1h' }));
  const token = await session.sealed();
  await first.close();

  const second = await open(t, { storage: new TestStorage(disk), id: 'fra1' });
  assert.equal(second.id, first.id);
  const again = second.session(token);
  assert.equal(again.satisfied(), true);
  assert.deepEqual(again.sync.list().map(({ key }) => key), ['b', 'c', 'd']);
  assert.deepEqual([...(await again.get('b'))], [1, 2, 3]);
  assert.equal((await again.entry('d')).expiresAt > Date.now(), true);
  await again.set('a', 2);
  assert.deepEqual(second.inspect().vectors, { default: { [first.id]: 5 } });
});

test('closing stores what was written before', async (t) => {
  const disk = new Disk();
  const storage = new TestStorage(disk);
  const replica = await open(t, { storage });
  storage.hold();
  replica.session().sync.set('a', 1);
  replica.session().sync.set('b', 2);
  const closed = replica.close();
  await turn();
  assert.equal(disk.locked, true, 'storage is held until then');
  storage.release();
  await closed;
  assert.equal(disk.locked, false);
  const again = await open(t, { storage: new TestStorage(disk) });
  assert.deepEqual(again.session().sync.list().map(({ value }) => value), [1, 2]);
});

test('a long log is replaced by a snapshot, and nothing is lost by it', async (t) => {
  const disk = new Disk();
  const storage = new TestStorage(disk);
  const replica = await open(t, { storage });
  const session = replica.session();
  const value = 'x'.repeat(50_000);
  for (let n = 0; n < 60; n += 1) session.sync.set('same', value + n);
  for (let n = 0; n < 60; n += 1) await session.set('same', value + n);
  await session.set('last', 1);
  assert.ok(storage.compactions > 0);
  const size = disk.records.reduce((sum, record) => sum + record.length, disk.snapshot.length);
  assert.ok(size < 2_500_000, `${size} bytes for one value of 50 000`);
  await replica.close();
  const again = await open(t, { storage: new TestStorage(disk) });
  assert.equal(await again.session().get('same'), `${value}59`);
  assert.equal(await again.session().get('last'), 1);
});

test('a storage that fails is reported once and tried again; meanwhile the session goes on and nothing leaves', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage });
  const session = replica.session();
  await session.set('a', 1);
  assert.equal(replica.status.persisted, true);
  const errors = [];
  replica.on('error', (error) => errors.push(error));
  storage.fail = true;
  const failed = next(replica, 'status', (status) => !status.persisted);
  const written = session.set('a', 2, { timeout: DEADLINE });
  await failed;
  assert.equal(session.sync.get('a'), 2);
  assert.throws(() => replica.session().sync.get('a'), { code: 'STALE_REPLICA' });
  while (storage.appends < 4) await turn();
  assert.deepEqual(errors.map(({ code }) => code), ['STORAGE_FAILED']);
  assert.match(errors[0].cause.message, /disk is full/);

  storage.fail = false;
  const well = next(replica, 'status', (status) => status.persisted);
  assert.equal(typeof (await within(written, 'the write')), 'string');
  await well;
  assert.equal(replica.session().sync.get('a'), 2);
});

test('a replica whose storage fails can be closed', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage });
  replica.on('error', () => {});
  storage.fail = true;
  replica.session().sync.set('a', 1);
  await within(replica.close(), 'the end');
  assert.equal(storage.disk.locked, false);
});

test('closing ends at its deadline where storage never answers; nobody else gets that storage meanwhile', async (t) => {
  const disk = new Disk();
  const storage = new TestStorage(disk);
  const replica = await openReplica({ storage });
  const session = replica.session();
  storage.hold();
  session.sync.set('a', 1);
  session.satisfied();
  await turn();
  const late = await rejection(within(replica.close({ timeout: 20 }), 'the deadline'));
  assert.deepEqual([late.code, late.details], ['TIMEOUT', { storage: 'test', pending: 1 }]);
  assert.equal((await rejection(session.get('a'))).code, 'REPLICA_CLOSED', 'it is over all the same');
  // A signal ends the wait as well, also one that was over before.
  const control = new AbortController();
  const aborted = rejection(replica.close({ signal: control.signal }));
  control.abort('enough');
  assert.deepEqual(await aborted.then(({ code, cause }) => [code, cause]), ['ABORTED', 'enough']);
  assert.equal((await rejection(replica.close({ signal: control.signal }))).code, 'ABORTED');
  // What it still writes is no second writer's neighbour.
  assert.equal((await rejection(openReplica({ storage: new TestStorage(disk) }))).code, 'STORAGE_FAILED');
  storage.release();
  await within(replica.close(), 'the end');
  assert.equal(disk.locked, false);
  const again = await open(t, { storage: new TestStorage(disk) });
  assert.equal(await again.session().get('a'), 1);
});

test('closing ends what it begins though its signal is over, and a signal of the opening tells where storage does not answer', async (t) => {
  const storage = new TestStorage();
  const replica = await openReplica({ storage });
  assert.equal((await rejection(replica.close({ signal: AbortSignal.abort() }))).code, 'ABORTED');
  await replica.close();
  assert.equal(storage.disk.locked, false);

  hasten(t, 10_000, 20);
  const control = new AbortController();
  const other = await openReplica({ storage, signal: control.signal });
  storage.hold();
  other.session().sync.set('a', 1);
  await turn();
  const told = next(other, 'error');
  control.abort();
  assert.equal((await told).code, 'TIMEOUT');
  storage.release();
  await other.close();
});

test('a storage that does not take snapshots goes on with its log', async (t) => {
  const storage = new TestStorage();
  storage.compact = async () => {
    throw new Error('no room for a snapshot');
  };
  const replica = await open(t, { storage });
  const told = next(replica, 'error');
  const session = replica.session();
  for (let n = 0; n < 30; n += 1) await session.set('same', 'x'.repeat(50_000) + n);
  assert.equal((await told).code, 'STORAGE_FAILED');
  assert.equal(replica.status.persisted, true);
});

test('a storage with damaged records, or one that refuses, is not opened', async (t) => {
  const damaged = new TestStorage();
  damaged.disk.records.push(Uint8Array.of(1, 2, 3));
  const error = await rejection(open(t, { storage: damaged }));
  assert.equal(error.code, 'STORAGE_FAILED');
  assert.equal(error.cause.code, 'MESSAGE_MALFORMED');
  assert.deepEqual(error.details, { record: 0 });
  assert.equal(damaged.disk.locked, false);
  for (const method of ['lock', 'load']) {
    const refusing = new TestStorage();
    refusing[method] = async () => {
      throw new EdgeSessionError('STORAGE_FAILED', 'the directory is a file', { details: { file: 'x' } });
    };
    const refused = await rejection(open(t, { storage: refusing }));
    assert.equal(refused.code, 'STORAGE_FAILED');
    assert.match(refused.message, /the directory is a file/);
    assert.equal(refusing.disk.locked, false);
  }
});

test('where there is no storage to be had, the replica runs from memory under a new id, and says so', async (t) => {
  const disk = new Disk();
  const before = await open(t, { storage: new TestStorage(disk), id: 'tab' });
  await before.session().set('a', 1);
  await before.close();
  for (const method of ['lock', 'load']) {
    const storage = new TestStorage(disk);
    storage[method] = async () => {
      throw new DOMException('the window is private', 'InvalidStateError');
    };
    const replica = await open(t, { storage, id: 'tab' });
    const told = await next(replica, 'error');
    assert.equal(told.code, 'STORAGE_FAILED');
    assert.match(told.message, /runs from memory/);
    assert.equal(told.cause.message, 'the window is private');
    assert.notEqual(replica.id, before.id);
    assert.deepEqual([replica.status.persisted, replica.inspect().storage.kind], [false, 'memory']);
    assert.equal(disk.locked, false);
    await replica.session().set('b', 1);
    assert.equal(replica.session().sync.get('b'), 1);
    assert.equal(storage.appends, 0);
  }
});

test('a storage that says it is doubtful is kept, under a new id that is stored before anything leaves', async (t) => {
  const disk = new Disk();
  const first = await open(t, { storage: new TestStorage(disk), id: 'tab' });
  await first.session().set('a', 1);
  await first.close();
  const doubtful = () => {
    const storage = new TestStorage(disk);
    storage.load = async () => ({ snapshot: disk.snapshot, records: disk.records.slice(), doubtful: true });
    return storage;
  };
  const replica = await open(t, { storage: doubtful() });
  assert.notEqual(replica.id, first.id);
  assert.match(replica.id, /^tab~/);
  assert.equal(replica.session().sync.get('a'), 1);
  await replica.session().set('b', 1);
  assert.deepEqual(replica.inspect().vectors, { default: { [first.id]: 1, [replica.id]: 1 } });
  await replica.close();
  const again = await open(t, { storage: new TestStorage(disk) });
  assert.equal(again.id, replica.id);
  const empty = await open(t, { storage: Object.assign(new TestStorage(), { load: async () => ({ snapshot: null, records: [], doubtful: true }) }) });
  await empty.session().set('a', 1);
});

test('one disk serves one replica at a time', async (t) => {
  const disk = new Disk();
  const first = await open(t, { storage: new TestStorage(disk) });
  assert.equal((await rejection(open(t, { storage: new TestStorage(disk) }))).code, 'STORAGE_FAILED');
  await first.close();
  await open(t, { storage: new TestStorage(disk) });
});

test('a storage whose lock answers nothing is locked by nobody', async (t) => {
  for (const answer of [undefined, true]) {
    const storage = Object.assign(new TestStorage(), { lock: async () => answer });
    assert.equal((await rejection(open(t, { storage }))).code, 'STORAGE_FAILED');
  }
});

test('a storage that does not close is let go of all the same', async (t) => {
  const storage = Object.assign(new TestStorage(), { close: () => Promise.reject(new Error('the handle is bad')) });
  const first = await open(t, { storage });
  await first.session().set('a', 1);
  const told = next(first, 'error');
  await first.close();
  assert.equal((await told).cause.message, 'the handle is bad');
  assert.equal(storage.disk.locked, false);
  assert.equal((await open(t, { storage: new TestStorage(storage.disk) })).session().sync.get('a'), 1);
});

test('a storage that can neither be read nor closed is refused for what cannot be read, and let go of', async (t) => {
  const close = () => Promise.reject(new Error('the handle is bad'));
  const storage = Object.assign(new TestStorage(), { close });
  storage.disk.records = [Uint8Array.of(1, 2, 3)];
  const error = await rejection(open(t, { storage }));
  assert.equal(error.code, 'STORAGE_FAILED');
  assert.match(error.message, /record 0 is damaged/);
  assert.equal(storage.disk.locked, false);
});

test('a replica that is closed while its storage has just become empty leaves nothing there that cannot be taken back', async (t) => {
  const disk = new Disk();
  const storage = new TestStorage(disk);
  let holder;
  storage.attend = (told) => (holder = told);
  const replica = await open(t, { storage });
  const session = replica.session();
  await session.set('a', 1);
  // The place is deleted under it, which the append under way finds out as the replica is closed.
  let lose;
  storage.append = () => new Promise((_, fail) => (lose = fail));
  session.sync.set('b', 2);
  mocked(t, console, 'error', () => {});
  const closed = replica.close();
  delete storage.append;
  disk.records = [];
  holder.moved();
  lose(new Error('the place is gone'));
  await within(closed, 'the end');
  const again = await open(t, { storage: new TestStorage(disk) });
  assert.deepEqual(again.session().sync.list(), []);
});

test('a signal ends the wait for storage that does not answer, and what it has taken by then is let go of', async (t) => {
  for (const method of ['lock', 'load']) {
    const storage = new TestStorage();
    const answers = storage[method].bind(storage);
    let answer = () => {};
    const waits = new Promise((resolve) => (answer = resolve));
    storage[method] = () => waits.then(answers);
    const control = new AbortController();
    const opening = rejection(open(t, { storage, signal: control.signal }));
    control.abort(new Error('too long'));
    const error = await within(opening, 'the abort');
    assert.deepEqual([error.code, error.cause.message], ['ABORTED', 'too long']);
    answer();
    for (let turns = 0; turns < 100 && (turns < 5 || storage.disk.locked); turns += 1) await turn();
    assert.equal(storage.disk.locked, false, method);
    await open(t, { storage: new TestStorage(storage.disk) });
  }
});

test('a snapshot restores everything, under a new id', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const session = tokyo.session();
  await session.batch((tx) => tx.set('a', { n: 1 }).set('b', Uint8Array.of(1)));
  await session.set('c', 1, { ttl: '1h' });
  await paris.session().set('own', 1);
  const { id } = paris;
  const renamed = next(paris, 'renamed');
  await paris.restore(tokyo.snapshot());
  assert.deepEqual(await renamed, { old: id, new: paris.id });
  assert.notEqual(paris.id, id);
  assert.match(paris.id, /^paris~/);
  const there = paris.session(await session.sealed());
  assert.deepEqual(there.sync.list().map(({ key }) => key), ['a', 'b', 'c', 'own'], 'it joins, and overwrites nothing');
  assert.deepEqual(await there.get('a'), { n: 1 });
  await there.set('d', 1);
  assert.equal(paris.inspect().vectors.default[paris.id], 1);
});

test('a snapshot that is damaged changes nothing', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  await tokyo.session().set('a', 1);
  const snapshot = tokyo.snapshot();
  const { id } = paris;
  for (const bad of [snapshot.slice(0, -1), new Uint8Array(), Uint8Array.of(255, 255), new Uint8Array(1000)]) {
    assert.equal((await rejection(paris.restore(bad))).code, 'MESSAGE_MALFORMED');
  }
  assert.equal(paris.id, id);
  assert.deepEqual(paris.inspect().vectors, {});
});

test('a long snapshot is taken out of whatever it lies in, portion by portion, or not at all', async (t) => {
  const [tokyo, paris, rome] = await openAll(t, ['tokyo', 'paris', 'rome']);
  const session = tokyo.session();
  const values = Array.from({ length: 6_000 }, (_, at) => (at % 1_000 === 7 ? 'long – '.repeat(40_000) : `ünïcödé ${at} `.repeat(5)));
  for (const [at, value] of values.entries()) session.sync.set(`key ${at}`, value);
  session.satisfied();
  const snapshot = tokyo.snapshot();
  const { id } = paris;
  // A view with other bytes around it.
  const around = Buffer.alloc(snapshot.length + 20, 0xff);
  const within = around.subarray(7, 7 + snapshot.length);
  within.set(snapshot);
  for (const at of [0.3, 0.6, 0.99]) {
    const bad = Uint8Array.from(within);
    bad.fill(0xff, Math.floor(bad.length * at), Math.floor(bad.length * at) + 5);
    assert.equal((await rejection(paris.restore(bad))).code, 'MESSAGE_MALFORMED');
    assert.equal((await rejection(paris.restore(within.subarray(0, bad.length * at)))).code, 'MESSAGE_MALFORMED');
  }
  assert.equal(paris.id, id);
  assert.deepEqual(paris.inspect().vectors, {});
  const shared = new Uint8Array(new SharedArrayBuffer(snapshot.length));
  shared.set(snapshot);
  for (const [replica, bytes] of [[paris, within], [rome, shared]]) {
    await replica.restore(bytes);
    const there = replica.session().sync;
    for (const [at, value] of values.entries()) assert.equal(there.get(`key ${at}`), value);
  }
});

/** Arrays of bytes that somebody has made their own. */
const OWN = {
  'with a constructor of its own': class extends Uint8Array {
    constructor(said) {
      super(typeof said === 'number' ? said : new TextEncoder().encode(String(said)));
    }
  },
  'whose parts are of another kind': class extends Uint8Array {
    static get [Symbol.species]() {
      return Uint16Array;
    }
  },
  'whose parts are not to be had': class extends Uint8Array {
    subarray() {
      throw new Error('there are none');
    }
  },
};

for (const [what, Bytes] of Object.entries(OWN)) {
  test(`a snapshot is taken out of an array ${what}`, async (t) => {
    for (const count of [3, 6_000]) {
      const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
      const { sync } = tokyo.session();
      for (let at = 0; at < count; at += 1) sync.set(`key ${at}`, `value ${at}, which has some length`);
      const snapshot = tokyo.snapshot();
      const bytes = new Bytes(snapshot.length);
      bytes.set(snapshot);
      await paris.restore(bytes);
      assert.equal(paris.session().sync.get('key 2'), 'value 2, which has some length');
    }
  });
}

test('a snapshot whose bytes were handed on to somebody else is none, and the replica goes on', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  await tokyo.session().set('a', 1);
  const snapshot = tokyo.snapshot();
  structuredClone(snapshot, { transfer: [snapshot.buffer] });
  assert.equal((await rejection(paris.restore(snapshot))).code, 'ARGUMENT_INVALID');
  await paris.session().set('b', 2);
});

test('a replica that has forgotten its own writes takes a new id before the next one', async (t) => {
  const disk = new Disk();
  const tokyo = await open(t, { id: 'tokyo', storage: new TestStorage(disk) });
  const paris = await open(t, { id: 'paris' });
  await tokyo.session().set('a', 1);
  const records = disk.records.slice();
  await tokyo.session().set('a', 2);
  await pull(paris, tokyo);
  await tokyo.close();

  disk.records = records;
  const again = await open(t, { id: 'tokyo', storage: new TestStorage(disk) });
  assert.equal(again.id, tokyo.id);
  await pull(again, paris);
  await again.session().set('b', 1);
  assert.notEqual(again.id, tokyo.id);
  assert.deepEqual([await again.session().get('a'), await again.session().get('b')], [2, 1]);
});
