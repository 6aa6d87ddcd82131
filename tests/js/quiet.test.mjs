// Copies that nobody reads for a while: writes enter no table until somebody reads.
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { open, openAll, pull, warm } from './support.mjs';

test('what many writes at once have written over while nobody read is what is shown then, to whoever walked there and whoever has read it here and there', async (t) => {
  const [count, half, many] = [3_000, 1_500, 100];
  const key = (n) => `key ${String(n).padStart(5, '0')}`;
  for (const value of [(n) => `value ${n}`, (n) => ({ n, text: 'of some length' })]) {
    const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
    const [ann, bob, carol] = [warm(tokyo), warm(paris), warm(paris)];
    const expected = new Map();
    const put = (session, n, what) => {
      if (what === undefined) session.sync.delete(key(n));
      else session.sync.set(key(n), what);
      expected.set(key(n), what);
    };
    const look = (session, n) => assert.deepEqual(session.sync.get(key(n)), expected.get(key(n)), key(n));
    for (let n = 0; n < count; n += 1) put(ann, n, value(n));
    await pull(paris, tokyo);
    for (const reader of [bob, carol]) for (let n = 0; n < half; n += 1) look(reader, (n * 7) % half);
    // What comes next in a walk.
    for (let n = half, other = count; n < half + 100; n += 1) {
      look(bob, n);
      for (let log = 0; log < 2; log += 1) {
        for (let more = 0; more < 20; more += 1) put(carol, (other += 1), 'beside it');
        if (log === 1) put(bob, n + 1, value(-n));
        bob.satisfied();
      }
    }
    for (let n = half; n < 2 * half; n += many) {
      // The first log is one behind reads, the next ones are behind none.
      for (let log = 0; log < 4; log += 1) {
        for (let at = 0; at < many; at += 1) put(log % 2 ? bob : carol, (n + at * (log + 1)) % count, at % 10 ? value(-n - log) : undefined);
        for (let at = 0; at < many; at += 1) put(log % 2 ? bob : carol, (n + half + at) % count, value(n + log));
        bob.satisfied();
      }
      for (let at = 0; at < many / 2; at += 1) look(bob, n + at);
      for (let at = 0; at < count; at += 97) look(carol, (n + at) % count);
    }
    for (const reader of [bob, carol]) for (let n = 0; n < count; n += 1) look(reader, n);
  }
});

test('what was read is answered without the core however much is written beside it, unless nobody reads meanwhile', async (t) => {
  const clock = mock.fn(() => 1_700_000_000_000);
  const ann = warm(await open(t, { id: 'tokyo', clock }));
  ann.sync.set('key', 'value');
  const asks = () => {
    clock.mock.resetCalls();
    assert.equal(ann.sync.get('key'), 'value');
    // A clock of one's own is looked at with each read, and with each question to the core once more.
    return clock.mock.callCount() > 1;
  };
  asks();
  assert.equal(asks(), false);
  // A little more than is kept of what was written; no key twice.
  const write = (reads) => {
    for (let n = 0; n < 40_000; n += 1) {
      ann.sync.set(`${reads} ${n}`, 'x'.repeat(400));
      if (reads && n % 10_000 === 0) assert.equal(asks(), false);
    }
    ann.satisfied();
  };
  write(true);
  assert.equal(asks(), false);
  write(false);
  assert.equal(asks(), true);
});
