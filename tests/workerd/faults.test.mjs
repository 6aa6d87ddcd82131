// Objects whose storage fails, under a real workerd: what is refused is refused as a full disk does it, by a trigger of the database.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join, ticket } from './client.mjs';
import { Workerd, until } from './support.mjs';

const start = (t) => Workerd.start(t, './faulty.mjs', { FAULTY: 'Faulty' });
const sql = (edge, text) => edge.fetch('/sql', { method: 'POST', body: text }).then((response) => response.json());
const refuse = (edge, table, when = '1') => sql(edge, `CREATE TRIGGER full BEFORE INSERT ON ${table} WHEN ${when} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`);
const accept = (edge) => sql(edge, 'DROP TRIGGER full');
const act = (edge, ...steps) => edge.json('/do', { steps });
const keys = async (edge) => (await act(edge, ['keys'])).answers[0];
const seen = (client, key) => client.session({ guarantees: 'none' }).sync.get(key);

test('while the log refuses records nothing is acknowledged or told; when it takes them the alarm sees to the rest', async (t) => {
  const edge = await start(t);
  const client = await join(t, edge, { token: await ticket(edge) });
  await act(edge, ['set', 'before', 1]);
  await until('the client hears of what is stored', () => seen(client, 'before') === 1);
  await refuse(edge, 'edge_session_log');
  assert.equal((await act(edge, ['set', 'refused', 1])).code, 'TIMEOUT');
  assert.equal((await act(edge, ['get', 'refused'])).code, 'STALE_REPLICA', 'no other session is answered by it');
  const { id, vector, persisted, told } = await edge.json('/inspect');
  assert.deepEqual([vector, persisted, told], [{ [id]: 1 }, false, ['STORAGE_FAILED']]);
  assert.equal(seen(client, 'refused'), undefined);
  await accept(edge);
  await until('the client hears of it, without anybody asking the object', () => seen(client, 'refused') === 1);
  assert.deepEqual((await edge.json('/inspect')).vector, { [id]: 2 });
});

test('an object that ends before what it has accepted is stored has never said it, and its dot names another write', async (t) => {
  const edge = await start(t);
  const client = await join(t, edge, { token: await ticket(edge) });
  await act(edge, ['set', 'before', 1]);
  await refuse(edge, 'edge_session_log');
  await act(edge, ['set', 'lost', 1]);
  const { id } = await edge.json('/inspect');
  await edge.restart();
  await accept(edge);
  await act(edge, ['set', 'after', 1]);
  await until('the client hears of what came after', () => seen(client, 'after') === 1);
  assert.deepEqual([await keys(edge), seen(client, 'lost')], [['after', 'before'], undefined]);
  assert.deepEqual((await edge.json('/inspect')).vector, { [id]: 2 });
});

test('what is refused in the middle, of a record or of a snapshot, is as if it had not been begun', async (t) => {
  const edge = await start(t);
  const half = 'x'.repeat(700_000);
  await refuse(edge, 'edge_session_log', 'NEW.part = 1');
  assert.equal((await act(edge, ['batch', ['a', half], ['b', half]])).code, 'TIMEOUT');
  assert.deepEqual(await sql(edge, 'SELECT count(*) AS rows FROM edge_session_log'), [{ rows: 0 }]);
  await accept(edge);
  await until('both are stored', async () => (await edge.json('/inspect')).persisted);
  await refuse(edge, 'edge_session_snapshot', 'NEW.part = 1');
  for (const key of ['c', 'd', 'e', 'f']) assert.equal((await act(edge, ['set', key, half])).code, undefined);
  assert.ok((await edge.json('/inspect')).told.length > 1, 'a snapshot was refused');
  await edge.restart();
  assert.deepEqual(await keys(edge), ['a', 'b', 'c', 'd', 'e', 'f']);
});

for (const late of [false, true]) {
  test(`what a transaction of the application undoes${late ? ' turns later' : ''} is stored all the same, under another id`, async (t) => {
    const edge = await start(t);
    const client = await join(t, edge, { token: await ticket(edge) });
    await act(edge, ['set', 'before', 1]);
    const { id } = await edge.json('/inspect');
    assert.deepEqual(await edge.json('/undone', { key: 'undone', late }), { message: 'undone', there: true });
    await act(edge, ['set', 'after', 1]);
    assert.notEqual((await edge.json('/inspect')).id, id, 'what bears the old id may have left');
    await edge.restart();
    assert.deepEqual(await keys(edge), ['after', 'before', 'undone']);
    await until('the client holds the same', () => ['after', 'before', 'undone'].every((key) => seen(client, key)));
  });
}

test('what a transaction of the application undoes turns later is noticed at its end: its dot has left, and names no other write', async (t) => {
  const edge = await start(t);
  const client = await join(t, edge, { token: await ticket(edge) });
  await act(edge, ['set', 'before', 1]);
  const { id } = await edge.json('/inspect');
  assert.deepEqual(await edge.json('/undone', { key: 'undone', late: true }), { message: 'undone', there: true });
  await until('the client hears of it', () => seen(client, 'undone'));
  await edge.restart();
  await act(edge, ['set', 'after', 1]);
  assert.deepEqual((await edge.json('/inspect')).vector, { [id]: 2, [(await edge.json('/inspect')).id]: 1 });
  assert.deepEqual(await keys(edge), ['after', 'before', 'undone']);
  await until('the client hears of what came after', () => seen(client, 'after') === 1);
});

test('an object whose storage the application has deleted stores everything anew with the next write, under another id', async (t) => {
  const edge = await start(t);
  const client = await join(t, edge, { token: await ticket(edge) });
  await act(edge, ['set', 'before', 1]);
  await until('the client hears of it', () => seen(client, 'before') === 1);
  const { id } = await edge.json('/inspect');
  await edge.json('/delete', {});
  assert.equal((await act(edge, ['set', 'after', 1])).code, undefined);
  const { id: renewed, persisted } = await edge.json('/inspect');
  assert.notEqual(renewed, id);
  assert.equal(persisted, true);
  assert.ok((await edge.json('/alarm')) > Date.now() - 1_000, 'what is due has its alarm again');
  await edge.restart();
  assert.equal((await edge.json('/inspect')).id, renewed);
  assert.deepEqual(await keys(edge), ['after', 'before']);
  await until('the client holds the same', () => ['after', 'before'].every((key) => seen(client, key)));
});

for (const how of ['rejected', 'thrown']) {
  test(`an alarm that is refused (${how}) is not believed to be set`, async (t) => {
    const edge = await start(t);
    const client = await join(t, edge, { token: await ticket(edge) });
    await act(edge, ['set', 'before', 1]);
    await until('the client hears of it', () => seen(client, 'before') === 1);
    await until('no alarm is about to ring', async () => ((await edge.json('/alarm')) ?? Infinity) > Date.now() + 30_000);
    await refuse(edge, 'edge_session_log');
    await edge.json('/refuse-alarms', how);
    assert.equal((await act(edge, ['set', 'refused', 1])).code, 'TIMEOUT');
    await until('what was to be tried again has no alarm', () => edge.json('/refused'));
    await accept(edge);
    await edge.json('/refuse-alarms', null);
    await until('the client hears of it, without anybody asking the object', () => seen(client, 'refused') === 1, 10_000);
  });
}

test('an object whose log cannot be read does not begin anew in its place', async (t) => {
  const edge = await start(t);
  await act(edge, ['set', 'before', 1]);
  await sql(edge, 'ALTER TABLE edge_session_log RENAME COLUMN sum TO total');
  await edge.restart();
  const response = await edge.fetch('/do', { method: 'POST', body: JSON.stringify({ steps: [['set', 'after', 1]] }) });
  assert.match((await response.json()).message, /its log cannot be read/);
});
