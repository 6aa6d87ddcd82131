// Synchronisation: by round trips over anything, over a pair in one process, over a channel among many. What is lost, doubled or
// late costs time and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { channel, pair } from 'edge-session';
import { DEADLINE, TestStorage, converge, next, open, openAll, peers, pull, rejection, within } from './support.mjs';

const NOTHING = new Uint8Array();
let channels = 0;
const channelName = () => `test ${process.pid} ${(channels += 1)}`;

/** What a session at `from` has written is read by it at `to`: waits as long as the transport needs. */
async function arrives(from, to, key, value) {
  const writer = from.session();
  await writer.set(key, value);
  const reader = to.session({ token: await writer.sealed(), timeout: DEADLINE });
  assert.deepEqual(await within(reader.get(key), `${key} from ${from.id} at ${to.id}`), value);
}

test('three messages bring a replica up to date', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  await tokyo.session().set('cart', ['book']);
  await paris.exchange(await tokyo.exchange(await paris.exchange(NOTHING)));
  assert.deepEqual(await paris.session().get('cart'), ['book']);
});

test('messages that are lost, doubled or overtaken are harmless', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const log = [];
  for (let n = 1; n <= 20; n += 1) {
    await tokyo.session().set('n', n);
    await paris.session().set(`own ${n}`, n);
    const hello = await paris.exchange(NOTHING);
    const reply = await tokyo.exchange(hello);
    log.push(reply, await paris.exchange(reply));
    if (n % 3 === 0) continue; // what came of it is lost
    await tokyo.exchange(log.at(-1));
    await paris.exchange(reply);
    await paris.exchange(log[(n * 7) % log.length]).catch(() => {});
    await tokyo.exchange(log[(n * 5) % log.length]).catch(() => {});
  }
  await converge(tokyo, paris);
  for (const replica of [tokyo, paris]) {
    assert.equal(await replica.session().get('n'), 20);
    assert.equal(replica.session().sync.list({ prefix: 'own' }).length, 20);
    assert.deepEqual(replica.session().conflicts('n').length, 1);
  }
  assert.deepEqual(tokyo.inspect().vectors, paris.inspect().vectors);
});

test('bytes that are no message are refused, and nothing is taken from them', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  await tokyo.session().set('a', 1);
  const reply = await tokyo.exchange(await paris.exchange(NOTHING));
  for (let at = 0; at < reply.length; at += 7) {
    const error = await rejection(paris.exchange(reply.slice(0, at || 1)));
    assert.ok(['MESSAGE_MALFORMED', 'PROTOCOL_MISMATCH'].includes(error.code), error.code);
  }
  assert.deepEqual(paris.inspect().vectors, {});
  await paris.exchange(reply);
  assert.equal(await paris.session().get('a'), 1);
});

test('many large values come over in slices', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const session = tokyo.session();
  for (let n = 0; n < 40; n += 1) session.sync.set(`big ${n}`, `${n} `.repeat(10_000));
  await pull(paris, tokyo);
  const there = paris.session();
  for (let n = 0; n < 40; n += 1) assert.equal(await there.get(`big ${n}`), `${n} `.repeat(10_000));
});

// Who sends a message on may hand over its memory, and sends nothing else by that.
test('a long message and a snapshot are arrays of bytes alone in their memory', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const session = tokyo.session();
  for (let n = 0; n < 2_000; n += 1) session.sync.set(`key ${n}`, `${n} `.padEnd(64, '.'));
  for (const bytes of [await tokyo.exchange(await paris.exchange(NOTHING)), await tokyo.snapshot()]) {
    assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype);
    assert(bytes.length > 64_000 && bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.length);
  }
});

test('a pair brings writes both ways, and waits end when they arrive', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [left, right] = pair();
  const first = tokyo.connect(left);
  assert.equal(first.state, 'connecting');
  await first.ready;
  assert.equal(first.state, 'open', 'the transport is; a peer comes later');
  assert.equal(tokyo.status.online, false);
  paris.connect(right);
  await Promise.all([peers(tokyo, 1), peers(paris, 1)]);
  assert.equal(tokyo.status.online, true);
  await arrives(tokyo, paris, 'a', 1);
  await arrives(paris, tokyo, 'b', { n: 2 });
  const [peer] = tokyo.inspect().peers;
  assert.equal(peer.replica, paris.id);
  const [link] = tokyo.inspect().links;
  assert.deepEqual([link.kind, link.state, link.peers, link.dropped], ['pair', 'open', 1, 0]);
  assert.ok(link.sent > 0 && link.received > 0);
});

test('a partition is a closed link, and opening the end again heals it', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [left, right] = pair();
  const link = tokyo.connect(left);
  paris.connect(right);
  await arrives(tokyo, paris, 'a', 1);
  const offline = Promise.all([peers(tokyo, 0), peers(paris, 0)]);
  link.close();
  link[Symbol.dispose]();
  assert.equal(link.state, 'closed');
  await offline;
  assert.equal(paris.status.online, false);
  await tokyo.session().set('b', 'apart');
  assert.equal(await paris.session().get('b'), undefined);
  tokyo.connect(left);
  await arrives(paris, tokyo, 'c', 'together');
  await arrives(tokyo, paris, 'd', 'together');
  assert.equal(await paris.session().get('b'), 'apart');
});

test('a chain of replicas passes everything on', async (t) => {
  const [a, b, c] = await openAll(t, ['a', 'b', 'c']);
  const [ab, ba] = pair();
  const [bc, cb] = pair();
  a.connect(ab);
  b.connect(ba);
  b.connect(bc);
  c.connect(cb);
  await arrives(a, c, 'from a', 1);
  await arrives(c, a, 'from c', 1);
});

test('transports of the opening connect at once, and close with the replica', async (t) => {
  const [left, right] = pair();
  const tokyo = await open(t, { connect: left });
  const paris = await open(t, { connect: [right] });
  await arrives(tokyo, paris, 'a', 1);
  const gone = peers(tokyo, 0);
  await paris.close();
  await gone;
});

test('a signal closes a link', async (t) => {
  const replica = await open(t);
  const [left, right] = pair();
  const control = new AbortController();
  const link = replica.connect(left, { signal: control.signal });
  await link.ready;
  control.abort();
  assert.equal(link.state, 'closed');
  const other = await open(t);
  const never = other.connect(right, { signal: AbortSignal.abort() });
  assert.equal((await rejection(never.ready)).code, 'ABORTED');
});

test('a transport that cannot be opened says so, and leaves the replica alone', async (t) => {
  const replica = await open(t);
  const cause = new Error('no network');
  const told = next(replica, 'error');
  const link = replica.connect({ kind: 'broken', open: () => Promise.reject(cause) });
  const error = await rejection(link.ready);
  assert.equal(error.cause, cause);
  assert.equal(link.state, 'closed');
  assert.equal(await told, error);
  await replica.session().set('a', 1);
});

test('a peer that sends rubbish is told of, and the link goes on', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [left, right] = pair();
  let inject;
  const noisy = {
    kind: 'noisy',
    open: (hello, onPeer) =>
      left.open(hello, ({ readable, writable }) => {
        const mixed = new TransformStream({ start: (controller) => (inject = (bytes) => controller.enqueue(bytes)) });
        void readable.pipeTo(mixed.writable).catch(() => {});
        onPeer({ readable: mixed.readable, writable });
      }),
  };
  tokyo.connect(noisy);
  paris.connect(right);
  await arrives(paris, tokyo, 'a', 1);
  const transferred = new Uint8Array(4);
  structuredClone(transferred, { transfer: [transferred.buffer] });
  for (const noise of [Uint8Array.of(1, 2, 3), transferred, undefined, null, 'text', 7]) {
    const told = next(tokyo, 'error');
    inject(noise);
    assert.equal((await told).code, 'MESSAGE_MALFORMED');
  }
  assert.equal((await rejection(tokyo.exchange(transferred))).code, 'ARGUMENT_INVALID');
  await arrives(paris, tokyo, 'b', 2);
});

test('a peer that reads nothing costs bounded memory, and what it missed comes later', async (t) => {
  const tokyo = await open(t, { id: 'tokyo', heartbeat: 1 });
  const stuck = { kind: 'stuck', open: (_, onPeer) => onPeer({ readable: new ReadableStream(), writable: new WritableStream({ write: () => new Promise(() => {}) }) }) };
  tokyo.connect(stuck);
  while (tokyo.inspect().links[0].dropped === 0) await new Promise(setImmediate);
  const paris = await open(t, { id: 'paris' });
  const [left, right] = pair();
  tokyo.connect(left);
  paris.connect(right);
  await arrives(tokyo, paris, 'a', 1);
});

test('a slow peer loses nothing', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const [left, right] = pair();
  const slow = {
    kind: 'slow',
    open: (hello, onPeer) =>
      left.open(hello, ({ readable, writable }) => {
        const drip = new TransformStream({ transform: (chunk, controller) => new Promise(setImmediate).then(() => controller.enqueue(chunk)) }, { highWaterMark: 1 });
        void drip.readable.pipeTo(writable).catch(() => {});
        onPeer({ readable, writable: drip.writable });
      }),
  };
  tokyo.connect(slow);
  paris.connect(right);
  const session = tokyo.session();
  for (let n = 0; n < 500; n += 1) session.sync.set(`key ${n}`, n);
  await arrives(tokyo, paris, 'last', 1);
  assert.equal(paris.session().sync.list({ prefix: 'key' }).length, 500);
});

test('everyone on a channel gets what everyone writes; who leaves is missed, who comes is met', async (t) => {
  const name = channelName();
  const [a, b, c] = await openAll(t, ['a', 'b', 'c'], { connect: channel(name) });
  await Promise.all([a, b, c].map((replica) => peers(replica, 2)));
  await arrives(a, b, 'from a', 1);
  await arrives(b, c, 'from b', 1);
  await arrives(c, a, 'from c', 1);
  const left = Promise.all([peers(a, 1), peers(b, 1)]);
  await c.close();
  await left;
  const d = await open(t, { id: 'd', connect: channel(name) });
  await Promise.all([peers(a, 2), peers(d, 2)]);
  await arrives(a, d, 'for d', 1);
  assert.equal(await d.session().get('from c'), 1);
  assert.deepEqual(a.inspect().links.map(({ kind, peers }) => [kind, peers]), [['channel', 2]]);
});

test('channels of different names do not hear each other', async (t) => {
  const [a, b, c] = await openAll(t, ['a', 'b', 'c']);
  const name = channelName();
  a.connect(channel(name));
  b.connect(channel(channelName()));
  c.connect(channel(name));
  await peers(a, 1);
  await arrives(a, c, 'a', 1);
  assert.equal(b.status.peers, 0);
});

test('letters on a channel that are none of ours, or of somebody who is unknown, do no harm', async (t) => {
  const name = channelName();
  const [a, b] = await openAll(t, ['a', 'b'], { connect: channel(name) });
  await peers(a, 1);
  const air = new BroadcastChannel(`edge-session/${name}`);
  t.after(() => air.close());
  const greeted = new Promise((resolve) => {
    air.onmessage = ({ data }) => data.kind === 'hello' && data.to === 'stranger' && resolve();
  });
  for (const letter of [null, 7, 'text', {}, { edgeSession: 2, kind: 'hello', from: 'x' }, { edgeSession: 1, kind: 'data', from: 'x', to: 'nobody' }, { edgeSession: 1, kind: 'data', from: 'x', bytes: 'text' }]) air.postMessage(letter);
  air.postMessage({ edgeSession: 1, kind: 'data', from: 'stranger', bytes: Uint8Array.of(1) });
  await within(greeted, 'the greeting that a stranger gets');
  await arrives(a, b, 'a', 1);
});

test('a thread and the main one meet on a channel', async (t) => {
  const name = channelName();
  const here = await open(t, { connect: channel(name) });
  const script = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.entry).then(async ({ openReplica, channel }) => {
      const replica = await openReplica({ connect: channel(workerData.name) });
      const session = replica.session();
      await session.set('from the thread', 1);
      parentPort.postMessage(await session.sealed());
      parentPort.once('message', async () => replica.close());
    });`;
  const worker = new Worker(script, { eval: true, workerData: { name, entry: import.meta.resolve('edge-session') } });
  t.after(() => worker.terminate());
  const token = await within(new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)), 'the thread');
  const session = here.session({ token, timeout: DEADLINE });
  assert.equal(await within(session.get('from the thread'), 'the write of the thread'), 1);
  worker.postMessage('close');
  await peers(here, 0);
});

test('a write of a slow storage reaches no peer before it is durable', async (t) => {
  const storage = new TestStorage();
  const [left, right] = pair();
  const tokyo = await open(t, { storage, connect: left });
  const paris = await open(t, { connect: right });
  await arrives(tokyo, paris, 'before', 1);
  storage.hold();
  const session = tokyo.session({ timeout: DEADLINE });
  session.sync.set('a', 1);
  const [{ sent, received }] = tokyo.inspect().links;
  const counts = () => tokyo.inspect().links[0];
  // Peers do not stop talking to it; what it has to say about its own state waits.
  await paris.session().set('meanwhile', 1);
  while (counts().received === received) await new Promise(setImmediate);
  assert.equal(counts().sent, sent);
  assert.equal(paris.session().peek('a'), undefined);
  const watch = paris.session().watch('a');
  storage.release();
  assert.equal((await within(watch.next(), 'the write')).value.value, 1);
});
