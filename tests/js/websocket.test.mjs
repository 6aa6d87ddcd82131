// A link over a WebSocket connects, breaks, reconnects, is refused and admitted again; with real servers on the loopback.
import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import { test } from 'node:test';
import { webSocket } from 'edge-session';
import { WebSocket } from 'ws';
import { serve } from './server.mjs';
import { DEADLINE, SECRET, hasten, next, open, openAll, peers, rejection, thrown, within } from './support.mjs';

const QUICK = { WebSocket, maxDelay: 50 };

async function arrives(from, to, key, value) {
  const writer = from.session();
  await writer.set(key, value);
  const reader = to.session({ token: await writer.sealed(), timeout: DEADLINE });
  assert.deepEqual(await within(reader.get(key), `${key} from ${from.id} at ${to.id}`), value);
}

/** Resolves when the link is in a state. */
const state = async (replica, link, wanted) => link.state === wanted || next(replica, 'link', (event) => event.state === wanted);

/** What is told as an error, from now on. */
function errorsOf(replica) {
  const told = [];
  replica.on('error', (error) => told.push(error));
  return told;
}

async function both(t, options = {}) {
  const [tab, edge] = await openAll(t, ['tab', 'edge']);
  const server = await serve(t, edge);
  return { tab, edge, server, transport: webSocket(server.url, { ...QUICK, ...options }) };
}

test('a tab and an edge keep each other up to date', async (t) => {
  const { tab, edge, transport } = await both(t);
  const states = [];
  tab.on('link', ({ kind, state, error }) => states.push([kind, state, error]));
  const link = tab.connect(transport);
  assert.equal(link.state, 'connecting');
  await within(link.ready, 'the link');
  assert.equal(link.state, 'open');
  await arrives(tab, edge, 'a', 1);
  await arrives(edge, tab, 'b', { big: 'x'.repeat(900_000) });
  assert.deepEqual(states, [['websocket', 'open', null]]);
  const [shown] = tab.inspect().links;
  assert.deepEqual([shown.kind, shown.state, shown.error, shown.peers, shown.dropped], ['websocket', 'open', null, 1, 0]);
  assert.ok(shown.sent > 0 && shown.received > 0);
  const gone = peers(edge, 0);
  link.close();
  await gone;
});

test('a connection that is lost is made anew, and what was written meanwhile arrives', async (t) => {
  const { tab, edge, server, transport } = await both(t);
  const errors = errorsOf(tab);
  const link = tab.connect(transport);
  for (let n = 0; n < 3; n += 1) {
    await arrives(tab, edge, `a${n}`, n);
    const lost = state(tab, link, 'retrying');
    server.drop();
    await lost;
    assert.equal(link.error.code, 'TRANSPORT_FAILED');
    assert.equal(tab.status.online, false);
    await tab.session().set(`apart ${n}`, n);
    await arrives(edge, tab, `b${n}`, n);
    assert.equal(link.state, 'open');
    assert.equal(link.error, null);
    await within(tab.synced({ timeout: DEADLINE }), 'the word of the edge');
    assert.equal(edge.session().peek(`apart ${n}`), n);
  }
  assert.deepEqual(errors, [], 'a lost connection is no error');
});

test('a server that is restarted is found again, and one that starts late as well', async (t) => {
  const { tab, edge, server, transport } = await both(t);
  await server.stop();
  const link = tab.connect(transport);
  await within(state(tab, link, 'retrying'), 'the first failure');
  await server.start();
  await within(link.ready, 'the server that started late');
  await arrives(tab, edge, 'a', 1);
  const lost = state(tab, link, 'retrying');
  await server.stop();
  await lost;
  await server.start();
  await arrives(edge, tab, 'b', 2);
});

test('many who lost one server do not come back at one moment, and not before half of a pause', async (t) => {
  // Nothing else in these replicas asks for an alarm of less than a second.
  const replicas = await openAll(t, Array.from({ length: 16 }, (_, n) => `tab${n}`), { heartbeat: '1h' });
  const pauses = [];
  const real = globalThis.setTimeout;
  globalThis.setTimeout = (run, ms, ...rest) => {
    if (ms > 1 && ms <= 500) pauses.push(ms);
    return real(run, ms, ...rest);
  };
  t.after(() => {
    globalThis.setTimeout = real;
  });
  // Nobody is there: a port that was free a moment ago.
  const edge = await open(t, { id: 'edge', heartbeat: '1h' });
  const server = await serve(t, edge);
  await server.stop();
  pauses.length = 0;
  const links = replicas.map((replica) => replica.connect(webSocket(server.url, { WebSocket })));
  await within(Promise.all(links.map((link, n) => state(replicas[n], link, 'retrying'))), 'all to have lost the server');
  while (pauses.length < links.length) await new Promise((resolve) => setImmediate(resolve));
  for (const link of links) link.close();
  const first = pauses.slice(0, links.length);
  assert.ok(Math.min(...first) >= 250, `pauses of ${first} ms`);
  assert.ok(new Set(first).size >= links.length / 2, `pauses of ${first} ms`);
});

test('a token that is refused is told once, and nobody comes again before it is asked for', async (t) => {
  for (const refuse of [() => 401, () => ({ status: 401 })]) {
    const { tab, edge, server, transport } = await both(t, { token: 'old.token~' });
    const errors = errorsOf(tab);
    server.admit = refuse;
    const link = tab.connect(transport);
    assert.equal((await rejection(within(link.ready, 'the refusal'))).code, 'TOKEN_INVALID');
    assert.equal(link.state, 'unauthorized');
    assert.equal(link.error.code, 'TOKEN_INVALID');
    assert.equal(tab.inspect().links[0].error, 'TOKEN_INVALID');
    await new Promise((resolve) => setTimeout(resolve, 300)); // six of the longest pauses
    assert.deepEqual(server.calls, ['old.token~']);
    assert.deepEqual(errors.map(({ code }) => code), ['TOKEN_INVALID']);
    server.admit = () => true;
    link.reconnect();
    await within(link.ready, 'the link after reconnect');
    await arrives(tab, edge, 'a', 1);
    assert.equal(errors.length, 1);
  }
});

test('the server may name why it refuses, by one of the codes for that', async (t) => {
  for (const [reason, code] of [['TOKEN_EXPIRED', 'TOKEN_EXPIRED'], ['STALE_REPLICA', 'TOKEN_INVALID'], ['go away', 'TOKEN_INVALID']]) {
    const { tab, server, transport } = await both(t, { token: 'x' });
    errorsOf(tab);
    Object.assign(server, { admit: () => 401, reason });
    assert.equal((await rejection(tab.connect(transport).ready)).code, code);
  }
});

test('a token that has run out is replaced at once, and nobody hears of it', async (t) => {
  let minted = 1;
  const { tab, edge, server, transport } = await both(t, { token: async () => `t${minted}` });
  const errors = errorsOf(tab);
  const link = tab.connect(transport);
  await arrives(tab, edge, 'a', 1);
  server.admit = (token) => (token === 't1' ? 401 : true);
  minted = 2;
  const away = state(tab, link, 'retrying');
  for (const socket of server.sockets) socket.close(4401, 'TOKEN_EXPIRED');
  await away;
  await arrives(edge, tab, 'b', 2);
  assert.deepEqual(server.calls, ['t1', 't2']);
  assert.deepEqual(errors, []);
});

test('before a token ends the connection is made anew with a later one, and nobody hears of it', async (t) => {
  const [tab, edge] = [await open(t, { id: 'tab' }), await open(t, { id: 'edge', secret: SECRET, session: { tokenExpiresIn: '4s' } })];
  const server = await serve(t, edge);
  const [ann, states, errors] = [edge.session({ user: 'ann' }), [], errorsOf(tab)];
  tab.on('link', ({ state }) => states.push(state));
  // As an edge does: who is there when their token ends has to go.
  let ended = 0;
  server.tamper = (socket) => {
    const late = setTimeout(() => ((ended += 1), socket.close(4401, 'TOKEN_EXPIRED')), edge.inspectToken(server.calls.at(-1)).expiresAt - Date.now());
    socket.on('close', () => clearTimeout(late));
  };
  tab.connect(webSocket(server.url, { ...QUICK, token: () => ann.sealed() }));
  for (let n = 0; server.calls.length < 3; n += 1) {
    await arrives(n % 2 ? tab : edge, n % 2 ? edge : tab, 'a', n);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(new Set(server.calls).size, 3);
  assert.deepEqual([states, errors, ended], [['open'], [], 0]);
});

test('where there is no later token the connection stays as long as it may', async (t) => {
  const [tab, edge] = [await open(t, { id: 'tab' }), await open(t, { id: 'edge', secret: SECRET, session: { tokenExpiresIn: '3s' } })];
  const server = await serve(t, edge);
  const token = await edge.session({ user: 'ann' }).sealed();
  let asked = 0;
  const link = tab.connect(webSocket(server.url, { ...QUICK, token: () => ((asked += 1), token) }));
  await within(link.ready, 'the link');
  for (let n = 0; asked < 2; n += 1) {
    await arrives(tab, edge, 'a', n);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(server.calls.length, 1);
  assert.equal(link.state, 'open');
  const told = state(tab, link, 'unauthorized');
  for (const socket of server.sockets) socket.close(4401, 'TOKEN_EXPIRED');
  await within(told, 'the end of the token');
  assert.equal(server.calls.length, 1, 'nobody comes again with a token that was refused');
});

test('while there is no other token the server is left in peace, and once there is one the link opens', async (t) => {
  let [token, asked] = ['bad', 0];
  const { tab, edge, server, transport } = await both(t, { token: () => ((asked += 1), token) });
  const errors = errorsOf(tab);
  server.admit = (given) => (given === 'good' ? true : 401);
  const link = tab.connect(transport);
  assert.equal((await rejection(link.ready)).code, 'TOKEN_INVALID');
  const before = asked;
  while (asked < before + 3) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(server.calls, ['bad']);
  assert.equal(link.state, 'unauthorized');
  assert.equal(errors.length, 1);
  token = 'good';
  await within(state(tab, link, 'open'), 'the link with the good token');
  await arrives(tab, edge, 'a', 1);
  assert.deepEqual(server.calls, ['bad', 'good']);
  assert.equal(errors.length, 1);
});

test('who may not come in is told so, and the link is closed', async (t) => {
  for (const refuse of [() => 403, () => ({ status: 403 })]) {
    const { tab, server, transport } = await both(t, { token: () => 'mine' });
    const errors = errorsOf(tab);
    server.admit = refuse;
    const link = tab.connect(transport);
    assert.equal((await rejection(link.ready)).code, 'PERMISSION_DENIED');
    assert.equal(link.state, 'closed');
    link.reconnect();
    assert.equal(link.state, 'closed', 'a closed link stays closed');
    assert.deepEqual(errors.map(({ code }) => code), ['PERMISSION_DENIED']);
    assert.equal(server.calls.length, 1);
  }
});

test('a server that takes the call and says nothing opens no link', async (t) => {
  // What would take fifteen seconds takes some milliseconds.
  hasten(t, 15_000, 40);
  const { tab, edge, server, transport } = await both(t);
  server.tamper = () => 'deaf';
  const link = tab.connect(transport);
  await within(state(tab, link, 'retrying'), 'the end of patience');
  assert.ok(server.calls.length >= 1);
  server.tamper = () => {};
  await arrives(tab, edge, 'a', 1);
});

test('reconnect connects anew at once, whatever the pause', async (t) => {
  const { tab, edge, server } = await both(t);
  await server.stop();
  const link = tab.connect(webSocket(() => server.url, { WebSocket, maxDelay: '1h' }));
  const { ready } = link;
  await state(tab, link, 'retrying');
  await server.start();
  link.reconnect();
  assert.equal(link.state, 'connecting');
  await within(ready, 'the promise of before');
  await within(link.ready, 'the promise of now');
  await arrives(tab, edge, 'a', 1);
});

test('the network that comes back ends the pause', async (t) => {
  const { tab, server } = await both(t);
  const target = new EventTarget();
  for (const name of ['addEventListener', 'removeEventListener']) {
    globalThis[name] = target[name].bind(target);
    t.after(() => delete globalThis[name]);
  }
  await server.stop();
  const link = tab.connect(webSocket(server.url, { WebSocket, maxDelay: '1h' }));
  // The first pauses are short; wait for a long one.
  for (let failures = 0; failures < 3; failures += 1) {
    target.dispatchEvent(new Event('online'));
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  await server.start();
  while (link.state !== 'open') {
    target.dispatchEvent(new Event('online'));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await link.ready;
});

test('a burst of writes on both sides arrives, and the links stay bounded', async (t) => {
  const { tab, edge, transport } = await both(t);
  tab.connect(transport);
  await peers(tab, 1);
  const [left, right] = [tab.session(), edge.session()];
  for (let n = 0; n < 5_000; n += 1) {
    left.sync.set(`left ${n % 700}`, n);
    right.sync.set(`right ${n % 700}`, n);
    if (n % 100 === 0) await new Promise(setImmediate);
  }
  await within(Promise.all([tab.synced({ timeout: DEADLINE }), edge.synced({ timeout: DEADLINE })]), 'the word of the others');
  for (const replica of [tab, edge]) {
    for (const side of ['left', 'right']) assert.equal(replica.session().sync.list({ prefix: side }).length, 700);
  }
  assert.ok(tab.inspect().links[0].sent < 2_000, 'many writes are one message');
});

test('a server that reads slowly costs bounded memory, and gets everything in the end', async (t) => {
  const { tab, edge, server } = await both(t);
  const sockets = [];
  class Kept extends WebSocket {
    constructor(...args) {
      super(...args);
      sockets.push(this);
    }
  }
  tab.connect(webSocket(server.url, { WebSocket: Kept }));
  await peers(tab, 1);
  for (const socket of server.sockets) socket.pause();
  const session = tab.session();
  let most = 0;
  for (let n = 0; n < 60; n += 1) {
    for (let key = 0; key < 8; key += 1) session.sync.set(`big ${n} ${key}`, 'x'.repeat(100_000));
    await new Promise(setImmediate);
    most = Math.max(most, sockets[0].bufferedAmount);
  }
  assert.ok(most < 12 << 20, `${most} bytes wait to be sent`);
  for (const socket of server.sockets) socket.resume();
  await within(tab.synced({ timeout: DEADLINE }), 'the slow server');
  assert.equal(edge.session().sync.list({ prefix: 'big' }).length, 480);
});

test('two processes meet, and one of them is killed and comes back', async (t) => {
  const tab = await open(t, { id: 'tab' });
  const script = new URL('server.mjs', import.meta.url);
  const start = async (port, label) => {
    const child = fork(script, [String(port), label], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    t.after(() => child.kill('SIGKILL'));
    const [told] = await within(new Promise((resolve) => child.once('message', (...args) => resolve(args))), 'the other process');
    return [child, told];
  };
  const [first, port] = await start(0, 'edge1');
  const link = tab.connect(webSocket(`http://127.0.0.1:${port}/sync`, QUICK));
  await link.ready;
  await tab.session().set('a', 1);
  await tab.synced({ timeout: DEADLINE });
  assert.equal(tab.status.unsynced, 0);
  const lost = state(tab, link, 'retrying');
  first.kill('SIGKILL');
  await lost;
  await tab.session().set('b', 2);
  assert.equal(tab.status.unsynced, 1);
  await start(port, 'edge2');
  await within(tab.synced({ timeout: DEADLINE }), 'the second process');
  assert.equal(tab.status.peers, 1);
});

test('a closed link lets the process go, in a pause too', async (t) => {
  const { server } = await both(t);
  await server.stop();
  const child = spawn(process.execPath, [new URL('./closing.mjs', import.meta.url).pathname, server.url], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  const [said] = await within(new Promise((resolve) => child.stdout.once('data', (...said) => resolve(said))), 'the closing');
  assert.equal(String(said), 'closed\n');
  assert.equal(await within(ended, 'the end of the process', 10_000), 0);
});

test('arguments that make no sense are refused before anything is done', async (t) => {
  for (const call of [
    () => webSocket('ftp://example.org'),
    () => webSocket('nowhere'),
    () => webSocket('ws://example.org', { maxDelay: -1 }),
    () => webSocket('ws://example.org', { token: 'not a token' }),
    () => webSocket('ws://example.org', { token: '' }),
  ]) {
    assert.equal(thrown(call).code, 'ARGUMENT_INVALID');
  }
  const replica = await open(t);
  errorsOf(replica);
  if (globalThis.WebSocket === undefined) {
    const error = await rejection(replica.connect(webSocket('ws://127.0.0.1:9')).ready);
    assert.equal(error.code, 'ARGUMENT_INVALID');
    assert.match(error.message, /'ws'/);
  }
});
