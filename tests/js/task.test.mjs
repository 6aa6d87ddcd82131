// Many reads and writes in one task, where one clock read serves many of them: each answers as it would alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mocked, open, SECRET, thrown, warm } from './support.mjs';

/** Reads and writes so much in this task that a look at the clock serves many. */
function busy(session) {
  for (let n = 0; n < 20; n += 1) session.sync.set(`busy ${n}`, `${n}`);
  for (let n = 0; n < 20; n += 1) assert.equal(session.sync.get(`busy ${n}`), `${n}`);
}

/** A session of a replica of which nothing that was accepted may be lost. */
async function begin(t, options = {}) {
  const replica = await open(t, { id: 'tokyo', ...options });
  const errors = [];
  replica.on('error', (error) => errors.push(error));
  t.after(() => assert.deepEqual(errors, []));
  return { replica, ann: warm(replica, options.init) };
}

test('who reads a copy, writes and reads again reads what was written', async (t) => {
  const { ann } = await begin(t);
  for (const value of ['one', { two: 2 }, undefined, 'three']) {
    ann.sync.set('key', 'before');
    busy(ann);
    // No write is under way: what is read is a copy.
    void ann.satisfied();
    for (let n = 0; n < 3; n += 1) assert.equal(ann.sync.get('key'), 'before');
    if (value === undefined) ann.sync.delete('key');
    else ann.sync.set('key', value);
    assert.deepEqual(ann.sync.get('key'), value);
  }
});

test('a key that is none is refused behind writes that are accepted, and takes none of them with it', async (t) => {
  const { replica, ann } = await begin(t);
  busy(ann);
  for (let n = 0; n < 20; n += 1) ann.sync.set(`key ${n}`, `${n}`);
  assert.equal(thrown(() => ann.sync.set('', 'no key')).code, 'KEY_INVALID');
  for (const none of [5, null, undefined, Symbol('key'), ['key 1'], new String('key 1'), { toString: () => 'key 1' }, '', '\ud800']) {
    for (const value of ['text', { an: 'object' }, 7]) assert.equal(thrown(() => ann.sync.set(none, value)).code, 'KEY_INVALID');
    for (const call of ['get', 'delete', 'entry']) assert.equal(thrown(() => ann.sync[call](none)).code, 'KEY_INVALID', call);
    ann.sync.set('key 19', '19');
  }
  assert.equal(thrown(() => ann.sync.set('\ud800', 'no text')).code, 'KEY_INVALID');
  for (let n = 0; n < 20; n += 1) assert.equal(await replica.session().get(`key ${n}`), `${n}`);
});

test('the clock is looked at all the same, and so a log never stays open for long', async (t) => {
  let now = Date.now();
  const looks = t.mock.method(Date, 'now', () => (now += 1));
  const { replica, ann } = await begin(t);
  busy(ann);
  const [before, seen] = [ann.inspect().writes[replica.id], looks.mock.callCount()];
  for (let n = 0; n < 6_000; n += 1) ann.sync.set(`key ${n % 100}`, `${n}`);
  assert(looks.mock.callCount() - seen >= 6_000 / 65, `${looks.mock.callCount() - seen} looks`);
  assert(ann.inspect().writes[replica.id] - before >= 4, 'what takes 90 ms is more than one write');
  looks.mock.restore();
});

test('roleOf is asked by each read and write', async (t) => {
  let role = 'User';
  const { ann } = await begin(t, { secret: SECRET, roleOf: () => role });
  const refused = (call) => {
    role = call === 'set' ? 'Guest' : null;
    assert.equal(thrown(() => ann.sync[call]('busy 1', 'no more')).code, 'PERMISSION_DENIED', call);
    role = 'User';
  };
  busy(ann);
  for (let n = 0; n < 20; n += 1) ann.sync.set(`more ${n}`, `${n}`);
  refused('set');
  busy(ann);
  void ann.satisfied();
  // Copies that are ready.
  for (let n = 0; n < 5; n += 1) assert.equal(ann.sync.get('busy 1'), '1');
  refused('get');
  assert.equal(ann.sync.get('busy 1'), '1');
});

test('what is accepted never makes a write of more than one may hold', async (t) => {
  const { replica, ann } = await begin(t, { clock: () => 1_800_000_000_000 });
  const value = (n) => `${n} `.padEnd(3_000, '–');
  for (let n = 0; n < 990; n += 1) ann.sync.set(`key ${n}`, 'small');
  // In their places, and anew.
  for (const name of ['key', 'new']) for (let n = 0; n < 990; n += 1) ann.sync.set(`${name} ${n}`, value(n));
  void ann.satisfied();
  for (const name of ['new', 'key']) for (let n = 0; n < 990; n += 1) assert.equal(await replica.session().get(`${name} ${n}`), value(n));
});

test('where a batch may hold little, a log is no more than that, however many were full before', async (t) => {
  const { replica, ann } = await begin(t, { limits: { batchBytes: 30_000 }, clock: () => 1_800_000_000_000 });
  const value = (n) => `${n} `.padEnd(100, '–');
  for (let n = 0; n < 1_500; n += 1) ann.sync.set(`key ${n}`, value(n));
  void ann.satisfied();
  const other = replica.session();
  for (let n = 0; n < 1_500; n += 1) assert.equal(other.sync.get(`key ${n}`), value(n));
});

test('text that has no UTF-8 counts as the JSON that is made of it', async (t) => {
  const { replica, ann } = await begin(t, { limits: { valueBytes: 602 } });
  const halves = (units) => '\ud800'.repeat(units);
  ann.sync.set('key', halves(100));
  ann.sync.set('other', 'kept');
  assert.equal(await replica.session().get('key'), halves(100));
  const { replica: paris, ann: bob } = await begin(t, { id: 'paris', limits: { valueBytes: 600 } });
  bob.sync.set('other', 'kept');
  assert.equal(thrown(() => bob.sync.set('key', halves(100))).code, 'VALUE_TOO_LARGE');
  assert.equal(await paris.session().get('other'), 'kept');
});

test('what another session makes ready meanwhile is noted by whoever had read all that was ready before', async (t) => {
  const { replica, ann } = await begin(t);
  const bob = warm(replica);
  const reads = () => ann.inspect().reads[replica.id] ?? 0;
  for (let n = 0; n < 40; n += 1) ann.sync.set(`old ${n}`, `${n}`);
  void ann.satisfied();
  for (let n = 0; n < 40; n += 1) bob.sync.set(`new ${n}`, `${n}`);
  void bob.satisfied();
  const written = bob.inspect().writes[replica.id];
  const old = () => {
    for (let n = 0; n < 40; n += 1) assert.equal(ann.sync.get(`old ${(n * 7) % 40}`), `${(n * 7) % 40}`);
  };
  old();
  old();
  for (const n of [20, 10, 30]) assert.equal(bob.sync.get(`new ${n}`), `${n}`);
  for (const n of [10, 30, 20]) assert.equal(ann.sync.get(`new ${n}`), `${n}`);
  assert.equal(reads(), written);
});

test('sessions of two spaces that read the same key in turns each read their own', async (t) => {
  const { replica, ann } = await begin(t);
  const bob = warm(replica, { space: 'other' });
  for (const [reader, value] of [[ann, 'hers'], [bob, 'his']]) {
    for (let n = 0; n < 40; n += 1) reader.sync.set(`key ${n}`, `${value} ${n}`);
    void reader.satisfied();
  }
  for (let round = 0; round < 5; round += 1) {
    for (let n = 0; n < 40; n += 1) {
      const at = (n * 7) % 40;
      for (const [reader, value] of [[ann, 'hers'], [bob, 'his'], [bob, 'his'], [ann, 'hers']]) assert.equal(reader.sync.get(`key ${at}`), `${value} ${at}`);
    }
  }
});

/** Reads what is ready: each of these has been read before, here and there. */
function reread(session, times) {
  for (let n = 0; n < times; n += 1) assert.equal(session.sync.get(`busy ${(n * 7) % 20}`), `${(n * 7) % 20}`);
}

test('who reads nothing but what is ready is refused once the time is over: after few reads in this task, and at once in the next', async (t) => {
  let now = Date.now();
  mocked(t, Date, 'now', () => now);
  const { replica } = await begin(t);
  for (const later of [false, true]) {
    const ann = warm(replica, { expiresIn: '1m' });
    busy(ann);
    void ann.satisfied();
    reread(ann, 100);
    if (later) for (let n = 0; n < 5; n += 1) await null;
    now += 60_000;
    let reads = 0;
    assert.equal(thrown(() => { for (; reads < 1_000; reads += 1) reread(ann, 1); }).code, 'SESSION_EXPIRED');
    assert(reads <= (later ? 0 : 64), `${reads} reads`);
  }
});

test('what is no key is refused among reads of what is ready, whatever it would be as text', async (t) => {
  const { ann } = await begin(t);
  busy(ann);
  void ann.satisfied();
  reread(ann, 40);
  for (const none of [1, null, undefined, Symbol('busy 1'), ['busy 1'], new String('busy 1'), { toString: () => 'busy 1' }]) {
    reread(ann, 3);
    assert.equal(thrown(() => ann.sync.get(none)).code, 'KEY_INVALID');
  }
  for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) assert.equal(ann.sync.get(key), undefined);
});
