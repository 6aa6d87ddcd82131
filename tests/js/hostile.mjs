// What the tests of hostile clients share: an edge in a process of its own, an honest user, and an attacker who speaks to its socket as
// they like. The attacker has a token that the edge has signed: strangers do not come so far.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { openReplica, webSocket } from 'edge-session';
import { WebSocket } from 'ws';
import { DEADLINE, next, within } from './support.mjs';

// Fewer than a client may send at once, which is ten seconds' worth of a hundred.
const PATIENTLY = 900;

// The allocator of Linux gives back what is free, as it does not by itself: what is measured is what is held.
const FRUGAL = { MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_ARENA_MAX: '2' };

/** An edge in a process of its own. */
export async function startEdge(t, directory = '') {
  const child = fork(fileURLToPath(new URL('hostile-child.mjs', import.meta.url)), [directory], { env: { ...process.env, ...FRUGAL } });
  t.after(() => child.kill('SIGKILL'));
  const [{ port }] = await within(once(child, 'message'), 'the edge to listen');
  let calls = 0;
  const ask = (command, argument) => {
    const id = (calls += 1);
    const answer = new Promise((resolve) => {
      const hear = (message) => {
        if (message.id !== id) return;
        child.off('message', hear);
        resolve(message.answer);
      };
      child.on('message', hear);
    });
    child.send({ id, command, argument });
    return within(answer, command);
  };
  return { url: `ws://127.0.0.1:${port}/sync`, http: `http://127.0.0.1:${port}/sync`, ask, alive: () => child.exitCode === null && child.signalCode === null };
}

/** An honest user, whose replica is linked to the edge, who has written `keys`, and who notices when it does not serve them. */
export async function startHonest(t, edge, ...keys) {
  const token = await edge.ask('ticket', { user: 'ann' });
  const replica = await openReplica({ id: 'honest', connect: webSocket(edge.url, { token, WebSocket, maxDelay: 100 }) });
  t.after(() => replica.close());
  if (replica.status.peers === 0) await next(replica, 'status', ({ peers }) => peers === 1);
  const session = replica.session();
  for (const key of keys) await session.set(key, 'honest');
  let written = keys.length;
  await replica.synced({ timeout: DEADLINE });
  return {
    replica,
    /** Writes, and waits until the edge has made it its own. */
    async served() {
      written += 1;
      await session.set('honest', written);
      await replica.synced({ timeout: DEADLINE });
      return written;
    },
  };
}

/** One connection of the attacker's. */
export async function attack(t, edge, token) {
  const socket = new WebSocket(edge.url, ['edge-session.v1', `token.${token}`], { perMessageDeflate: false });
  t.after(() => socket.terminate());
  socket.on('error', () => {});
  const heard = [];
  socket.on('message', (data) => heard.push(new Uint8Array(data)));
  let code;
  let heed = () => {};
  socket.on('pong', () => heed());
  socket.on('close', (closed) => {
    code = closed;
    heed();
  });
  await within(once(socket, 'open'), 'the attacker to be let in');
  return {
    socket,
    heard,
    get closed() {
      return code;
    },
    send: (message) => socket.readyState === WebSocket.OPEN && socket.send(message),
    /** Resolves when the edge has taken everything: by the answer to a ping, which comes in order. */
    async taken() {
      if (socket.readyState !== WebSocket.OPEN) return;
      const answered = new Promise((resolve) => (heed = resolve));
      socket.ping();
      await within(answered, 'the edge to take what was sent');
    },
  };
}

/** Sends messages over as many connections as it takes: what exceeds the rate of one is not even read. */
export async function attackWith(t, edge, token, messages, connections = []) {
  for (let at = 0; at < messages.length; at += PATIENTLY) {
    const connection = await attack(t, edge, token);
    for (const message of messages.slice(at, at + PATIENTLY)) connection.send(message);
    connections.push(connection);
  }
  for (const connection of connections) await connection.taken();
}

/** Every message that is cut, at any place. */
export const cut = (messages) => messages.flatMap((message) => Array.from(message, (_, end) => message.subarray(0, end)));

/** What a client has really said to the edge at `url`, where it has proved its id and written. */
export async function speech(url, token) {
  const said = [];
  class Recorder extends WebSocket {
    send(message) {
      said.push(Uint8Array.from(message));
      super.send(message);
    }
  }
  const mallory = await openReplica({ id: 'mallory', connect: webSocket(url, { token, WebSocket: Recorder, maxDelay: 100 }) });
  const session = mallory.session();
  for (let n = 0; n < 12; n += 1) {
    await session.batch((tx) => tx.set(`mallory:${n}`, 'x'.repeat(n * 40)).set('shared', n));
    await mallory.synced({ timeout: DEADLINE });
  }
  await mallory.close();
  return said;
}

/** Numbers that look random and are the same in each run. */
export function random(seed = 1) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Asserts that the edge lives, and that nothing has become its own but what an honest user wrote, and what the attacker may write. */
export async function unharmed(edge, honest, expected = (id) => id.startsWith('mallory~')) {
  assert.ok(edge.alive());
  const written = await honest.served();
  const { vectors, crashes } = await edge.ask('state');
  assert.equal(crashes, 0);
  for (const [id, sequence] of Object.entries(vectors.default)) {
    if (id === honest.replica.id) assert.equal(sequence, written);
    else assert.ok(expected(id, sequence), `the edge has taken ${id}:${sequence}`);
  }
}
