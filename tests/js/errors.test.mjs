// Errors: one class, stable codes from the core's own table, and arguments that are refused before anything is touched.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES, EdgeSessionError, channel, memory, openReplica } from 'edge-session';
import { SECRET, TestStorage, open, rejection, thrown } from './support.mjs';

/** A fresh instance of the wasm module, past the public entry. */
async function instance() {
  const entry = import.meta.resolve('edge-session');
  const [{ instantiate }, { load }] = await Promise.all([import(new URL('wasm/glue.js', entry)), import(new URL('wasm/inline.js', entry))]);
  return instantiate(await load());
}

test('the codes of the package are those of the core, with the same status and the same advice to try again', async () => {
  const table = (await instance()).errorTable();
  assert.deepEqual([...ERROR_CODES].sort(), table.map((row) => row.code).sort());
  for (const { code, status, retryable } of table) {
    const error = new EdgeSessionError(code, 'message');
    assert.deepEqual([error.status, error.retryable], [status, retryable], code);
  }
});

test('every error is a real Error with all its parts', async (t) => {
  const session = (await open(t)).session();
  await session.set('a', 1);
  const error = await rejection(session.batch((tx) => tx.check('a', null).set('a', 2)));
  assert.ok(error instanceof Error);
  assert.ok(error instanceof EdgeSessionError);
  assert.equal(error.name, 'EdgeSessionError');
  assert.equal(error.code, 'CONFLICT');
  assert.equal(error.status, 409);
  assert.equal(error.retryable, false);
  assert.equal(error.details.key, 'a');
  assert.equal(typeof error.message, 'string');
  assert.match(error.stack, /EdgeSessionError/);
  assert.ok(Object.isFrozen(error.details));
});

test('is tells our errors from others, and one code from another', () => {
  const error = new EdgeSessionError('TIMEOUT', 'late');
  assert.equal(EdgeSessionError.is(error), true);
  assert.equal(EdgeSessionError.is(error, 'TIMEOUT'), true);
  assert.equal(EdgeSessionError.is(error, 'CONFLICT'), false);
  for (const other of [new Error('late'), { code: 'TIMEOUT' }, 'TIMEOUT', null, undefined]) assert.equal(EdgeSessionError.is(other), false);
});

test('options of the wrong form are refused before anything is opened', async () => {
  const storage = new TestStorage();
  const wrong = [
    null,
    'tokyo',
    { id: 'Tokyo!' },
    { id: '' },
    { id: 'x'.repeat(17) },
    { space: '' },
    { issuer: 7 },
    { secret: { kid: 'k', key: new Uint8Array(31) } },
    { secret: { kid: '', key: new Uint8Array(32) } },
    { secret: { kid: 'k', key: 'not base64url!' } },
    { secret: [SECRET, null] },
    { secret: [] },
    { limits: { bytes: -1 } },
    { limits: { keys: 1.5 } },
    { session: { timeout: '5 minutes' } },
    { session: { expiresIn: -1 } },
    { heartbeat: Infinity },
    { heartbeat: 0 },
    { clock: 7 },
    { storage: {} },
    { storage: null },
    { signal: 5 },
    { signal: new AbortController() },
    ...[5, Number.NaN, 'a', [], null, true].flatMap((value) => [{ limits: value }, { session: value }]),
  ];
  for (const options of wrong) {
    const error = await rejection(openReplica(options === null || typeof options !== 'object' ? options : { storage, ...options }));
    assert.equal(error.code, 'ARGUMENT_INVALID', JSON.stringify(options));
  }
  assert.equal(storage.disk.locked, false);
});

test('a transport, a clock or a limit of the wrong form fails the opening and leaves nothing open', async () => {
  for (const options of [{ limits: { tokenBytes: 1025 } }, { connect: {} }, { connect: [null] }, { clock: () => Number.NaN }, { clock: () => assert.fail('no time') }]) {
    const storage = new TestStorage();
    assert.equal((await rejection(openReplica({ storage, ...options }))).code, 'ARGUMENT_INVALID');
    assert.equal(storage.disk.locked, false);
  }
});

test('arguments of the wrong form are refused, and nothing happens', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  const refused = [
    () => session.get('a', { timeout: '5 minutes' }),
    () => session.get('a', { timeout: -1 }),
    () => session.get('a', { guarantees: ['read-your-mind'] }),
    () => session.get('a', { guarantees: 'some' }),
    () => session.get('a', { onStale: 'guess' }),
    () => session.get('a', 'soon'),
    () => session.set('a', 1, { ttl: 'soon' }),
    () => session.batch('set'),
    () => session.batch(() => {}),
    () => session.batch(async (tx) => tx.set('a', 1)),
    () => session.batch((tx) => tx.check('a', 7).set('a', 1)),
    () => session.list({ limit: -1 }).next(),
    () => session.list({ prefix: 7 }).next(),
    () => session.list('a').next(),
    async () => session.sync.list('a'),
    async () => session.sync.list(null),
    () => replica.exchange('bytes'),
    () => replica.restore('bytes'),
    async () => replica.session({ guarantees: ['all'] }),
    async () => replica.session({ onStale: 'guess' }),
    async () => replica.session({ onRefused: 'guess' }),
    async () => replica.session({ user: 7 }),
    async () => replica.session(7),
    async () => replica.on('nothing', () => {}),
    async () => replica.on('change', 'listener'),
    async () => replica.connect({}),
    async () => session.sync.with('some'),
    async () => session.watch({ prefix: 7 }),
    async () => session.merge(7),
    async () => channel(''),
  ];
  for (const call of refused) assert.equal((await rejection(call())).code, 'ARGUMENT_INVALID', String(call));
  assert.equal(replica.inspect().keys, 0);
});

test('a batch that is over takes no more writes', async (t) => {
  const session = (await open(t)).session();
  let kept;
  await session.batch((tx) => {
    kept = tx.set('a', 1);
  });
  assert.equal(thrown(() => kept.set('b', 1)).code, 'ARGUMENT_INVALID');
});

test('what a limit allows is written, and what exceeds it changes nothing', async (t) => {
  const replica = await open(t, { limits: { keys: 2, valueBytes: 8, keyBytes: 4, batchKeys: 2 } });
  const session = replica.session();
  await session.set('a', '12345678');
  const error = await rejection(session.set('a', '123456789'));
  assert.equal(error.code, 'VALUE_TOO_LARGE');
  assert.equal(error.details.limit, 'valueBytes');
  assert.equal(error.details.allowed, 8);
  assert.equal((await rejection(session.set('abcde', 1))).code, 'KEY_INVALID');
  assert.equal((await rejection(session.batch((tx) => tx.set('a', 1).set('b', 1).set('c', 1)))).code, 'QUOTA_EXCEEDED');
  await session.set('b', 1);
  assert.equal((await rejection(session.set('c', 1))).code, 'QUOTA_EXCEEDED');
  assert.equal(await session.get('a'), '12345678');
  assert.equal(await session.get('c'), undefined);
});

test('a storage that someone else uses is not opened a second time', async (t) => {
  const storage = memory();
  await open(t, { storage });
  assert.equal((await rejection(openReplica({ storage }))).code, 'STORAGE_FAILED');
});

test('durations are numbers of milliseconds or numbers with a unit', async (t) => {
  const replica = await open(t, { clock: () => 1_000_000 });
  for (const [ttl, ms] of [[0.5, 1], [250, 250], ['250ms', 250], ['1.5s', 1500], ['2m', 120_000], ['1h', 3_600_000], ['7d', 604_800_000]]) {
    const session = replica.session();
    await session.set('a', 1, { ttl });
    assert.equal((await session.entry('a')).expiresAt, 1_000_000 + ms, String(ttl));
  }
});
