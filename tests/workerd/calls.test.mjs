// What a tab asks a Durable Object to do, over a real WebSocket to the real workerd: logins, statements, reads of what it does not hold;
// once, whatever becomes of the connection.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join } from './client.mjs';
import { SECRET, Workerd, until, within } from './support.mjs';

const PATIENT = { timeout: '50s' };

/** What a promise rejects with. */
const refusal = (promise) => promise.then(() => assert.fail('it was expected to fail'), (error) => error);

const start = (t) => Workerd.start(t, './worker.mjs', { EDGE: 'Edge' });

async function admin(edge, text) {
  const response = await edge.fetch('/admin', { method: 'POST', body: text });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

test("a tab logs in at an object, and the object knows the account's session", async (t) => {
  const edge = await start(t);
  const before = (await edge.json('/do', {})).token;
  await admin(edge, "CREATE USER ann WITH PASSWORD 'a long password'");
  const tab = await join(t, edge, { token: before });
  const session = await tab.login('ann', 'a long password', PATIENT);
  assert.equal(session.user, 'ann');
  assert.deepEqual((await edge.json('/do', { token: session.token })).answers, ['ann']);
  const [wrong, nobody] = [await refusal(tab.login('ann', 'wrong', PATIENT)), await refusal(tab.login('nobody', 'wrong', PATIENT))];
  assert.deepEqual([wrong.code, nobody.code], ['BAD_CREDENTIALS', 'BAD_CREDENTIALS']);
  assert.equal(wrong.message, nobody.message);
});

test('an object that was not told who decides about passwords refuses a login, and says what it needs', async (t) => {
  const edge = await Workerd.start(t, './worker.mjs', { EDGE: 'Edge' }, { TOKEN_SECRET: SECRET, PASSWORDS_UNSAID: 'yes' });
  const before = (await edge.json('/do', {})).token;
  await admin(edge, "CREATE USER ann WITH PASSWORD 'a long password'");
  const tab = await join(t, edge, { token: before });
  const refused = await refusal(tab.login('ann', 'a long password', PATIENT));
  assert.equal(refused.code, 'UNSUPPORTED');
  assert.match(refused.message, /authenticate: a function, or 'accounts'/);
});

test("a tab's statements run in the object, under its own session and role", async (t) => {
  const edge = await start(t);
  const { token } = await edge.json('/do', { user: 'ann' });
  const tab = await join(t, edge, { token });
  const session = tab.session(token);
  const sessions = await session.run('SHOW SESSIONS', PATIENT);
  assert.ok(sessions.rows.some((row) => row.includes(session.id)), String(sessions));
  assert.deepEqual((await session.run('count', PATIENT)).rows, [[1]]);
  assert.equal((await refusal(session.run('SHOW NONSENSE', PATIENT))).code, 'SYNTAX');

  await admin(edge, "CREATE USER bob WITH PASSWORD 'a long password'");
  const bob = await tab.login('bob', 'a long password', PATIENT);
  assert.equal((await refusal(bob.run('CREATE USER eve', PATIENT))).code, 'PERMISSION_DENIED');
});

test('a tab reads in the object what it does not hold, and no more than its role allows', async (t) => {
  const edge = await start(t);
  await admin(edge, "CREATE SPACE catalogue; CREATE SPACE vault; CREATE USER ann WITH PASSWORD 'a long password'");
  await admin(edge, 'GRANT USER ON default TO ann; GRANT USER ON catalogue TO ann');
  const { token } = await edge.json('/do', { user: 'ann' });
  await edge.json('/do', { user: 'ann', space: 'catalogue', steps: [['set', 'price', { euro: 9 }], ['set', 'title', 'Bücher']] });
  const tab = await join(t, edge, { token });
  const session = tab.session(token);
  const elsewhere = { space: 'catalogue', ...PATIENT };
  assert.deepEqual(await session.remote.get('price', elsewhere), { euro: 9 });
  assert.equal(await session.remote.get('nothing', elsewhere), undefined);
  assert.deepEqual((await session.remote.list(elsewhere)).map(({ key, value }) => [key, value]), [['price', { euro: 9 }], ['title', 'Bücher']]);
  assert.equal(tab.inspect().vectors.catalogue, undefined, 'the tab holds nothing of it');
  const ask = (space) => refusal(session.remote.get('k', { space, ...PATIENT }));
  assert.ok(['PERMISSION_DENIED', 'SPACE_NOT_FOUND'].includes((await ask('vault')).code));
  const [system, nothing] = [await ask('$system'), await ask('$nothing')];
  assert.deepEqual([system.code, system.message.replace('$system', '$nothing')], [nothing.code, nothing.message]);
});

test('the answer is lost with the connection, and the statement has run once all the same', async (t) => {
  const edge = await start(t);
  const { token } = await edge.json('/do', { user: 'ann' });
  const sockets = [];
  const tab = await join(t, edge, { token, opened: (socket) => sockets.push(socket) });
  const answer = tab.session(token).run('count slowly', PATIENT);
  await until('the statement to begin', async () => (await edge.json('/ran')) === 1);
  sockets.at(-1).terminate();
  await until('the next connection', () => sockets.length > 1 && sockets.at(-1).readyState === 1);
  assert.equal(await edge.json('/release'), 1);
  assert.deepEqual((await within(answer, 'the answer over the next connection')).rows, [[1]]);
  assert.equal(await edge.json('/ran'), 1);
});
