// A replica behind a server, over real sockets: admission, other handlers, slow and silent peers, stopping.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { http, openReplica, webSocket } from 'edge-session';
import { fileStorage, serveReplica } from 'edge-session/node';
import { WebSocket } from 'ws';
import { DEADLINE, SECRET, mocked, next, open, openAll, peers, rejection, thrown, within } from './support.mjs';

const TYPE = 'application/vnd.edge-session';
const QUICK = { WebSocket, maxDelay: 50 };

/** A server that listens, and is closed after the test. */
async function listening(t, port = 0, handler) {
  const server = createServer(handler).listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return server;
}

const address = (server, scheme = 'http', path = '/sync') => `${scheme}://127.0.0.1:${server.address().port}${path}`;

/** An edge that is served, and how to come to it. */
async function served(t, edge, options, handler) {
  const server = await listening(t, 0, handler);
  const serving = serveReplica(edge, server, options);
  t.after(() => serving.stop({ timeout: 1 }).catch(() => {}));
  return { server, serving, ws: address(server, 'ws'), url: address(server) };
}

async function arrives(from, to, key, value, init = {}) {
  const writer = from.session(init);
  await writer.set(key, value);
  const reader = to.session({ token: await writer.sealed(), timeout: DEADLINE });
  assert.deepEqual(await within(reader.get(key), `${key} from ${from.id} at ${to.id}`), value);
}

const state = async (replica, link, wanted) => link.state === wanted || next(replica, 'link', (event) => event.state === wanted);

/** A peer of raw bytes: it joins, says hello and listens to nothing more. `paused` does not even take what comes. */
async function silent(t, server, hello, { paused = false } = {}) {
  const socket = connect(server.address().port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  const key = randomBytes(16).toString('base64');
  socket.write(`GET /sync HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: edge-session.v1\r\n\r\n`);
  await within(once(socket, 'data'), 'the answer to the upgrade');
  if (paused) socket.pause();
  socket.write(frame(hello));
  return socket;
}

/** The same transport, and `heard` is told what it sends. */
function tapped(transport, heard) {
  const tap = ({ readable, writable, ...rest }) => {
    const stream = new TransformStream({ transform: (message, out) => (heard(message), out.enqueue(message)) });
    void stream.readable.pipeTo(writable).catch(() => {});
    return { readable, writable: stream.writable, ...rest };
  };
  return { kind: 'tapped', open: (hello, onPeer) => transport.open(hello, (duplex) => onPeer(tap(duplex))) };
}

/** A binary message as a client sends it, masked with zeros. */
const frame = (message) => Buffer.concat([Buffer.from([0x82, 0x80 | 126, message.length >> 8, message.length & 255, 0, 0, 0, 0]), message]);

/** What a replica says when it joins. */
const helloOf = (replica) => replica.exchange(new Uint8Array());

test('tabs join by WebSocket and by requests, and the server has other affairs', async (t) => {
  const [one, two, edge] = await openAll(t, ['one', 'two', 'edge']);
  const { url, ws, serving, server } = await served(t, edge, { path: '/sync' }, (request, response) => response.end(`other: ${request.url}`));
  one.connect(webSocket(ws, QUICK));
  two.connect(http(`${url}/below?x=1`, { every: 50 }));
  await arrives(one, two, 'a', 1);
  await arrives(two, one, 'b', 'x'.repeat(900_000));
  assert.equal(serving.connections, 1);
  assert.deepEqual(edge.inspect().links.map(({ kind, peers }) => [kind, peers]), [['server', 1]]);

  assert.equal(await (await fetch(address(server, 'http', '/other'))).text(), 'other: /other');
  assert.equal(await (await fetch(address(server, 'http', '/syncs'))).text(), 'other: /syncs');
  assert.equal((await fetch(url)).status, 426);
  assert.match(await (await fetch(url, { method: 'POST', body: 'x' })).text(), /takes WebSockets of the subprotocol edge-session\.v1/);
  const nonsense = await fetch(url, { method: 'POST', headers: { 'Content-Type': TYPE }, body: 'nonsense' });
  assert.deepEqual([nonsense.status, (await nonsense.json()).code], [400, 'MESSAGE_MALFORMED']);
});

test('a server without affairs of its own answers 404, and refuses sockets that are not of the protocol', async (t) => {
  const edge = await open(t);
  const { server, ws } = await served(t, edge);
  assert.equal((await fetch(address(server, 'http', '/'))).status, 404);
  for (const [url, protocols, status] of [[address(server, 'ws', '/else'), 'edge-session.v1', 404], [ws, 'chat', 426]]) {
    const [error] = await within(once(new WebSocket(url, protocols), 'error'), `the refusal of ${protocols}`);
    assert.equal(error.message, `Unexpected server response: ${status}`);
  }
});

test('a body that is longer than any message is refused, and not kept', async (t) => {
  const edge = await open(t);
  const { server, url } = await served(t, edge);
  const socket = connect(server.address().port, '127.0.0.1');
  t.after(() => socket.destroy());
  let [sent, answer] = [0, ''];
  socket.on('data', (data) => (answer += data));
  const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
  const megabyte = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(1 << 20), Buffer.from('\r\n')]);
  const more = () => socket.writable && ((sent += 1), socket.write(megabyte, more));
  socket.write(`POST /sync HTTP/1.1\r\nHost: x\r\nContent-Type: ${TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n`, more);
  await within(closed, 'the server hangs up');
  // Whether the answer is seen before the end is the client's luck.
  if (answer !== '') assert.match(answer, /^HTTP\/1\.1 413 [^]*"VALUE_TOO_LARGE"/);
  assert.ok(sent >= 4 && sent < 140, `${sent} MB were taken`);
  const tab = await open(t);
  tab.connect(http(url, { every: 50 }));
  await arrives(tab, edge, 'a', 1);
});

test('where there is a key, only a token that it has signed joins', async (t) => {
  const edge = await open(t, { id: 'edge', secret: SECRET });
  const { url, ws } = await served(t, edge);
  const forger = await open(t, { secret: { kid: SECRET.kid, key: new Uint8Array(32).fill(8) } });
  const good = await edge.session({ user: 'ann' }).sealed();
  const bad = [undefined, `~`, await forger.session({ user: 'ann' }).sealed(), `${good.slice(0, good.indexOf('.'))}x${good.slice(good.indexOf('.'))}`];
  for (const token of bad) {
    const tab = await open(t);
    tab.on('error', () => {});
    for (const transport of [webSocket(ws, { ...QUICK, token }), http(url, { token })]) {
      const link = tab.connect(transport);
      assert.equal((await within(rejection(link.ready), 'the refusal')).code, 'TOKEN_INVALID');
      assert.equal(link.state, 'unauthorized');
    }
    assert.equal(edge.status.peers, 0);
  }
  for (const transport of [webSocket(ws, { ...QUICK, token: good }), http(url, { every: 50, token: good })]) {
    const tab = await open(t);
    await within(tab.connect(transport).ready, 'the link');
    await arrives(edge, tab, transport.kind, 1, { user: 'ann' });
  }
});

test('authorize decides in place of the key, and is told what the key says', async (t) => {
  const edge = await open(t, { id: 'edge', secret: SECRET });
  const seen = [];
  const authorize = async ({ url, headers }, verified) => {
    seen.push([url, verified]);
    if (url.endsWith('throw')) throw new Error('the database of users is away');
    return headers.cookie === 'let=me' ? 'trusted' : headers.cookie === 'prove=it';
  };
  const { url, ws } = await served(t, edge, { authorize });
  const tab = await open(t);
  tab.on('error', () => {});
  const told = mocked(t, console, 'error', () => {});
  assert.equal((await within(rejection(tab.connect(webSocket(ws, QUICK)).ready), 'the refusal')).code, 'TOKEN_INVALID');
  const body = await helloOf(tab);
  const post = (path, headers) => fetch(url + path, { method: 'POST', headers: { 'Content-Type': TYPE, ...headers }, body });
  assert.equal((await post('', { Cookie: 'let=me' })).status, 200);
  assert.equal((await post('', { Cookie: 'prove=it' })).status, 401, 'a hello proves nothing');
  assert.equal((await post('', { 'Edge-Session': await edge.session().sealed() })).status, 401);
  const broken = await post('/throw', { Cookie: 'let=me' });
  assert.equal(broken.status, 500);
  assert.doesNotMatch(await broken.text(), /database/);
  const [error] = await within(once(new WebSocket(`${ws}/throw`, 'edge-session.v1'), 'error'), 'the refusal');
  assert.match(error.message, /500/);
  assert.equal(told.mock.callCount(), 2);
  assert.deepEqual(seen, [['/sync', false], ['/sync', false], ['/sync', false], ['/sync', true], ['/sync/throw', false], ['/sync/throw', false]]);
});

test('a peer that asks and asks and takes nothing costs bounded memory, and the others nothing', async (t) => {
  const edge = await open(t, { heartbeat: 200 });
  const { server, ws } = await served(t, edge);
  const connections = new Set();
  server.on('connection', (socket) => connections.add(socket));
  const writer = edge.session();
  for (let n = 0; n < 8; n += 1) await writer.set(`k${n}`, `${n}${'x'.repeat(900_000)}`);
  // A tab that gets it all in slices, and what it says meanwhile.
  const tab = await open(t, { heartbeat: 200 });
  const said = [];
  tab.connect(tapped(webSocket(ws, QUICK), (message) => said.push(message)));
  await arrives(edge, tab, 'beat', -1);
  const greedy = await silent(t, server, said[0], { paused: true });
  await peers(edge, 2);
  let most = 0;
  for (let n = 0; n < 20; n += 1) {
    for (const message of said.slice(0, 40)) greedy.write(frame(message));
    await arrives(edge, tab, 'beat', n);
    for (const socket of connections) most = Math.max(most, socket.writableLength);
  }
  const [{ dropped, received }] = edge.inspect().links;
  t.diagnostic(`${received} messages received, ${dropped} answers dropped, at most ${most} bytes wait`);
  assert.ok(dropped > 0, 'it came to the limit');
  assert.ok(most < 12 << 20, `${most} bytes wait for one peer`);
});

test('after the end nobody is left in doubt: peers have it all, are told to come again, and find it as it was', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'served-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const edge = await openReplica({ id: 'edge', storage: fileStorage(directory) });
  const { server, serving, ws, url } = await served(t, edge, {}, (_, response) => response.end('still here'));
  const { port } = server.address();
  const [tab, poller] = await openAll(t, ['tab', 'poller']);
  const codes = [];
  class Watched extends WebSocket {
    constructor(...args) {
      super(...args);
      this.on('close', (code, reason) => codes.push([code, String(reason)]));
    }
  }
  const link = tab.connect(webSocket(ws, { ...QUICK, WebSocket: Watched }));
  const polling = poller.connect(http(url, { every: 20, maxDelay: 50 }));
  await arrives(poller, tab, 'a', 1);

  const retrying = [state(tab, link, 'retrying'), state(poller, polling, 'retrying')];
  // More than goes in one message.
  const last = edge.session();
  const writing = Promise.all([1, 2, 3].map((n) => last.set(`last${n}`, `${n}${'x'.repeat(900_000)}`)));
  const stopping = serving.stop();
  assert.equal(serving.stop(), stopping);
  await within(stopping, 'the end');
  await writing;
  assert.equal((await tab.session().get('last3'))?.length, 900_001);
  assert.equal(serving.connections, 0);
  await within(Promise.all(retrying), 'the links to notice');
  assert.deepEqual(codes[0], [1001, 'this replica stops']);
  assert.equal(thrown(() => edge.session()).code, 'REPLICA_CLOSED');
  assert.equal(await (await fetch(url)).text(), 'still here', 'its path is the server’s own again');

  await tab.session().set('meanwhile', 2);
  server.close();
  server.closeAllConnections();
  const again = await open(t, { storage: fileStorage(directory) });
  assert.equal(again.id, edge.id);
  assert.equal((await again.session().get('last3'))?.length, 900_001);
  const next = await listening(t, port);
  serveReplica(again, next);
  await within(link.ready, 'the link comes back');
  const reader = poller.session({ token: await tab.session().sealed(), timeout: DEADLINE });
  await arrives(tab, poller, 'b', 3);
  assert.equal(await reader.get('meanwhile'), 2);
});

test('peers that do not answer, and requests that do not end, do not hold up the end', async (t) => {
  const edge = await openReplica();
  const { server, serving } = await served(t, edge);
  const socket = await silent(t, server, await helloOf(await open(t)));
  await peers(edge, 1);
  const request = connect(server.address().port, '127.0.0.1');
  t.after(() => request.destroy());
  request.on('error', () => {});
  const arrived = once(server, 'request');
  request.write(`POST /sync HTTP/1.1\r\nHost: x\r\nContent-Type: ${TYPE}\r\nContent-Length: 100\r\n\r\nbegun`);
  await within(arrived, 'the request');
  await edge.session().set('a', 1); // to be handed to a peer that never says that it has it
  socket.resume();
  const gone = once(socket, 'close');
  await within(serving.stop({ timeout: 300 }), 'the end');
  await within(gone, 'the silent one is let go of');
  assert.equal(thrown(() => edge.session()).code, 'REPLICA_CLOSED');
});

test('where what was written cannot be stored, the end says so, and is the end all the same', async (t) => {
  const storage = { kind: 'full', lock: async () => () => {}, load: async () => ({ snapshot: null, records: [] }), append: async () => Promise.reject(new Error('full')), compact: async () => Promise.reject(new Error('full')) };
  const edge = await openReplica({ storage });
  edge.on('error', () => {});
  const { serving } = await served(t, edge);
  edge.session().sync.set('a', 1);
  assert.equal((await within(rejection(serving.stop({ timeout: 100 })), 'the end')).code, 'TIMEOUT');
  assert.equal(thrown(() => edge.session()).code, 'REPLICA_CLOSED');
});

test('a replica that is closed closes its sockets, and lets nobody in', async (t) => {
  const edge = await openReplica();
  const { url, ws } = await served(t, edge);
  const tab = await open(t);
  const link = tab.connect(webSocket(ws, QUICK));
  await within(link.ready, 'the link');
  const lost = state(tab, link, 'retrying');
  await edge.close();
  await within(lost, 'the link to notice');
  const answer = await fetch(url, { method: 'POST', headers: { 'Content-Type': TYPE } });
  assert.deepEqual([answer.status, (await answer.json()).code], [503, 'REPLICA_CLOSED']);
  const [error] = await within(once(new WebSocket(ws, 'edge-session.v1'), 'error'), 'the refusal');
  assert.match(error.message, /503/);
  assert.equal(link.state, 'retrying');
});

test('arguments of the wrong form are refused', async (t) => {
  const edge = await open(t);
  const server = await listening(t);
  for (const call of [() => serveReplica(edge, {}), () => serveReplica(edge, server, { path: 'sync' }), () => serveReplica(edge, server, { authorize: true })]) {
    assert.equal(thrown(call).code, 'ARGUMENT_INVALID');
  }
  const closed = await openReplica();
  await closed.close();
  assert.equal(thrown(() => serveReplica(closed, server)).code, 'REPLICA_CLOSED');
});

test('a session has so many sockets; one more is told to come later, does so with pauses, and is let in when there is room', async (t) => {
  const edge = await open(t, { id: 'edge', secret: SECRET, limits: { clientLinks: 2 } });
  edge.on('error', () => {});
  const { server, ws } = await served(t, edge);
  const attempts = [];
  server.on('upgrade', () => attempts.push(performance.now()));
  const { token } = edge.session({ user: 'ann' });
  const join = async () => {
    const tab = await open(t);
    return { tab, link: tab.connect(webSocket(ws, { WebSocket, token, maxDelay: 400 })) };
  };
  const [first, second] = [await join(), await join()];
  await within(Promise.all([first.link.ready, second.link.ready]), 'two links');
  const third = await join();
  await within(state(third.tab, third.link, 'retrying'), 'the refusal');
  assert.equal(third.link.error.code, 'RATE_LIMITED');
  // It does not storm: no pause is shorter than half of the longest.
  const begun = attempts.length;
  const more = async () => {
    while (attempts.length < begun + 4) await once(server, 'upgrade');
  };
  await within(more(), 'four more attempts');
  const gaps = attempts.slice(begun + 1).map((at, n) => at - attempts[begun + n]);
  assert.ok(Math.min(...gaps) > 150, `pauses of ${gaps.map(Math.round)} ms`);
  assert.notEqual(third.link.state, 'open');
  first.link.close();
  await within(third.link.ready, 'the link, when there is room');
});
