// A client that lies about bytes, to an object in the real workerd: the object lives, others are served, memory stays.
//
// The flood lasts some seconds; HOSTILE_SECONDS=60 makes it the minute that is promised.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { cut, random, speech } from '../js/hostile.mjs';
import { open, ticket } from './client.mjs';
import { Workerd, within } from './support.mjs';

const SECONDS = Number(process.env.HOSTILE_SECONDS ?? 6);
// Ten times what one client may send: 100 messages and 1 MiB a second, every other message being long.
const MESSAGES = 1_000;
const LONG = (4 * (10 << 20)) / MESSAGES;
const GROWTH = 32 << 20;
const PATIENTLY = 900;

const mallorys = ({ vectors }) => Object.entries(vectors.default).filter(([id]) => id.startsWith('mallory~'));
const speak = (edge, token) => speech(`${edge.url.replace('http', 'ws')}/sync?name=one`, token);

/** One connection of the attacker's, which takes no notice of what it is told. */
async function attack(t, edge, token) {
  const socket = open(edge, 'one', token);
  t.after(() => socket.terminate());
  socket.on('error', () => {});
  await within(once(socket, 'open'), 'the attacker to be let in');
  return socket;
}

/** A request of somebody else; it comes after what was sent before it, and is answered as ever. */
async function served(edge, n) {
  const { answers } = await edge.json('/do', { user: 'ann', steps: [['set', 'honest', n], ['get', 'honest']] });
  assert.deepEqual(answers.slice(1), [n, 'ann']);
}

/** Resolves when the object has taken everything that was sent over a socket, and listens to it again: it answers a hello. */
async function taken(socket, hello) {
  const answer = Promise.race([once(socket, 'message'), once(socket, 'close')]);
  const ask = () => socket.readyState === socket.OPEN && socket.send(hello);
  // One that has sent more than it may is not listened to for a while.
  const again = setInterval(ask, 200);
  ask();
  try {
    if (socket.readyState === socket.OPEN) await within(answer, 'the object to take what was sent');
  } finally {
    clearInterval(again);
  }
}

/** Sends messages over as many connections as it takes: what exceeds the rate of one is not even read. */
async function attackWith(t, edge, token, hello, messages) {
  for (let at = 0; at < messages.length; at += PATIENTLY) {
    const socket = await attack(t, edge, token);
    for (const message of messages.slice(at, at + PATIENTLY)) socket.send(message);
    await taken(socket, hello);
    socket.terminate();
  }
}

test('messages that are cut, changed, made up or sent again do not hurt an object', async (t) => {
  const edge = await Workerd.start(t, './worker.mjs', { EDGE: 'Edge' });
  const token = await ticket(edge);
  const [pick, said] = [random(5), await speak(edge, token)];
  const before = await edge.json('/inspect');
  assert.equal(mallorys(before)[0][1], 12);
  await attackWith(t, edge, token, said[0], [...cut(said), ...Array.from({ length: 1_000 }, () => said[pick(said.length)])]);
  assert.deepEqual(mallorys(await edge.json('/inspect')), mallorys(before));
  await served(edge, 1);

  const lies = Array.from({ length: 2_000 }, (_, n) => {
    const message = n % 4 === 0 ? Uint8Array.from({ length: pick(200) }, () => pick(256)) : said[pick(said.length)].slice();
    if (n % 4 !== 0) message[pick(message.length)] ^= 1 << pick(8);
    return message;
  });
  await attackWith(t, edge, token, said[0], lies);
  await served(edge, 2);
  const after = await edge.json('/inspect');
  assert.deepEqual([after.id, after.constructions], [before.id, before.constructions], 'the object was not thrown away');
});

test('a flood at ten times the limit takes no memory and keeps nobody out of an object', { timeout: (10 * SECONDS + 300) * 1000 }, async (t) => {
  const edge = await Workerd.start(t, './worker.mjs', { EDGE: 'Edge' });
  const token = await ticket(edge);
  const [said, pick] = [await speak(edge, token), random(9)];
  const socket = await attack(t, edge, token);
  const noise = Uint8Array.from({ length: 1 << 16 }, () => pick(256));
  const make = (n) => (n % 2 ? noise.subarray(pick(1 << 15)).subarray(0, 100 + pick(LONG)) : said[pick(said.length)]);
  // Each message and request is garbage afterwards, whoever sent it, and V8 collects that when it likes. In a flood of seconds it is
  // collected before each look, so that what is held counts. In the minute that is promised nothing is collected by hand: there honest
  // requests come first, until the garbage of honest traffic makes the process no larger.
  const look = SECONDS < 60 ? async () => (await edge.json('/collect')) && edge.memory() : () => edge.memory();
  if (SECONDS < 60) for (let n = 0; n < 50; n += 1) await served(edge, n);
  else await levels(edge);
  const before = await look();
  let [sent, most] = [0, 0];
  const began = Date.now();
  for (let n = 0; sent < SECONDS * MESSAGES; n += 1) {
    // So many as are due by now, until all are sent; an object that does not keep up is waited for, by the socket's own queue.
    const due = Math.min(SECONDS * MESSAGES, ((Date.now() - began) / 1000) * MESSAGES);
    for (; sent < due && socket.bufferedAmount < 1 << 20; sent += 1) socket.send(make(sent));
    if (n % 10 === 0) await served(edge, n);
    if (n % 10 === 0) most = Math.max(most, await look());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await taken(socket, said[0]);
  const growth = Math.max(most, await look()) - before;
  t.diagnostic(`${sent} messages in ${((Date.now() - began) / 1000).toFixed(1)} s, memory ${(growth / 2 ** 20).toFixed(1)} MB more at the most than the ${(before / 2 ** 20).toFixed(0)} MB before`);
  assert.ok(growth <= GROWTH, `memory grew by ${growth} bytes`);
  await served(edge, 1);
});

/** Sends honest requests until a thousand of them make the process no larger than the thousand before. */
async function levels(edge) {
  for (let [most, n] = [0, 0]; ; n += 1) {
    await served(edge, n);
    if (n % 1_000 !== 0) continue;
    const now = await edge.memory();
    if (n > 2_000 && now < most + (1 << 20)) return;
    most = Math.max(most, now);
  }
}
