// Over sockets: real servers and real connections on the loopback, by the package `ws`.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { DEADLINE, mocked, openAll, peers, within } from './support.mjs';

// What servers of all kinds share lies in the package and is not exported.
const { socketDuplex } = await import(new URL('transport/socket.js', import.meta.resolve('edge-session')));

/** A transport for one socket, whichever end. */
const over = (socket) => ({
  kind: 'socket',
  open: ({ signal }, onPeer) => {
    onPeer(socketDuplex(socket));
    signal.addEventListener('abort', () => socket.close());
  },
});

/** Both ends of one connection. */
async function connection(t) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.after(() => server.close());
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${server.address().port}`);
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'open')]);
  t.after(() => accepted.terminate());
  return [client, accepted];
}

async function arrives(from, to, key, value) {
  const writer = from.session();
  await writer.set(key, value);
  const reader = to.session({ token: await writer.sealed(), timeout: DEADLINE });
  assert.deepEqual(await within(reader.get(key), `${key} from ${from.id} at ${to.id}`), value);
}

test('two replicas meet over a socket, and part when it closes', async (t) => {
  const [tab, edge] = await openAll(t, ['tab', 'edge']);
  const [client, accepted] = await connection(t);
  tab.connect(over(client));
  edge.connect(over(accepted));
  await arrives(tab, edge, 'a', 'x'.repeat(900_000));
  await arrives(edge, tab, 'b', 2);
  const parted = Promise.all([peers(tab, 0), peers(edge, 0)]);
  accepted.close(1012);
  await parted;
});

test('text on a socket is no message, and no error', async (t) => {
  const [tab, edge] = await openAll(t, ['tab', 'edge']);
  const errors = [];
  for (const replica of [tab, edge]) replica.on('error', (error) => errors.push(error));
  const [client, accepted] = await connection(t);
  tab.connect(over(client));
  edge.connect(over(accepted));
  client.send('ping');
  accepted.send('pong');
  await arrives(tab, edge, 'a', 1);
  await arrives(edge, tab, 'b', 2);
  assert.deepEqual(errors, []);
});

test('a socket whose other end reads nothing holds a bounded number of bytes', async (t) => {
  // Seconds pass in a moment, so that what nobody acknowledges is soon sent again.
  let [most, ahead] = [0, 0];
  const options = { heartbeat: 1, clock: () => Date.now() + ahead, limits: { valueBytes: 8 << 20, batchBytes: 8 << 20 } };
  const [tab, edge] = await openAll(t, ['tab', 'edge'], options);
  const [client, accepted] = await connection(t);
  tab.connect(over(client));
  edge.connect(over(accepted));
  await peers(tab, 1);
  accepted.pause();
  tab.session().sync.set('big', 'v'.repeat(7 << 20));
  for (let n = 0; n < 200 && tab.inspect().links[0].dropped < 3; n += 1) {
    ahead += 1_000;
    await new Promise((resolve) => setTimeout(resolve, 3));
    most = Math.max(most, client.bufferedAmount);
  }
  assert.ok(most > 0 && most < 16 << 20, `${most} bytes`);
  assert.ok(tab.inspect().links[0].dropped >= 3);
  accepted.resume();
  await arrives(tab, edge, 'after', 1);
  assert.equal(edge.session().sync.get('big'), tab.session().sync.get('big'));
});

const unpausable = process.versions.bun ? 'what Bun gives for a socket of ws cannot be paused' : false;
test('a network that vanishes without a word is found out, and one that is only quiet is not', { skip: unpausable }, async (t) => {
  const [tab, edge] = await openAll(t, ['tab', 'edge'], { heartbeat: 5 });
  const [client, accepted] = await connection(t);
  tab.connect(over(client));
  edge.connect(over(accepted));
  await peers(tab, 1);
  const real = Date.now;
  let ahead = 0;
  mocked(t, Date, 'now', () => real() + ahead);
  // Minutes pass in a moment; whoever lives speaks after them.
  const [{ received }] = tab.inspect().links;
  ahead += 10 * 60_000;
  while (tab.inspect().links[0].received < received + 10) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(tab.status.peers, 1);
  accepted.pause();
  client._socket.pause();
  ahead += 10 * 60_000;
  await within(peers(tab, 0), 'the end of the silence');
  accepted.resume();
});
