// Objects that are written again and again before the core is told: copied, and made text of once. Nothing may show it but the
// time that it takes: the text is the one of the moment of the write, what is refused is refused then, and code of the value runs once.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mocked, numbers, open, openAll, pull, thrown, warm } from './support.mjs';

/** A session in whose log keys come again. */
function hot(replica) {
  const session = warm(replica);
  session.sync.set('warm', 'up');
  session.sync.set('warm', 'again');
  return session;
}

/** Whether the text is in what the replica holds. */
const holds = (replica, text) => Buffer.from(replica.snapshot()).includes(text);

test('of objects that take each other\'s place in one task no text is made but of the last', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = hot(tokyo);
  for (let n = 0; n < 4; n += 1) ann.sync.set(`key ${n}`, { first: n });
  const made = mocked(t, JSON, 'stringify');
  for (let n = 0; n < 1_000; n += 1) ann.sync.set(`key ${n % 4}`, { n, list: [n, { text: 'x' }], none: null, yes: true });
  // On a machine that is busy the log is handed over now and then.
  assert(made.mock.callCount() < 500, `${made.mock.callCount()} texts`);
  made.mock.restore();
  await pull(paris, tokyo);
  for (let n = 996; n < 1_000; n += 1) assert.deepEqual(await paris.session().get(`key ${n % 4}`), { n, list: [n, { text: 'x' }], none: null, yes: true });
});

class Point {
  constructor(x) {
    this.x = x;
  }
}

/** Values, made anew for each use: what they hold may count how often it was asked. */
const VALUES = {
  plain: () => ({ a: 'a', b: 1, c: [1, [2, { d: null }]], e: true, f: {} }),
  numbers: () => [0, -0, 1.5, -1.7976931348623157e308, 5e-324, 1e21, NaN, Infinity, 2 ** 31, -(2 ** 31), 4_294_967_296],
  texts: () => ({ '': '"\\\u0000\u001f\n', 'ключ "': 'ü\u2028\ud800 \udc00\ud83d\ude00', 10: 'ten', 2: 'two', z: '', a: '' }),
  'nothing': () => ({ a: undefined, b: [undefined, , null], c: { d: undefined } }),
  functions: () => ({ a() {}, b: [() => {}, Symbol('s')], [Symbol('t')]: 1, c: 1 }),
  prototypes: () => ({ a: Object.assign(Object.create(null), { b: 1 }), c: Object.create({ inherited: 1 }), d: new Point(1), e: [new Point(2)] }),
  'a name that is no prototype': () => JSON.parse('{"a":1,"__proto__":{"b":[1]},"c":{"__proto__":2,"d":3}}'),
  'values with a text of their own': () => ({ at: new Date(0), a: { toJSON: (name) => `named ${name}` }, list: [{ toJSON: (name) => [name] }, { toJSON: () => undefined }], z: 1 }),
  'a list with a text of its own': () => ({ list: Object.assign([1, 2], { toJSON: () => 'two' }), extra: Object.assign([1], { more: 2 }) }),
  boxes: () => ({ a: Object(1), b: Object('x'), c: Object(false), d: new Map([[1, 2]]), e: new Set([1]), f: /x/u, g: Uint8Array.of(1, 2), h: new Error('x') }),
  'a getter that counts': (n = 0) => ({ get a() { return (n += 1); }, at: new Date(0), get b() { return (n += 1); }, c: { get d() { return (n += 1); } } }),
  'a getter that changes what comes later': () => ({ get a() { this.b.x = 2; this.d = 4; return 1; }, b: { x: 1 }, d: 1 }),
  'a getter that changes what came before': () => ({ b: { x: 1 }, list: [1, { y: 1 }], get a() { this.b.x = 2; this.list[1].y = 2; this.list.push(3); return 1; } }),
  'a getter that takes away': () => ({ get a() { delete this.b; this.new = 1; return 1; }, b: 1, c: 2 }),
  'properties that are not shown': () => Object.defineProperty({ a: 1 }, 'hidden', { value: 1, enumerable: false }),
  'something that shows what it likes': () => ({ p: new Proxy({ a: 1, b: [2] }, { get: (own, name) => (name === 'a' ? 'seen' : own[name]) }), q: new Proxy([1, 2], {}) }),
  deep: () => Array.from({ length: 40 }).reduce((inner, _, at) => (at % 2 ? { inner, at } : [inner, at]), { the: 'end' }),
  long: (n = 0) => ({ a: { b: 'x'.repeat(4_000), get c() { return (n += 1); } }, d: 'y'.repeat(200), get e() { return (n += 1); }, list: [1, { get f() { return (n += 1); } }] }),
  'a long list': () => Array.from({ length: 3_000 }, (_, at) => ({ at })),
  'a frozen one': () => Object.freeze({ a: Object.freeze([1, 2]) }),
  // Of engines that know it.
  ...(JSON.rawJSON && { 'text as it is': () => ({ a: JSON.rawJSON('1e3'), list: [JSON.rawJSON('"x"')] }) }),
  'the same twice': (part = { x: 1 }) => ({ a: part, b: [part, part] }),
};

test('the text that arrives is the one that JSON.stringify makes of the value when it is written, whatever it is', async (t) => {
  for (const [what, make] of Object.entries(VALUES)) {
    const tokyo = await open(t, { id: 'tokyo' });
    const ann = hot(tokyo);
    const [expected, value] = [JSON.stringify(make()), make()];
    ann.sync.set('key', { before: 1 });
    ann.sync.set('key', value);
    // What becomes of the object later is nobody's business.
    if (!Object.isFrozen(value)) for (const name of Object.keys(value)) if (Object.getOwnPropertyDescriptor(value, name).writable) value[name] = 'later';
    assert.deepEqual(ann.sync.get('key'), JSON.parse(expected), what);
    ann.sync.set('key', { before: 2 });
    ann.sync.set('key', make());
    void ann.satisfied();
    assert(holds(tokyo, expected), `${what}: ${expected.slice(0, 200)}`);
    assert.deepEqual(ann.sync.get('key'), JSON.parse(expected), what);
  }
});

test('properties that every object seems to have are nobody\'s own', async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const ann = hot(tokyo);
  ann.sync.set('key', { before: 1 });
  Object.prototype.everywhere = 1;
  t.after(() => delete Object.prototype.everywhere);
  ann.sync.set('key', { own: { a: 1 } });
  delete Object.prototype.everywhere;
  void ann.satisfied();
  assert(holds(tokyo, '{"own":{"a":1}}'));
});

test('what is refused is refused when it is written, and changes nothing', async (t) => {
  const tokyo = await open(t, { id: 'tokyo', limits: { valueBytes: 1_200 } });
  const ann = hot(tokyo);
  const circle = { a: [1] };
  circle.a.push({ circle });
  const refused = [
    circle,
    { a: 1n },
    { a: [{ get b() { throw new Error('no'); } }] },
    { a: { toJSON() { throw new Error('no'); } } },
    new Map(),
    Object.assign(new Point(1), { toJSON: () => undefined }),
    { toJSON: () => undefined },
  ];
  ann.sync.set('key', { kept: 1 });
  for (const value of refused) assert.equal(thrown(() => ann.sync.set('key', value)).code, 'VALUE_INVALID');
  // Of these few characters much text is made.
  const long = [{ a: '\u0000'.repeat(220) }, { a: 'ü–'.repeat(260) }, Array.from({ length: 300 }, () => [[]]), { ['\u0001'.repeat(200)]: 1 }];
  for (const value of long) assert.equal(thrown(() => ann.sync.set('key', value)).code, 'VALUE_TOO_LARGE');
  const short = [{ a: '\u0000'.repeat(190) }, { a: 'ü–'.repeat(230) }, Array.from({ length: 290 }, () => []), { ['\u0001'.repeat(190)]: 1 }];
  for (const value of short) {
    ann.sync.set('key', { kept: 2 });
    ann.sync.set('key', value);
    assert.deepEqual(ann.sync.get('key'), value);
  }
  ann.sync.set('key', { kept: 3 });
  for (const value of [...refused, ...long]) thrown(() => ann.sync.set('key', value));
  assert.deepEqual(ann.sync.get('key'), { kept: 3 });
  assert.deepEqual(await ann.get('key'), { kept: 3 });
});

test('the limits of a replica hold for objects that grow while their writes are not handed over yet', async (t) => {
  const tokyo = await open(t, { id: 'tokyo', limits: { bytes: 40_000 } });
  const ann = hot(tokyo);
  let refused = 0;
  for (let n = 0; n < 300; n += 1) {
    const value = { text: '\u0000'.repeat(4 * n), n };
    try {
      ann.sync.set(`key ${n % 8}`, value);
      assert.deepEqual(ann.sync.get(`key ${(n + 8 - (n % 3)) % 8}`) === undefined, n < 8 && n % 3 > 0 && n - (n % 3) < 0);
    } catch (error) {
      assert.equal(error.code, 'QUOTA_EXCEEDED');
      refused += 1;
    }
  }
  assert(refused > 0);
  assert(tokyo.inspect().bytes <= 40_000);
});

test('of what is held as much counts as its text takes, once somebody has read it', async (t) => {
  const tokyo = await open(t, { id: 'tokyo', limits: { bytes: 40_000 } });
  const errors = [];
  tokyo.on('error', (error) => errors.push(error));
  const ann = hot(tokyo);
  for (let n = 0; n < 8; n += 1) ann.sync.set(`key ${n}`, { n });
  // Each character of these is six of the text.
  for (let n = 0; n < 8; n += 1) ann.sync.set(`key ${n}`, { text: '\u0000'.repeat(500) });
  for (let n = 0; n < 8; n += 1) assert.equal(ann.sync.get(`key ${n}`).text.length, 500);
  for (let n = 0; n < 8; n += 1) ann.sync.set(`key ${n}`, 'x');
  let accepted = 0;
  for (let n = 0; n < 60; n += 1) {
    try {
      ann.sync.set(`new ${n}`, '–'.repeat(2_000));
      accepted += 1;
    } catch (error) {
      assert.equal(error.code, 'QUOTA_EXCEEDED');
    }
  }
  void ann.satisfied();
  assert.deepEqual(errors, [], 'nothing that was accepted is lost');
  assert.equal(ann.sync.get('key 0'), 'x');
  assert.equal(ann.sync.list({ prefix: 'new ' }).length, accepted);
});

test('what cannot be held is not tried again and again, and no list is copied that is too long', async (t) => {
  const ann = hot(await open(t, { id: 'tokyo', clock: () => 1_800_000_000_000 }));
  const made = mocked(t, Object, 'defineProperty');
  const count = (value) => {
    void ann.satisfied();
    made.mock.resetCalls();
    ann.sync.set('key', { before: 1 });
    for (let n = 0; n < 100; n += 1) ann.sync.set('key', value);
    assert.deepEqual(ann.sync.get('key'), JSON.parse(JSON.stringify(value)));
    return made.mock.callCount();
  };
  for (const length of [2_000, 100_000]) assert.equal(count({ a: 1, list: Array.from({ length }, (_, at) => at) }), 0);
  assert(count({ at: new Date(0), a: 1, b: [2] }) <= 2, 'the copy ends with a date once');
  assert(count(Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`name ${at}`, at]))) <= 500, 'and with too many names');
});

test('where nobody may change the prototype of all objects, a value may have its names', async () => {
  const { status, stderr } = spawnSync(process.execPath, [fileURLToPath(new URL('./hold-child.mjs', import.meta.url))], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

test('a value may write, read and hand over while it is written itself', async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const ann = hot(tokyo);
  ann.sync.set('key', { n: 0 });
  ann.sync.set('other', { n: 0 });
  const inside = [
    () => ann.sync.set('key', { inside: 1, long: 'x'.repeat(3_000) }),
    () => ann.sync.set('other', { inside: 1 }),
    () => assert.equal(typeof ann.sync.get('key'), 'object'),
    () => ann.satisfied(),
    () => ann.sync.delete('key'),
    () => ann.sync.set('other', { at: new Date(0) }),
  ];
  for (const act of inside) {
    const value = { a: 'x'.repeat(3_000), get b() { return act(), 'b'; }, c: ['y'.repeat(3_000)] };
    ann.sync.set('key', { n: 1 });
    ann.sync.set('key', value);
    assert.deepEqual(ann.sync.get('key'), { a: 'x'.repeat(3_000), b: 'b', c: ['y'.repeat(3_000)] });
  }
  assert.deepEqual(await ann.get('other'), { at: '1970-01-01T00:00:00.000Z' });
});

test('whoever reads what was written, changes it and writes it again finds what he has written', async (t) => {
  for (const values of ['fresh', 'frozen']) {
    for (const seed of [1, 2]) {
      const below = numbers(seed);
      const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { values });
      const [ann, bob] = [hot(tokyo), warm(tokyo)];
      const expected = new Map();
      for (let step = 0; step < 5_000; step += 1) {
        const [session, key, chance] = [below(20) ? ann : bob, `key ${below(6)}`, below(1_000)];
        if (chance < 700) {
          const value = { step, list: Array.from({ length: below(4) }, () => ({ n: below(9) })), text: ['a', 'ü', '\n'][below(3)].repeat(below(40)) };
          session.sync.set(key, value);
          expected.set(key, JSON.stringify(value));
          value.list.push('mine');
        } else if (chance < 720) {
          session.sync.delete(key);
          expected.delete(key);
        } else if (chance < 725) void session.satisfied();
        else if (chance < 728) await null;
        else if (chance < 800) {
          const value = { ...session.sync.get(key), again: step };
          session.sync.set(key, value);
          expected.set(key, JSON.stringify(value));
        } else {
          const value = session.sync.get(key);
          assert.equal(JSON.stringify(value), expected.get(key), `${key}, seed ${seed}`);
          if (values === 'fresh' && value !== undefined) value.list = 'mine';
          else if (value !== undefined) assert(Object.isFrozen(value.list ?? value));
        }
      }
      await pull(paris, tokyo);
      const far = paris.session();
      for (const [key, text] of expected) assert.equal(JSON.stringify(await far.get(key)), text);
    }
  }
});

test('where an object has no room in the place of another, what is written after it takes its place and not that of the other', async (t) => {
  const ann = hot(await open(t, { id: 'tokyo', clock: () => 1_800_000_000_000, limits: { valueBytes: 602 } }));
  ann.sync.set('key', 'before');
  // As much as its text may take would be too much; its text is not.
  ann.sync.set('key', { list: Array.from({ length: 12 }, () => 1) });
  ann.sync.set('key', { after: 1 });
  assert.deepEqual(ann.sync.get('key'), { after: 1 });
  void ann.satisfied();
  assert.deepEqual(ann.sync.get('key'), { after: 1 });
});
