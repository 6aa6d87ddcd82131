// A client that lies about bytes: cut, changed, made up, too long, too many, again and again; over real WebSockets, to an edge in a
// process of its own. The honest user beside it is served all the while, and the edge's memory stays what it was.
//
// The flood lasts some seconds; HOSTILE_SECONDS=60 makes it the minute that is promised.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { DEADLINE, within } from './support.mjs';
import { attack, attackWith, cut, random, speech, startEdge, startHonest, unharmed } from './hostile.mjs';

const SECONDS = Number(process.env.HOSTILE_SECONDS ?? 6);
// Ten times what one client may send: 100 messages and 1 MiB a second.
const MESSAGES = 1_000;
const BYTES = 10 << 20;
const GROWTH = 32 << 20;
const LONGEST = new Uint8Array(4 << 20).fill(0x81);

const mallorys = ({ vectors }) => Object.entries(vectors.default).filter(([id]) => id.startsWith('mallory~'));

test('messages that are cut at any place change nothing', async (t) => {
  const edge = await startEdge(t);
  const honest = await startHonest(t, edge);
  const token = await edge.ask('ticket', { user: 'mallory' });
  const said = await speech(edge.url, token);
  const before = await edge.ask('state');
  assert.equal(mallorys(before)[0][1], 12);
  await attackWith(t, edge, token, cut(said));
  const after = await edge.ask('state');
  assert.ok(after.errors.MESSAGE_MALFORMED > 0);
  assert.deepEqual([mallorys(after), after.keys], [mallorys(before), before.keys]);
  await unharmed(edge, honest);
});

test('messages that are changed or made up do not hurt, whatever they happen to say', async (t) => {
  const edge = await startEdge(t);
  const honest = await startHonest(t, edge);
  const token = await edge.ask('ticket', { user: 'mallory' });
  const [pick, said] = [random(7), await speech(edge.url, token)];
  const lies = Array.from({ length: 4_000 }, (_, n) => {
    const message = n % 4 === 0 ? Uint8Array.from({ length: pick(200) }, () => pick(256)) : said[pick(said.length)].slice();
    for (let changes = 1 + pick(4); n % 4 !== 0 && changes > 0; changes -= 1) message[pick(message.length)] ^= 1 << pick(8);
    return message;
  });
  await attackWith(t, edge, token, ['text, which is no message', ...lies]);
  await unharmed(edge, honest);
});

test('messages that are sent again, later, out of order and by another connection are as if they had come once', async (t) => {
  const edge = await startEdge(t);
  const honest = await startHonest(t, edge);
  const token = await edge.ask('ticket', { user: 'mallory' });
  const [said, pick] = [await speech(edge.url, token), random(3)];
  const before = await edge.ask('state');
  assert.equal(mallorys(before)[0][1], 12);
  await attackWith(t, edge, token, [...said, ...Array.from({ length: 3_000 }, () => said[pick(said.length)])]);
  const after = await edge.ask('state');
  assert.deepEqual([mallorys(after), after.keys], [mallorys(before), before.keys]);
  await unharmed(edge, honest);
});

test('a message that is longer than any is not read to its end', async (t) => {
  const edge = await startEdge(t);
  const honest = await startHonest(t, edge);
  const token = await edge.ask('ticket', { user: 'mallory' });
  const tooLong = new Uint8Array(80 << 20);

  /** One that says its length, one that comes in pieces without end, and the body of a request. */
  const attackWithAll = async () => {
    const [whole, pieces] = [await attack(t, edge, token), await attack(t, edge, token)];
    whole.send(tooLong);
    for (let n = 0; n < 80 && pieces.closed === undefined; n += 1) {
      await new Promise((resolve) => pieces.socket.send(tooLong.subarray(0, 1 << 20), { fin: false }, resolve));
    }
    for (const { socket } of [whole, pieces]) {
      if (socket.readyState !== WebSocket.CLOSED) await within(once(socket, 'close'), 'the edge to hang up');
    }
    const headers = { 'Content-Type': 'application/vnd.edge-session', 'Edge-Session': token };
    const response = await fetch(edge.http, { method: 'POST', headers, body: tooLong }).catch((error) => error.cause);
    // Whether the answer is seen before the end is the client's luck.
    assert.ok(response.status === undefined || response.status === 413, `answered with ${response.status}`);
    await honest.served();
  };
  await attackWithAll();
  await edge.ask('memory');
  const before = (await edge.ask('memory')).now;
  let most = 0;
  for (let n = 0; n < 3; n += 1) {
    await attackWithAll();
    most = Math.max(most, (await edge.ask('memory')).most);
  }
  t.diagnostic(`memory ${((most - before) / 2 ** 20).toFixed(1)} MB more at the most`);
  // Less than one of the three was held at any time.
  assert.ok(most - before < tooLong.byteLength * 0.75, `memory grew by ${most - before} bytes`);
  await unharmed(edge, honest);
});

test('strangers, and connections that say nothing, cost little and keep nobody out', async (t) => {
  const edge = await startEdge(t);
  const honest = await startHonest(t, edge);
  const { port } = new URL(edge.url);
  const token = await edge.ask('ticket', { user: 'mallory' });
  const before = (await edge.ask('memory')).now;
  for (let round = 0; round < 5; round += 1) {
    const sockets = Array.from({ length: 60 }, (_, n) => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.on('error', () => {});
      // Nothing; half of a request; a whole one with a forged token.
      if (n % 3 === 1) socket.write('GET /sync HTTP/1.1\r\nHost: x\r\n');
      if (n % 3 === 2) socket.write(`GET /sync HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: edge-session.v1, token.${token.replace(/^.{40}/, 'A'.repeat(40))}\r\n\r\n`);
      return socket;
    });
    await Promise.all(sockets.filter((_, n) => n % 3 === 2).map((socket) => within(once(socket, 'data'), 'an answer to a stranger')));
    await honest.served();
    for (const socket of sockets) socket.destroy();
  }
  await unharmed(edge, honest);
  const { now } = await edge.ask('memory');
  assert.ok(now - before < GROWTH, `${now - before} bytes more`);
});

const floods = {
  garbage: (pick) => Uint8Array.from({ length: 100 + pick(1_000) }, () => pick(256)),
  'long garbage': () => new Uint8Array(BYTES / MESSAGES).fill(0x81),
  // As long as they may be, and few: the bytes are ten times the limit.
  'the longest garbage': (_pick, _said, n) => (n % 400 === 0 ? LONGEST : new Uint8Array()),
  'real messages, over and over': (pick, said) => said[pick(said.length)],
  'real messages, each changed': (pick, said) => {
    const message = said[pick(said.length)].slice();
    message[pick(message.length)] ^= 1 << pick(8);
    return message;
  },
};

for (const [what, make] of Object.entries(floods)) {
  test(`a flood at ten times the limit takes no memory and keeps nobody out: ${what}`, { timeout: (10 * SECONDS + 60) * 1000 }, async (t) => {
    const edge = await startEdge(t);
    const honest = await startHonest(t, edge);
    const token = await edge.ask('ticket', { user: 'mallory' });
    const [said, pick] = [await speech(edge.url, token), random(11)];
    const mallory = await attack(t, edge, token);
    // What the process needs for honest traffic it has before.
    for (let n = 0; n < 50; n += 1) await honest.served();
    await edge.ask('memory');
    const before = await edge.ask('memory');

    // So many as are due by now, until all are sent; an edge that does not keep up is waited for, by the socket's own queue.
    let sent = 0;
    const began = Date.now();
    while (sent < SECONDS * MESSAGES) {
      const due = Math.min(SECONDS * MESSAGES, ((Date.now() - began) / 1000) * MESSAGES);
      for (; sent < due && mallory.socket.bufferedAmount < BYTES; sent += 1) mallory.send(make(pick, said, sent));
      if (sent % 5 === 0) await honest.served();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await mallory.taken();
    const { most, wasm } = await edge.ask('memory');
    const [process, module] = [most - before.now, wasm - before.wasm];
    t.diagnostic(`${sent} messages in ${((Date.now() - began) / 1000).toFixed(1)} s, memory ${(process / 2 ** 20).toFixed(1)} MB more at the most, of wasm ${(module / 2 ** 20).toFixed(1)}`);
    assert.equal(mallory.closed, undefined);
    assert.ok(process <= GROWTH, `memory grew by ${process} bytes`);
    // Pages that nobody has touched yet are not seen from outside, and count in places that bound a worker's memory.
    assert.ok(module <= GROWTH, `the module's memory grew by ${module} bytes`);
    await unharmed(edge, honest);
  });
}
