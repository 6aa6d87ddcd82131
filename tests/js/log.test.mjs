// The log of writes in front of the core, and what becomes of it: what was written blindly, many keys at once or one by one, is read as
// it is by now, from wherever it is answered, and leaves as it was written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collect } from './garbage.mjs';
import { clock, mocked, numbers, open, openAll, pull, thrown, warm } from './support.mjs';

const key = (n) => `key ${String(n).padStart(5, '0')}`;
/** Why that is not known everywhere. */
const untold = process.versions.bun ? 'Bun counts the memory of modules among its heap' : false;

/** What is held, in bytes. */
function heap() {
  collect();
  return process.memoryUsage().heapUsed;
}

/** Everything that was accepted is the core's. */
const handOver = (session) => void session.satisfied();

/** Writes so many keys at once that nobody looks each of them up. */
function flood(session, value, keys = Array.from({ length: 600 }, (_, n) => n)) {
  for (const n of keys) session.sync.set(key(n), `${value} ${n}`);
}

test('a key that is written again and again, and deleted, before the core is told, is read as it was written last', async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const [ann, bob, other] = [warm(tokyo), warm(tokyo), warm(tokyo, { space: 'other' })];
  for (const before of [0, 300]) {
    flood(ann, 'before', Array.from({ length: before }, (_, n) => n + 100));
    ann.sync.set(key(1), 'one');
    assert.equal(ann.sync.get(key(1)), 'one');
    ann.sync.set(key(1), 'two');
    assert.equal(bob.sync.get(key(1)), 'two', 'by whoever reads');
    ann.sync.set(key(1), { three: 3 });
    assert.deepEqual(ann.sync.get(key(1)), { three: 3 });
    ann.sync.delete(key(1));
    assert.equal(ann.sync.get(key(1)), undefined);
    ann.sync.set(key(1), 'four');
    ann.sync.delete(key(1));
    ann.sync.set(key(1), 'five');
    assert.equal(ann.sync.get(key(1)), 'five');
    assert.equal(other.sync.get(key(1)), undefined, 'and not in another space');
    assert.equal(await bob.get(key(1)), 'five');
    assert.equal(ann.sync.get(key(1)), 'five');
    ann.sync.delete(key(1));
    handOver(ann);
    assert.equal(bob.sync.get(key(1)), undefined);
  }
});

test('what was read, or came with a read, gives way to what is written blindly and handed over', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  flood(warm(tokyo), 'elsewhere');
  await pull(paris, tokyo);
  const bob = warm(paris);
  // Some are in their places, more are on pages, and some are not here.
  for (let n = 0; n < 60; n += 1) bob.sync.get(key(n * 7 % 300));
  for (let n = 300; n < 320; n += 1) bob.sync.get(key(n));
  flood(bob, 'here');
  for (let n = 3; n < 600; n += 10) bob.sync.delete(key(n));
  handOver(bob);
  for (let n = 0; n < 600; n += 1) assert.equal(bob.sync.get(key(n)), n % 10 === 3 ? undefined : `here ${n}`);
  // One by one as well.
  for (let n = 0; n < 600; n += 50) {
    bob.sync.set(key(n), 'alone');
    handOver(bob);
    assert.equal(bob.sync.get(key(n)), 'alone');
  }
});

test('what was written many at once and read by nobody is not answered once it has changed, wherever that was', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [ann, bob] = [warm(tokyo), warm(paris)];
  for (const round of [1, 2]) {
    flood(ann, `first ${round}`);
    // Not the first one again, by which it would be seen that keys come again.
    flood(ann, `second ${round}`, Array.from({ length: 299 }, (_, n) => n + 1));
    for (let n = 1; n < 20; n += 1) ann.sync.delete(key(n));
    handOver(ann);
    await pull(paris, tokyo);
    bob.sync.set(key(100), 'elsewhere');
    bob.sync.delete(key(101));
    await pull(tokyo, paris);
    await ann.set(key(102), 'by promise');
    ann.sync.batch((tx) => tx.set(key(103), 'by batch').delete(key(104)));
    ann.sync.set(key(105), 'alone');
    handOver(ann);
    ann.sync.set(key(106), 'with a ttl', { ttl: '1h' });
    // And written many at once again, over what has changed.
    flood(ann, `third ${round}`, Array.from({ length: 200 }, (_, n) => n + 110));
    ann.sync.delete(key(300));
    ann.sync.set(key(300), 'again');
    handOver(ann);
    const expected = new Map([[100, 'elsewhere'], [101], [102, 'by promise'], [103, 'by batch'], [104], [105, 'alone'], [106, 'with a ttl'], [300, 'again']]);
    const value = (n) => {
      if (expected.has(n)) return expected.get(n);
      if (n > 0 && n < 20) return undefined;
      if (n >= 110 && n < 310) return `third ${round} ${n}`;
      return `${n > 0 && n < 300 ? 'second' : 'first'} ${round} ${n}`;
    };
    for (let n = 599; n >= 0; n -= 1) assert.equal(ann.sync.get(key(n)), value(n), `${key(n)}, round ${round}`);
  }
  flood(ann, 'old', Array.from({ length: 2_000 }, (_, n) => n + 5_000));
  handOver(ann);
  await pull(paris, tokyo);
  flood(bob, 'new', Array.from({ length: 2_000 }, (_, n) => n + 5_000));
  await pull(tokyo, paris);
  for (let n = 5_000; n < 7_000; n += 1) assert.equal(ann.sync.get(key(n)), `new ${n}`, 'more than are named one by one');
});

test('what was written many at once and is never read remembers no more of what changes elsewhere than was written', { skip: untold }, async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [ann, bob] = [warm(tokyo), warm(paris)];
  flood(bob, 'bob');
  handOver(bob);
  let before = 0;
  for (let round = 0; round < 60; round += 1) {
    if (round === 10) before = heap();
    // Few a turn: what comes with many would be forgotten without a list.
    for (let turn = 0; turn < 4; turn += 1) {
      ann.sync.batch((tx) => {
        for (let n = 0; n < 100; n += 1) tx.set(`${'far away '.repeat(20)} ${round} ${turn} ${n}`, 'ann');
      });
      await pull(paris, tokyo);
    }
  }
  const more = heap() - before;
  assert(more < 1_000_000, `of 20,000 keys that changed elsewhere ${more} bytes have stayed`);
  assert.equal(bob.sync.get(key(1)), 'bob 1');
});

test('what was written many at once and is read in part remembers no more of what has gone than is kept', { skip: untold }, async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const ann = warm(tokyo);
  flood(ann, 'below');
  handOver(ann);
  let before = 0;
  for (let round = 0; round < 300; round += 1) {
    if (round === 100) before = heap();
    const name = (n) => `${'round '.repeat(10)} ${round} ${n}`;
    for (let n = 0; n < 150; n += 1) ann.sync.set(name(n), 'v');
    handOver(ann);
    assert.equal(ann.sync.get(name(5)), 'v');
    ann.sync.batch((tx) => {
      for (let n = 0; n < 150; n += 1) tx.delete(name(n));
    });
  }
  const more = heap() - before;
  assert(more < 1_000_000, `of 30,000 keys that have gone ${more} bytes have stayed`);
});

test('what is written, read and deleted many at once leaves nothing of the deleted', { skip: untold }, async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const ann = warm(tokyo);
  let before = 0;
  for (let round = 0; round < 900; round += 1) {
    if (round === 300) before = heap();
    const name = (n) => `${'round '.repeat(35)} ${round} ${n}`;
    for (let n = 0; n < 150; n += 1) ann.sync.set(name(n), 'v');
    handOver(ann);
    for (let n = 0; n < 3; n += 1) assert.equal(ann.sync.get(name(n)), 'v');
    for (let n = 0; n < 150; n += 1) ann.sync.delete(name(n));
    handOver(ann);
  }
  assert.equal(ann.sync.get('warm'), 'up');
  const more = heap() - before;
  assert(more < 6_000_000, `of 90,000 keys that have gone ${more} bytes have stayed`);
});

test('what is written in many spaces and never read takes no more memory than one space may', { skip: untold }, async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const sessions = Array.from({ length: 40 }, (_, n) => warm(tokyo, { space: `space-${n}` }));
  let before = 0;
  for (let round = 0; round < 60; round += 1) {
    if (round === 20) before = heap();
    for (const [at, session] of sessions.entries()) {
      for (let n = 0; n < 150; n += 1) session.sync.set(`${round} ${at} ${n}`, `${round} ${at} ${n}`.padEnd(400, '.'));
      handOver(session);
    }
  }
  const more = heap() - before;
  assert(more < 40_000_000, `of 240,000 values ${more} bytes have stayed`);
});

test('what is written one by one and never read takes no more memory than what is written many at once', { skip: untold }, async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const ann = warm(tokyo);
  let before = 0;
  for (let n = 0; n < 100_000; n += 1) {
    if (n === 20_000) before = heap();
    ann.sync.set(key(n), `${n}`.padEnd(600, '.'));
    handOver(ann);
    if (n % 20_000 === 0) assert.equal(ann.sync.get(key(n)), `${n}`.padEnd(600, '.'));
  }
  const more = heap() - before;
  assert(more < 40_000_000, `of 80,000 values ${more} bytes have stayed`);
  for (let n = 0; n < 100_000; n += 997) assert.equal(ann.sync.get(key(n)), `${n}`.padEnd(600, '.'));
});

test('the reader of what was written many at once depends on that write, and on no other', async (t) => {
  // A log stays open while no time passes.
  const tokyo = await open(t, { id: 'tokyo', clock: clock() });
  const [ann, bob, eve] = [warm(tokyo), warm(tokyo), warm(tokyo)];
  const last = (session, of) => session.inspect()[of][tokyo.id] ?? 0;
  flood(ann, 'first');
  handOver(ann);
  const first = last(ann, 'writes');
  flood(ann, 'second', [7, ...Array.from({ length: 300 }, (_, n) => n + 1_000)]);
  handOver(ann);
  assert.equal(bob.sync.get(key(8)), 'first 8');
  assert.equal(last(bob, 'reads'), first);
  assert.equal(bob.sync.get(key(7)), 'second 7');
  assert.equal(last(bob, 'reads'), last(ann, 'writes'));
  assert(last(eve, 'reads') < first);
});

test('halves of pairs come back as they were, however they are written, and change nothing beside them', async (t) => {
  // What stands in their place where text is made UTF-8 is a character as well, by itself and among them.
  const own = ['\ufffd', 'ä\ufffd\ufffd', '\uff0c\ufffc', 'plain'];
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  for (let n = 0; n < 2_000; n += 1) ann.sync.set(`own ${n} \ufffd`, own[n % own.length].padEnd(200, 'é'));
  handOver(ann);
  for (let n = 0; n < 2_000; n += 1) assert.equal(ann.sync.get(`own ${n} \ufffd`), own[n % own.length].padEnd(200, 'é'));
  const values = [...own, '\ud83d', '\ude00', '\ud83d\ude00', 'a\ud800', '\udc00b', '', 'ä', `\ud800${'x'.repeat(3_000)}"\n\u0001`, 'plain', '\ude00\ud83d'];
  const expected = new Map();
  for (const many of [1, 300]) {
    for (let n = 0; n < many; n += 1) {
      values.forEach((value, at) => {
        // A value stands between two keys, and after a delete two keys stand together.
        const name = `${at % 2 ? '\u{1f600}' : ''}${n} ${at} ${many}\u{1f600}`;
        ann.sync.set(name, value);
        expected.set(name, value);
        if (n % 50 === 7) ann.sync.delete(`${name} gone`);
      });
    }
    for (const [name, value] of expected) assert.equal(ann.sync.get(name), value);
    handOver(ann);
    for (const [name, value] of expected) assert.equal(ann.sync.get(name), value);
  }
  await pull(paris, tokyo);
  const bob = paris.session({ token: ann.token });
  for (const [name, value] of expected) assert.equal(await bob.get(name), value);
  for (let n = 0; n < 2_000; n += 1) assert.equal(await bob.get(`own ${n} \ufffd`), own[n % own.length].padEnd(200, 'é'));
});

test('half of a pair is refused where the text that stands for it is too large', async (t) => {
  const tokyo = await open(t, { id: 'tokyo', limits: { valueBytes: 602 } });
  const failures = [];
  tokyo.on('error', (error) => failures.push(error.code));
  const ann = warm(tokyo);
  ann.sync.set('fits', '\ud800'.repeat(100));
  assert.equal(thrown(() => ann.sync.set('large', '\ud800'.repeat(101))).code, 'VALUE_TOO_LARGE');
  ann.sync.set('long', 'x'.repeat(602));
  handOver(ann);
  assert.deepEqual(failures, []);
  assert.equal(await ann.get('fits'), '\ud800'.repeat(100));
  assert.equal(await ann.get('large'), undefined);
  assert.equal((await ann.get('long')).length, 602);
});

test('a store that is nearly full takes no half of a pair for which it has no place, and loses nothing that it took', async (t) => {
  const tokyo = await open(t, { id: 'tokyo', limits: { bytes: 20_000 } });
  const failures = [];
  tokyo.on('error', (error) => failures.push(error.code));
  const ann = warm(tokyo);
  const accepted = [];
  const refused = thrown(() => {
    for (let n = 0; n < 1_000; n += 1) {
      ann.sync.set(key(n), '\udc00'.repeat(20));
      accepted.push(n);
    }
  });
  assert.equal(refused.code, 'QUOTA_EXCEEDED');
  for (const n of accepted) assert.equal(await ann.get(key(n)), '\udc00'.repeat(20));
  assert.deepEqual(failures, []);
});

test('whatever is written, read, deleted and handed over, many keys or few, here or elsewhere, shows what is true', async (t) => {
  for (const seed of [1, 2, 3, 4]) {
    const below = numbers(seed);
    const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
    const here = [warm(tokyo), warm(tokyo), warm(tokyo, { space: 'other' })];
    const there = [warm(paris), warm(paris), warm(paris, { space: 'other' })];
    const expected = [new Map(), new Map()];
    const of = (who) => expected[who === 2 ? 1 : 0];
    const put = (sessions, who, n, value) => {
      if (value === undefined) sessions[who].sync.delete(key(n));
      else sessions[who].sync.set(key(n), value);
      of(who).set(key(n), value);
    };
    const some = (step, n) => [undefined, `text ${step} ${n}`, { step, n }, `text ${step} ${n}`, `\ud800${step} ${n}`][below(5)];
    const look = (n) => {
      const who = below(3);
      assert.deepEqual(here[who].sync.get(key(n)), of(who).get(key(n)), `${key(n)}, seed ${seed}`);
    };
    const count = 3_000;
    for (let step = 0; step < 3_000; step += 1) {
      const [who, chance, from] = [below(3), below(1_000), below(count)];
      if (chance < 10) for (let n = 0; n < 700; n += 1) put(here, who, (from + n) % count, some(step, n));
      else if (chance < 20) for (let n = 0; n < 500; n += 1) put(here, who, from - (n % 40) + 40, some(step, n));
      else if (chance < 300) put(here, who, from, some(step, 0));
      else if (chance < 320) handOver(here[who]);
      else if (chance < 325) await null;
      else if (chance < 335) {
        // Nobody writes here what changes there: nothing becomes a sibling.
        await pull(paris, tokyo);
        for (let n = below(60); n > 0; n -= 1) put(there, who, below(count), some(step, n));
        await pull(tokyo, paris);
      } else if (chance < 340) for (let n = 0; n < 300; n += 1) look((from + n) % count);
      else if (chance < 345) for (let n = 0; n < 300; n += 1) look(below(count));
      else look(below(4) ? below(count) : from);
    }
    for (let n = 0; n < count; n += 1) look(n);
    await pull(paris, tokyo);
    for (const who of [0, 2]) for (const [name, value] of of(who)) assert.deepEqual(there[who].sync.get(name), value);
  }
});

test('whoever reads the same copy depends on it, one as the other, before the core is told and after', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = warm(tokyo);
  ann.sync.set('a', 'one');
  await pull(paris, tokyo);
  const readers = [warm(paris), warm(paris), warm(paris)];
  readers[0].sync.get('a');
  const reads = (session) => session.inspect().reads[tokyo.id] ?? 0;
  for (const reader of readers) assert.equal(reader.sync.get('a'), 'one');
  for (const reader of readers) assert.equal(reads(reader), ann.inspect().writes[tokyo.id]);
  const eve = warm(paris);
  assert.equal(reads(eve), 0);
  assert.equal(eve.sync.get('a'), 'one');
  assert.equal(reads(eve), ann.inspect().writes[tokyo.id]);
});

test('a look at the clock that others have taken serves nobody whose time was over by then', async (t) => {
  const now = clock();
  mocked(t, Date, 'now', () => now.now);
  const tokyo = await open(t, { id: 'tokyo' });
  const [ann, bob] = [warm(tokyo), warm(tokyo, { expiresIn: '1m' })];
  assert.equal(bob.sync.get('warm'), 'up');
  for (let n = 0; n < 1_000; n += 1) ann.sync.get('warm');
  assert.equal(bob.sync.get('warm'), 'up');
  now.now += 60_000;
  for (let n = 0; n < 100; n += 1) ann.sync.get('warm');
  assert.equal(thrown(() => bob.sync.get('warm')).code, 'SESSION_EXPIRED');
});

test('objects and texts that are written many at once are read as they were written, whatever becomes of some', async (t) => {
  const half = '\ud800';
  const values = [
    (n) => ({ n, tags: ['a', `${n}`], deep: { er: null } }),
    (n) => `text ${n}`,
    (n) => ({ long: `${n} \u{1f600} é`.padEnd(3_000, 'ü–') }),
    (n) => [n, [], {}],
    (n) => n,
    // Of which JSON is stored, and more of it than was counted.
    (n) => `${n} ${half}`.padEnd(4_000, half),
  ];
  for (const frozen of [false, true]) {
    for (const kinds of [[0], [0, 1], [0, 1, 3, 4], [2, 0, 0, 0, 1], [5, 0, 0, 2], [1, 1, 1, 0]]) {
      const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], frozen ? { values: 'frozen' } : {});
      const [ann, bob] = [warm(tokyo), warm(paris)];
      const value = (n) => values[kinds[n % kinds.length]](n);
      for (const [from, until] of [[0, 1_500], [1_500, 1_540], [700, 800]]) {
        for (let n = from; n < until; n += 1) ann.sync.set(key(n), value(n));
        ann.sync.delete(key(until - 5));
        handOver(ann);
      }
      await pull(paris, tokyo);
      // What has changed elsewhere, one here and one there, and more than half of what was written together.
      for (let n = 0; n < 1_500; n += n < 500 ? 7 : 2) bob.sync.set(key(n), { elsewhere: n });
      handOver(bob);
      const read = (n) => {
        if (n === 1_495 || n === 1_535 || n === 795) return undefined;
        return value(n);
      };
      for (const changed of [false, true]) {
        if (changed) await pull(tokyo, paris);
        const expected = (n) => (changed && n < 1_500 && (n < 500 ? n % 7 === 0 : n >= 504 && n % 2 === 0) ? { elsewhere: n } : read(n));
        for (let n = 3; n < 1_540; n += 101) assert.deepEqual(ann.sync.get(key(n)), expected(n), `${key(n)} here and there`);
        for (let n = 0; n < 1_540; n += 1) assert.deepEqual(ann.sync.get(key(n)), expected(n), `${key(n)} in a walk`);
        for (let n = 1_539; n >= 0; n -= 3) assert.deepEqual(ann.sync.get(key(n)), expected(n), `${key(n)} again`);
      }
    }
  }
});

test('of objects that were written together one that is read keeps no other in memory', { skip: untold }, async (t) => {
  for (const values of ['fresh', 'frozen']) {
    const tokyo = await open(t, { id: 'tokyo', values });
    const ann = warm(tokyo);
    let before = 0;
    for (let round = 0; round < 240; round += 1) {
      if (round === 40) before = heap();
      ann.sync.set(`of round ${round}`, { round, read: true });
      for (let n = 0; n < 500; n += 1) ann.sync.set(key(n), { round, text: ''.padEnd(200, 'ü') });
      handOver(ann);
      assert.deepEqual(ann.sync.get(`of round ${round}`), { round, read: true });
    }
    const more = heap() - before;
    assert(more < 600_000, `of 100,000 objects that are no more ${more} bytes have stayed (${values})`);
  }
});

test('objects that were written together go from memory once most of them are no more', { skip: untold }, async (t) => {
  const ann = warm(await open(t, { id: 'tokyo' }));
  let before = 0;
  for (let round = 0; round < 90; round += 1) {
    if (round === 10) before = heap();
    for (let n = 0; n < 500; n += 1) ann.sync.set(`${round} ${key(n)}`, { round, text: ''.padEnd(200, 'ü') });
    handOver(ann);
    assert.equal(ann.sync.get(`${round} ${key(0)}`).round, round);
    for (let n = 0; n < 300; n += 1) ann.sync.delete(`${round} ${key(n)}`);
    handOver(ann);
  }
  const more = heap() - before;
  // What is left takes 300 bytes each; with all that it was handed over with it would be 7.7 million.
  assert(more < 6_000_000, `of 16,000 objects that are left, and 24,000 that are not, ${more} bytes have stayed`);
});

/** How many bytes a write leaves to the collector, of new keys in a new replica. */
async function left(t, keys, value) {
  const { Session } = await import('node:inspector/promises');
  const profiler = new Session();
  profiler.connect();
  t.after(() => profiler.disconnect());
  const write = (ann) => {
    for (const name of keys) ann.sync.set(name, value);
    handOver(ann);
  };
  // Until all that happens was seen and compiled more is made, and the first write of each replica asks the core.
  for (let round = 0; round < 10; round += 1) write((await open(t, { id: `before-${round}` })).session());
  const bytes = ({ selfSize, children }) => children.reduce((sum, child) => sum + bytes(child), selfSize);
  // What an engine compiles or throws away meanwhile is none of it: the least of three counts.
  let least = Infinity;
  for (let round = 0; round < 3; round += 1) {
    const ann = (await open(t, { id: `round-${round}` })).session();
    await profiler.post('HeapProfiler.startSampling', { samplingInterval: 1_024, includeObjectsCollectedByMinorGC: true, includeObjectsCollectedByMajorGC: true });
    write(ann);
    const { profile } = await profiler.post('HeapProfiler.stopSampling');
    least = Math.min(least, bytes(profile.head) / keys.length);
  }
  return least;
}

const newKeys = () => Array.from({ length: 40_000 }, (_, n) => `a new key ${String(n).padStart(6, '0')}`);

test('a write leaves little to clear away beside its text', { skip: untold || globalThis.Deno !== undefined }, async (t) => {
  const least = await left(t, newKeys(), ''.padEnd(64, '.'));
  assert(least < 180, `${Math.round(least)} bytes a write`);
});

test('a write of an object leaves as little where its key was put together and is the name of a property', { skip: untold || globalThis.Deno !== undefined }, async (t) => {
  const value = { id: 1, name: 'a name that is not short', tags: ['a', 'b'], stock: true };
  const names = newKeys();
  const plain = await left(t, newKeys(), value);
  // Once they are old they stay what they are then.
  for (let turn = 0; turn < 2; turn += 1) collect();
  const properties = Object.create(null);
  for (const name of names) properties[name] = true;
  const named = await left(t, names, value);
  assert(named < plain + 50, `${Math.round(named)} bytes a write, others ${Math.round(plain)}`);
});

test('keys that do not come again are handed over by one crossing’s worth, and those that may are waited for', async (t) => {
  const tokyo = await open(t, { id: 'tokyo', clock: () => 1_000_000 });
  const ann = warm(tokyo);
  const dots = () => ann.inspect().writes[tokyo.id];
  const write = (n, round) => ann.sync.set(`${round} ${key(n)}`, 'x'.repeat(87));
  let before = dots();
  for (let n = 0; n < 5_000; n += 1) write(n, 'new');
  // None was full yet, and any key might have come again.
  assert.equal(dots() - before, 1 + 10, 'a thousand at once, and then 400 of a hundred units each');
  before = dots();
  for (let round = 0; round < 30; round += 1) for (let n = 0; n < 900; n += 1) write(n, 'again');
  assert.ok(dots() - before < 10, `27,000 writes of 900 keys took ${dots() - before} crossings`);
  for (let n = 0; n < 5_000; n += 7) assert.equal(ann.sync.get(`new ${key(n)}`), 'x'.repeat(87));
  for (let n = 0; n < 900; n += 7) assert.equal(ann.sync.get(`again ${key(n)}`), 'x'.repeat(87));
});
