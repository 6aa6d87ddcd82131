// Edges that share a secret join each other without tokens: each proves to the other that it has it. Over real sockets and requests.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { http, webSocket } from 'edge-session';
import { WebSocket, WebSocketServer } from 'ws';
import { serveAt } from './serving.mjs';
import { DEADLINE, SECRET, next, open, rejection, within } from './support.mjs';

const QUICK = { WebSocket, maxDelay: 50 };
const OTHER = { kid: SECRET.kid, key: new Uint8Array(32).fill(8) };
const TYPE = 'application/vnd.edge-session';

async function edgeAt(t, id, { secret = SECRET, ...options } = {}) {
  const replica = await open(t, { id, secret });
  replica.on('error', () => {}); // Whom it sends away is told here.
  return { replica, ...(await serveAt(t, replica, options)) };
}

async function arrives(from, to, key, value) {
  const writer = from.session();
  await writer.set(key, value);
  const reader = to.session({ token: await writer.sealed(), timeout: DEADLINE });
  assert.deepEqual(await within(reader.get(key), `${key} from ${from.id} at ${to.id}`), value);
}

const state = async (replica, link, wanted) => link.state === wanted || next(replica, 'link', (event) => event.state === wanted);

test('with the same secret edges join by sockets and by requests, and believe each other', async (t) => {
  for (const transport of [({ ws }) => webSocket(ws, QUICK), ({ url }) => http(url, { every: 50 })]) {
    const [tokyo, paris] = [await edgeAt(t, 'tokyo'), await edgeAt(t, 'paris')];
    const writer = tokyo.replica.session();
    await writer.set('before', 'x'.repeat(900_000));
    const link = paris.replica.connect(transport(tokyo));
    await within(link.ready, 'the link');
    await arrives(tokyo.replica, paris.replica, 'a', 1);
    await arrives(paris.replica, tokyo.replica, 'b', 2);
    assert.equal((await paris.replica.session().get('before')).length, 900_000);
    // Nobody judges what an edge passes on: a third one's writes come through it.
    const rome = await edgeAt(t, 'rome');
    rome.replica.connect(transport(paris));
    await arrives(rome.replica, tokyo.replica, 'c', 3);
  }
});

test('with another secret nothing is said, and the link opens by itself once it is the same', async (t) => {
  for (const transport of [({ ws }) => webSocket(ws, QUICK), ({ url }) => http(url, { every: 50, maxDelay: 50 })]) {
    const stranger = await edgeAt(t, 'stranger', { secret: OTHER });
    const paris = await open(t, { id: 'paris', secret: SECRET });
    paris.on('error', () => {});
    for (const edge of [stranger.replica, paris]) await edge.session().set(`of ${edge.id}`, 'mine');
    const link = paris.connect(transport(stranger));
    await within(state(paris, link, 'unauthorized'), 'the refusal');
    assert.equal(link.error.code, 'TOKEN_INVALID');
    assert.deepEqual(paris.inspect().vectors.default, { [paris.id]: 1 });
    assert.deepEqual(stranger.replica.inspect().vectors.default, { [stranger.replica.id]: 1 });
    assert.deepEqual([paris.status.peers, stranger.replica.status.peers], [0, 0]);
    await stranger.stop();
    const tokyo = await edgeAt(t, 'tokyo', { port: stranger.port });
    await arrives(paris, tokyo.replica, 'a', 1);
    assert.equal(link.state, 'open');
  }
});

test('a tab without a token is sent away, and what it says is not heard', async (t) => {
  const edge = await edgeAt(t, 'edge');
  await edge.replica.session().set('a', 1);
  for (const transport of [webSocket(edge.ws, QUICK), http(edge.url, { every: 50 })]) {
    const tab = await open(t, { id: 'tab' });
    tab.on('error', () => {});
    await tab.session().set('mine', 1);
    const link = tab.connect(transport);
    assert.equal((await within(rejection(link.ready), 'the refusal')).code, 'TOKEN_INVALID');
    assert.equal(link.state, 'unauthorized');
    assert.equal(tab.inspect().vectors.default[edge.replica.id], undefined);
  }
  assert.deepEqual(Object.keys(edge.replica.inspect().vectors.default), [edge.replica.id]);
});

test('a fake edge hears nothing but challenges, whatever it says', async (t) => {
  const heard = [];
  const fake = await open(t, { id: 'fake' });
  await fake.session().set('forged', 'words');
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'edge-session.v1' });
  await once(server, 'listening');
  t.after(() => server.close());
  server.on('connection', async (socket) => {
    // All that it has, unasked, and the answer of a replica without a secret to whatever it hears.
    socket.send(await fake.exchange(new Uint8Array()));
    socket.on('message', async (message) => {
      heard.push(message);
      const reply = await fake.exchange(new Uint8Array(message));
      if (socket.readyState === WebSocket.OPEN) socket.send(reply);
    });
  });
  const paris = await open(t, { id: 'paris', secret: SECRET });
  paris.on('error', () => {});
  await paris.session().set('a-key-of-paris', 'a-value-of-paris');
  const link = paris.connect(webSocket(`ws://127.0.0.1:${server.address().port}`, QUICK));
  await within(state(paris, link, 'unauthorized'), 'the end of it');
  await paris.session().set('another-key-of-paris', 2);
  assert.equal(await paris.session().get('forged'), undefined);
  assert.deepEqual(Object.keys(paris.inspect().vectors.default), [paris.id]);
  for (const message of heard) {
    assert.ok(message.byteLength < 60, `${message.byteLength} bytes`);
    assert.ok(!message.includes('key-of'));
  }
});

test('requests that were overheard bring nothing when they are sent again', async (t) => {
  const tokyo = await edgeAt(t, 'tokyo');
  await tokyo.replica.session().set('a-key', 'a-value');
  const overheard = [];
  const listens = (url, init) => (overheard.push(init.body), fetch(url, init));
  const paris = await open(t, { id: 'paris', secret: SECRET });
  paris.connect(http(tokyo.url, { every: 50, fetch: listens }));
  await arrives(tokyo.replica, paris, 'b', 1);
  await arrives(paris, tokyo.replica, 'c', 1);
  await paris.close();
  await tokyo.replica.session().set('a-later-key', 'a-later-value');
  const before = tokyo.replica.inspect().vectors;
  for (const body of [...overheard, ...overheard.toReversed()]) {
    const response = await fetch(tokyo.url, { method: 'POST', headers: { 'Content-Type': TYPE }, body });
    assert.equal(response.status, 200);
    const answer = Buffer.from(await response.arrayBuffer());
    assert.ok(answer.byteLength < 200 && !answer.includes('key'), answer.toString('latin1'));
  }
  assert.deepEqual(tokyo.replica.inspect().vectors, before);
});

test('whom the server vouches for needs no secret, and who has one sees its proof all the same', async (t) => {
  const authorize = ({ url }, verified) => (url.endsWith('friend') ? 'trusted' : verified);
  const edge = await edgeAt(t, 'edge', { authorize });
  const [friend, paris] = [await open(t, { id: 'friend' }), await open(t, { id: 'paris', secret: SECRET })];
  await within(friend.connect(webSocket(`${edge.ws}/friend`, QUICK)).ready, 'the link of the friend');
  await within(paris.connect(webSocket(`${edge.ws}/friend`, QUICK)).ready, 'the link of paris');
  await arrives(friend, edge.replica, 'a', 1);
  await arrives(paris, edge.replica, 'b', 1);
  await arrives(edge.replica, paris, 'c', 1);
  await arrives(edge.replica, friend, 'd', 1);
  const other = await open(t, { id: 'other' });
  other.on('error', () => {});
  assert.equal((await within(rejection(other.connect(webSocket(edge.ws, QUICK)).ready), 'the refusal')).code, 'TOKEN_INVALID');
});

test('exchange takes what proves itself, and nothing else, where it is told so', async (t) => {
  const edge = await open(t, { id: 'edge', secret: SECRET });
  const tab = await open(t, { id: 'tab' });
  const hello = await tab.exchange(new Uint8Array());
  assert.equal((await rejection(edge.exchange(hello, { proof: true }))).code, 'TOKEN_INVALID');
  assert.equal((await rejection(edge.exchange(new Uint8Array(), { proof: true }))).code, 'TOKEN_INVALID');
  assert.equal((await rejection(edge.exchange(hello, { proof: 'yes' }))).code, 'ARGUMENT_INVALID');
  assert.ok((await edge.exchange(hello)).byteLength > 0, 'the host vouches for what it hands over');
  assert.ok((await tab.exchange(hello.slice(), { proof: true })).byteLength > 0, 'without a secret nobody is asked');
});
