// Calls, by which a tab asks an edge to run statements under its session, or to log in: over real sockets and requests, and
// with lost and repeated messages.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { http, webSocket } from 'edge-session';
import { WebSocket } from 'ws';
import { serve } from './server.mjs';
import { serveAt } from './serving.mjs';
import { SECRET, hashings, open, rejection, within } from './support.mjs';
import { frame, idOf, messagesOf } from './wire.mjs';

const QUICK = { WebSocket, maxDelay: 50 };

async function edgeAt(t, options = {}) {
  const edge = await open(t, { id: 'edge', secret: SECRET, ...options });
  edge.on('error', () => {}); // What clients may not is told here.
  return { edge, ...(await serveAt(t, edge)) };
}

async function tabAt(t, transport) {
  const tab = await open(t, { id: 'tab' });
  await within(tab.connect(transport).ready, 'the link');
  return tab;
}

test('calls that nobody waits for any more have no password looked at', async (t) => {
  const { edge, ws } = await edgeAt(t);
  const { token } = edge.session({ user: 'eve' });
  const socket = new WebSocket(ws, ['edge-session.v1', `token.${token}`], { perMessageDeflate: false });
  t.after(() => socket.terminate());
  await within(once(socket, 'open'), 'the link');
  const secret = randomBytes(16);
  const id = idOf('eve', secret);
  const calls = [];
  const hashed = hashings(t);
  const ask = (method, args, token) => ['call', { id: (calls[calls.length] = randomBytes(16)), method, args: JSON.stringify(args), token }];
  const over = () => ['call', { id: calls.at(-1), method: '', args: '', token: '' }];
  const said = (n) => [['login', [`ann ${n}`, 'guess'], ''], ['run', ['CHANGE PASSWORD eve FROM "a" TO "b"'], token]];
  for (let n = 0; n < 100; n += 1) for (const call of said(n)) socket.send(frame(id, [ask(...call), over()]));
  const answered = new Promise((resolve) => socket.on('message', (data) => messagesOf(new Uint8Array(data)).some((said) => said.kind === 'reply' && Buffer.from(said.id).equals(calls.at(-1))) && resolve()));
  socket.send(frame(id, [ask('login', ['ann', 'guess'], '')]));
  await within(answered, 'who waits');
  assert.equal(hashed(), 1);
});

test('a login that is never decided keeps nobody else from logging in', async (t) => {
  let begun = () => {};
  const asked = new Promise((resolve) => (begun = resolve));
  const { edge, ws } = await edgeAt(t, { authenticate: (user) => user !== 'stuck' || (begun(), new Promise(() => {})) });
  const { token } = edge.session({ user: 'eve' });
  const socket = new WebSocket(ws, ['edge-session.v1', `token.${token}`], { perMessageDeflate: false });
  t.after(() => socket.terminate());
  await within(once(socket, 'open'), 'the link');
  const own = idOf('eve', randomBytes(16));
  const [stuck, other] = [randomBytes(16), randomBytes(16)];
  const answered = new Promise((resolve) => socket.on('message', (data) => messagesOf(new Uint8Array(data)).some((said) => said.kind === 'reply' && Buffer.from(said.id).equals(other)) && resolve()));
  socket.send(frame(own, [['call', { id: stuck, method: 'login', args: JSON.stringify(['stuck', 'p']), token: '' }]]));
  await within(asked, 'the first login is looked at');
  socket.send(frame(own, [['call', { id: other, method: 'login', args: JSON.stringify(['ann', 'p']), token: '' }]]));
  socket.send(frame(own, [['call', { id: stuck, method: '', args: '', token: '' }]]));
  await within(answered, 'the other login');
});

test("a tab's statements run at the edge, under its own session", async (t) => {
  const { edge, ws, url } = await edgeAt(t);
  for (const transport of [(token) => webSocket(ws, { ...QUICK, token }), (token) => http(url, { token, every: 50 })]) {
    const ann = edge.session({ user: 'ann' });
    const tab = await tabAt(t, transport(ann.token));
    const session = tab.session(ann.token);
    const table = await session.run('SHOW SESSIONS', { timeout: '20s' });
    const ids = table.rows.map((row) => row[table.columns.indexOf('SessionId')]);
    assert.ok(ids.includes(ann.id), String(table));
    assert.match(String(table), /SessionId/);
    const [here, there] = [await rejection(session.run('SHOW NONSENSE', { timeout: '20s' })), await rejection(edge.session(ann.token).run('SHOW NONSENSE'))];
    assert.equal(here.code, 'SYNTAX');
    assert.equal(here.details.position, 5);
    assert.deepEqual(here.details, there.details);
  }
});

test('a role holds for what a tab asks as for what it does at the edge', async (t) => {
  const { edge, ws } = await edgeAt(t);
  await edge.admin.createUser('ann', 'a long password');
  const ann = await edge.login('ann', 'a long password');
  const tab = await tabAt(t, webSocket(ws, { ...QUICK, token: ann.token }));
  const session = tab.session(ann.token);
  assert.equal((await rejection(session.run('CREATE USER eve', { timeout: '20s' }))).code, 'PERMISSION_DENIED');
  assert.equal((await edge.admin.users()).includes('eve'), false);
});

test('a tab logs in at the edge, and the session is that of the account', async (t) => {
  const { edge, ws } = await edgeAt(t);
  await edge.admin.createUser('ann', 'a long password');
  const tab = await tabAt(t, webSocket(ws, { ...QUICK, token: edge.session().token }));
  const session = await tab.login('ann', 'a long password');
  assert.equal(session.user, 'ann');
  assert.equal(edge.session(session.token).user, 'ann', 'the edge knows it');
  const wrong = await Promise.all([rejection(tab.login('ann', 'wrong')), rejection(tab.login('nobody', 'wrong'))]);
  assert.deepEqual(wrong.map(({ code }) => code), ['BAD_CREDENTIALS', 'BAD_CREDENTIALS']);
  assert.equal(wrong[0].message, wrong[1].message);
});

test('a tab logs in by request as well', async (t) => {
  const { edge, url } = await edgeAt(t);
  await edge.admin.createUser('ann', 'a long password');
  const tab = await tabAt(t, http(url, { token: edge.session().token, every: 50 }));
  const session = await tab.login('ann', 'a long password', { timeout: '20s' });
  assert.equal(edge.session(session.token).user, 'ann');
  const wrong = await rejection(tab.login('ann', 'wrong', { timeout: '20s' }));
  assert.deepEqual([wrong.code, wrong.details], ['BAD_CREDENTIALS', {}]);
});

test('the answer is lost with the connection, and the statement runs once all the same', async (t) => {
  let ran = 0;
  let go = () => {};
  const execute = async () => {
    ran += 1;
    await new Promise((resolve) => (go = resolve));
    return [{ n: ran }];
  };
  const edge = await open(t, { id: 'edge', secret: SECRET, execute });
  const server = await serve(t, edge);
  server.judges = true;
  const { token } = edge.session({ user: 'ann' });
  const tab = await tabAt(t, webSocket(server.url, { ...QUICK, token }));
  const answer = tab.session(token).run('count one', { timeout: '25s' });
  for (let n = 0; ran === 0 && n < 1_000; n += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  server.drop();
  go();
  const table = await within(answer, 'the answer over the next connection');
  assert.deepEqual([table.columns, table.rows, ran], [['n'], [[1]], 1]);
});

for (const [how, code] of [['aborts it', 'ABORTED'], ['lets go of its session', 'SESSION_NOT_FOUND']]) {
  test(`whoever gives a statement up (${how}) stops it at the edge`, async (t) => {
    let stopped;
    const aborted = new Promise((resolve) => (stopped = resolve));
    let begun = () => {};
    const running = new Promise((resolve) => (begun = resolve));
    const execute = (_, { signal }) =>
      new Promise((_resolve, reject) => {
        begun();
        signal.addEventListener('abort', () => {
          stopped();
          reject(new Error('stopped'));
        });
      });
    const { edge, ws } = await edgeAt(t, { execute });
    const { token } = edge.session({ user: 'ann' });
    const tab = await tabAt(t, webSocket(ws, { ...QUICK, token }));
    const control = new AbortController();
    const session = tab.session(token);
    const answer = rejection(session.run('take for ever', { timeout: '60s', signal: control.signal }));
    await within(running, 'the beginning');
    if (code === 'ABORTED') control.abort();
    else session[Symbol.dispose]();
    assert.equal((await answer).code, code);
    await within(aborted, 'the end of it at the edge');
  });
}

test('an operator in a tab has the same calls as at the edge, under its role', async (t) => {
  const { edge, ws } = await edgeAt(t);
  await edge.admin.run('CREATE USER ann; CREATE USER bob; GRANT ADMIN ON default TO ann; GRANT USER ON default TO bob');
  const at = async (user) => {
    const { token } = edge.session({ user });
    const tab = await tabAt(t, webSocket(ws, { ...QUICK, token }));
    return tab.session({ token, timeout: '20s' });
  };
  const [root, ann, bob] = [await at('root'), await at('ann'), await at('bob')];
  const users = async (session) => (await session.admin.sessions()).map(({ user }) => user).sort();
  assert.deepEqual([await users(root), await users(ann), await users(bob)], [['ann', 'bob', 'root'], ['ann', 'bob', 'root'], ['bob']]);
  assert.deepEqual((await ann.admin.sessions({ user: 'bob' })).map(({ id }) => id), [bob.id]);
  await root.admin.createUser('eve', 'sesame');
  await root.admin.grant('eve', 'Guest', 'default');
  assert.deepEqual(await ann.admin.roles('default'), await edge.admin.roles('default'));
  assert.deepEqual(await root.admin.users(), ['ann', 'bob', 'eve', 'root']);
  assert.ok((await root.admin.log()).some(({ action }) => action.startsWith('CREATE USER eve')));
  assert.deepEqual(Object.keys(await root.admin.cache()).sort(), Object.keys(edge.admin.cache()).sort());
  assert.equal(String(await bob.admin.run('SHOW GRANTS')), String(await edge.session({ user: 'bob' }).run('SHOW GRANTS')));
  const refused = [() => bob.admin.users(), () => bob.admin.log(), () => bob.admin.cache(), () => ann.admin.createSpace('x'), () => bob.admin.killSession(ann.id)];
  for (const call of refused) assert.equal((await rejection(call())).code, 'PERMISSION_DENIED');

  assert.equal((await rejection(root.admin.dropUser('nobody'))).code, 'USER_NOT_FOUND');
  assert.equal((await rejection(root.admin.createUser(7))).code, 'ARGUMENT_INVALID');
  // What runs at the edge is listed and killed from the tab.
  const running = rejection(edge.session(bob.token).track('report', () => new Promise(() => {})));
  const [query] = await ann.admin.queries({ session: bob.id });
  assert.equal(query.statement, 'report');
  await ann.admin.killQuery(bob.id, query.plan);
  assert.equal((await within(running, 'the end of the query')).code, 'QUERY_KILLED');
  assert.equal(await ann.admin.killSession(bob.id, 'enough'), true);
  const over = await rejection(bob.admin.sessions());
  assert.ok(['SESSION_KILLED', 'TIMEOUT'].includes(over.code), over.code);
  // At the edge itself the same handle does without a call.
  assert.deepEqual(await edge.session({ user: 'root' }).admin.spaces(), ['default']);
});

test('without an edge a call ends with its time', async (t) => {
  const edge = await open(t, { id: 'edge', secret: SECRET });
  const tab = await open(t, { id: 'tab' });
  const session = tab.session(edge.session({ user: 'ann' }).token);
  assert.equal((await within(rejection(session.run('SHOW SESSIONS', { timeout: 50 })), 'the refusal')).code, 'TIMEOUT');
});

test('a tab reads at the edge what it does not hold, and goes on from there', async (t) => {
  const { edge, ws } = await edgeAt(t, { roleOf: () => 'User' });
  const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const writer = edge.session({ space: 'catalogue' });
  await writer.set('price', { euro: 9 });
  await writer.set('picture', bytes);
  await writer.set('title', 'Bücher 📚', { ttl: '1h' });
  const ann = edge.session({ user: 'ann' });
  const tab = await tabAt(t, webSocket(ws, { ...QUICK, token: ann.token }));
  const session = tab.session(ann.token);
  const elsewhere = { space: 'catalogue', timeout: '20s' };
  assert.deepEqual(await session.remote.get('price', elsewhere), { euro: 9 });
  assert.deepEqual(await session.remote.get('picture', elsewhere), bytes);
  assert.equal(await session.remote.get('nothing', elsewhere), undefined);
  const all = await session.remote.list({ prefix: 'p', ...elsewhere });
  assert.deepEqual(all.map(({ key, value }) => [key, value]), [['picture', bytes], ['price', { euro: 9 }]]);
  const title = await session.remote.entry('title', elsewhere);
  assert.deepEqual([title.value, title.version, title.expiresAt > Date.now()], ['Bücher 📚', (await writer.entry('title')).version, true]);
  await edge.session({ space: 'long' }).batch((tx) => Array.from({ length: 900 }, (_, n) => tx.set(`a${n}`, 0)));
  for (const letter of 'bcde') await edge.session({ space: 'long' }).batch((tx) => Array.from({ length: 900 }, (_, n) => tx.set(`${letter}${n}`, 0)));
  const long = { space: 'long', timeout: '20s' };
  assert.equal((await rejection(session.remote.list(long))).code, 'QUOTA_EXCEEDED');
  assert.equal((await session.remote.list({ prefix: 'c', limit: 3, ...long })).length, 3);
  // The tab holds nothing of it; the session has seen it, and is where it was.
  assert.deepEqual(Object.keys(tab.inspect().vectors).filter((space) => space === 'catalogue'), []);
  assert.equal(session.space, 'default');
  assert.deepEqual(session.inspect().spaces.catalogue.reads, { [edge.id]: 3 });
  assert.equal(edge.session(session.token).space, 'default');
});

test('what a tab reads at an edge is read under its role, and never behind what it has seen', async (t) => {
  const { edge, ws } = await edgeAt(t);
  await edge.session({ space: 'secret' }).set('plan', 'x');
  await edge.admin.createUser('ann', 'a long password');
  const ann = await edge.login('ann', 'a long password');
  const tab = await tabAt(t, webSocket(ws, { ...QUICK, token: ann.token }));
  const session = tab.session(ann.token);
  const ask = (space, options) => rejection(session.remote.get('plan', { space, timeout: '20s', ...options }));
  const refused = await ask('secret');
  assert.ok(['PERMISSION_DENIED', 'SPACE_NOT_FOUND'].includes(refused.code), refused.code);
  assert.equal((await ask('$system')).code, (await ask('$nothing')).code);
  assert.equal((await ask(7)).code, 'ARGUMENT_INVALID');
  assert.equal((await ask('secret', { signal: AbortSignal.abort() })).code, 'ABORTED');
  assert.equal((await rejection(tab.session().remote.get('plan', { space: 'secret' }))).code, 'TOKEN_INVALID');
  assert.equal((await rejection(edge.session().remote.get('plan'))).code, 'ARGUMENT_INVALID');

  // Another edge, which has not heard of what the session has seen, does not answer from before it.
  const [early, late] = [await edgeAt(t), await edgeAt(t)];
  const bob = early.edge.session({ user: 'bob', space: 'news' });
  const other = await tabAt(t, webSocket(late.ws, { ...QUICK, token: late.edge.session({ user: 'bob' }).token }));
  await bob.set('head', 'line');
  const behind = await rejection(other.session(await bob.sealed()).remote.get('head', { space: 'news', timeout: '1s' }));
  assert.ok(['STALE_REPLICA', 'TIMEOUT'].includes(behind.code), behind.code);
});
