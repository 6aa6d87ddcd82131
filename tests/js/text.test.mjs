// UTF-8 validation: the module checks sixteen bytes at a time, and accepts exactly what a TextDecoder accepts.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openAll } from './support.mjs';

/** Values are of so many bytes; what stands in them is written over between their ends. */
const LENGTH = 3_000;

const characters = [0x41, 0x7f, 0x80, 0xe9, 0x7ff, 0x800, 0xfff, 0x1000, 0x2013, 0xcfff, 0xd000, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x1f600, 0x3ffff, 0x40000, 0xfffff, 0x10ffff];
const right = characters.map((code) => [...new TextEncoder().encode(String.fromCodePoint(code))]);
/** What begins nothing, what goes on with nothing, what fewer bytes could say, halves of pairs, and what is above all characters. */
const wrong = [
  [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xe0, 0x80, 0x80], [0xe0, 0x9f, 0xbf], [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xf0, 0x80, 0x80, 0x80], [0xf0, 0x8f, 0xbf, 0xbf],
  [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xfe], [0xff], ...right.filter((bytes) => bytes.length > 1).flatMap((bytes) => [bytes.slice(0, -1), bytes.slice(1), [...bytes, 0x80]]),
];

/** Numbers below one, the same at every run. */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('what is no text is not taken, wherever it stands, and all text is', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const session = tokyo.session();
  for (let at = 0; at < 19; at += 1) session.sync.set(`key ${at}`, 'a'.repeat(LENGTH));
  session.satisfied();
  const snapshot = tokyo.snapshot();
  const values = [];
  for (let at = 0; (at = Buffer.from(snapshot).indexOf('a'.repeat(LENGTH), at)) >= 0; at += LENGTH) values.push(at);
  assert.equal(values.length, 19);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const isText = (bytes) => {
    try {
      decoder.decode(bytes);
      return true;
    } catch {
      return false;
    }
  };
  const next = numbers(7);
  const one = (list) => list[Math.floor(next() * list.length)];
  let [taken, refused] = [0, 0];
  for (let round = 0; round < 3_000; round += 1) {
    const told = Uint8Array.from(snapshot);
    const from = one(values) + 1 + Math.floor(next() * (LENGTH - 200));
    const bytes = [];
    for (let parts = Math.floor(next() * 40); parts >= 0; parts -= 1) bytes.push(...one(right));
    if (next() < 0.6) bytes.push(...one(wrong));
    for (let parts = Math.floor(next() * 3); parts > 0; parts -= 1) bytes.push(...one(right));
    told.set(bytes, from);
    const is = isText(Uint8Array.from(bytes));
    const code = await paris.restore(told).then(() => undefined, (error) => error.code);
    assert.equal(code, is ? undefined : 'MESSAGE_MALFORMED', `${bytes.map((byte) => byte.toString(16)).join(' ')} at ${from}`);
    if (is) taken += 1;
    else refused += 1;
  }
  assert.ok(taken > 1_000 && refused > 1_000, `${taken} ${refused}`);
});

test('text comes as it was written, of whatever characters it is', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const session = tokyo.session();
  const next = numbers(11);
  const text = () => Array.from({ length: 1 + Math.floor(next() * 90) }, () => String.fromCodePoint(characters[Math.floor(next() * characters.length)])).join('');
  const entries = Array.from({ length: 700 }, (_, at) => [`${at} ${text()}`, text()]);
  for (const [key, value] of entries) session.sync.set(key, value);
  session.satisfied();
  await paris.restore(tokyo.snapshot());
  for (const [key, value] of entries) assert.equal(paris.session().sync.get(key), value);
});
