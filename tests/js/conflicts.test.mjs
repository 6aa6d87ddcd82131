// Conflicts: writes that did not see each other stay as siblings until the next write, and a check refuses what it has not seen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converge, next, open, openAll, pull, rejection } from './support.mjs';

/** Two replicas at which `key` was written without either seeing the other. */
async function torn(t) {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  await tokyo.session().set('key', 'tokyo');
  await paris.session().set('key', 'paris');
  return [tokyo, paris];
}

test('concurrent writes become siblings, of which all replicas show the same one', async (t) => {
  const [tokyo, paris] = await torn(t);
  await converge(tokyo, paris);
  const [here, there] = [tokyo.session(), paris.session()];
  const values = here.conflicts('key').map(({ value }) => value);
  assert.deepEqual([...values].sort(), ['paris', 'tokyo']);
  assert.deepEqual(there.conflicts('key').map(({ value }) => value), values);
  assert.equal(await here.get('key'), values[0], 'the first is what get answers');
  assert.equal(await there.get('key'), values[0]);
  const outcome = await here.read('key');
  assert.equal(outcome.conflicts, 1);
  assert.deepEqual(here.conflicts('nothing'), []);
});

test('a conflict is told, with both versions', async (t) => {
  const [tokyo, paris] = await torn(t);
  const told = next(tokyo, 'conflict');
  await pull(tokyo, paris);
  const { space, key, kept, dropped } = await told;
  assert.deepEqual([space, key], ['default', 'key']);
  const versions = tokyo.session().conflicts('key').map(({ version }) => version);
  assert.deepEqual([kept, dropped], versions);
});

test('the next write resolves a conflict, everywhere', async (t) => {
  const [tokyo, paris] = await torn(t);
  await converge(tokyo, paris);
  await paris.session().set('key', 'both');
  await converge(tokyo, paris);
  for (const replica of [tokyo, paris]) {
    const session = replica.session();
    assert.deepEqual(session.conflicts('key').map(({ value }) => value), ['both']);
    assert.equal((await session.read('key')).conflicts, 0);
  }
});

test('a check holds for the version that was read, and for absence', async (t) => {
  const session = (await open(t)).session();
  const first = await session.batch((tx) => tx.check('stock', null).set('stock', 5));
  assert.equal((await session.entry('stock')).version, first);
  await session.batch((tx) => tx.check('stock', first).set('stock', 4).set('order', 1));
  const error = await rejection(session.batch((tx) => tx.check('stock', first).set('stock', 3).delete('order')));
  assert.equal(error.code, 'CONFLICT');
  assert.deepEqual(error.details, { key: 'stock', version: (await session.entry('stock')).version });
  assert.throws(() => session.sync.batch((tx) => tx.check('stock', null).set('stock', 3)), { code: 'CONFLICT' });
  assert.deepEqual([await session.get('stock'), await session.get('order')], [4, 1], 'nothing of it was written');
});

test('a check fails when a sibling has arrived unseen', async (t) => {
  const [tokyo, paris] = await torn(t);
  const session = tokyo.session();
  const { version } = await session.entry('key');
  await pull(tokyo, paris);
  assert.equal((await rejection(session.batch((tx) => tx.check('key', version).set('key', 'mine')))).code, 'CONFLICT');
});

test('a batch is one step: here, and where it arrives', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  await tokyo.session().batch((tx) => tx.set('a', 1).set('b', 1).delete('c'));
  assert.deepEqual(tokyo.inspect().vectors, { default: { [tokyo.id]: 1 } });
  const there = paris.session();
  const seen = [];
  paris.on('change', () => seen.push([there.sync.get('a'), there.sync.get('b')]));
  await pull(paris, tokyo);
  assert.ok(seen.length >= 2);
  for (const pair of seen) assert.deepEqual(pair, [1, 1]);
});

test('a batch whose function throws writes nothing, and its error passes through', async (t) => {
  const session = (await open(t)).session();
  const bug = new Error('a bug of the application');
  const failing = (tx) => {
    tx.set('a', 1);
    throw bug;
  };
  assert.equal(await rejection(session.batch(failing)), bug);
  assert.throws(() => session.sync.batch(failing), bug);
  assert.equal(await session.get('a'), undefined);
});
