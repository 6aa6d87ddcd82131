// A value that was said to be JSON and is none: only a client that lies writes one, and whoever trusts it holds it. It is the string
// that it is, however it is read, and in nobody's way.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { all, mocked, next, open, within } from './support.mjs';
import { frame, idOf, stamp } from './wire.mjs';

const JSON_TEXT = 2;

/** A peer that is believed and says what it likes. */
async function liar(replica) {
  const secret = randomBytes(16);
  const id = idOf('liar', secret);
  let say;
  const readable = new ReadableStream({ start: (control) => void (say = (bytes) => control.enqueue(bytes)) });
  await replica.connect({ kind: 'liar', open: (_, join) => join({ readable, writable: new WritableStream() }) }).ready;
  let sequence = 0;
  return (values) => {
    sequence += 1;
    const at = stamp(Date.now(), sequence);
    const keys = Object.entries(values).map(([key, value]) => [key, [{ id, sequence, value, at, kind: JSON_TEXT }]]);
    say(frame(id, [['hello', {}], ['delta', { space: 'default', from: sequence === 1 ? {} : { [id]: sequence - 1 }, to: { [id]: sequence }, hlc: at, keys }]]));
  };
}

for (const values of ['fresh', 'frozen']) {
  test(`a text that is no JSON is a string to whoever reads it, ${values} values`, async (t) => {
    const replica = await open(t, values === 'frozen' ? { values } : {});
    const session = replica.session();
    const says = await liar(replica);
    const torn = { 'torn a': '{"a":', 'torn b': '[1,', 'torn c': 'nul', 'torn d': '', 'torn e': '{"a":1}' };
    const expected = { ...torn, 'torn e': { a: 1 } };
    const told = next(replica, 'change', ({ key }) => key === 'torn e');
    says(torn);
    await told;
    const list = Object.entries(expected);
    const pairs = (entries) => entries.map(({ key, value }) => [key, value]);
    assert.deepEqual(pairs(await all(session.list({ prefix: 'torn' }))), list);
    assert.deepEqual(pairs(session.sync.list({ prefix: 'torn' })), list);
    for (const [key, value] of list) {
      // More than once: the first answer makes copies, and of those others.
      for (let round = 0; round < 20; round += 1) assert.deepEqual(session.sync.get(key), value);
      assert.deepEqual([await session.get(key), session.peek(key), (await session.entry(key)).value, (await session.read(key)).entry.value], [value, value, value, value]);
      assert.deepEqual([session.live(key).value, session.conflicts(key)[0].value], [value, value]);
    }
    assert.deepEqual(replica.session().sync.get('torn a'), expected['torn a']);
  });
}

test('who is told of a text that is no JSON is told of the next thing too', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  const complaints = mocked(t, console, 'error', () => {});
  const says = await liar(replica);
  const [watch, seen, changes] = [session.watch({ prefix: 'torn' }), [], []];
  session.live('torn').subscribe((value) => seen.push(value));
  replica.on('change', ({ value }) => changes.push(value));
  for (const value of ['{', '[', '"']) {
    const heard = watch.next();
    says({ torn: value });
    assert.equal((await within(heard, 'the value')).value.value, value);
  }
  await session.set('torn', 'mended');
  assert.equal((await within(watch.next(), 'what comes after it')).value.value, 'mended');
  assert.deepEqual(seen, [undefined, '{', '[', '"', 'mended']);
  assert.deepEqual(changes, ['{', '[', '"', 'mended']);
  assert.equal(complaints.mock.callCount(), 0);
});
