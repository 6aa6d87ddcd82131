// Every transport passes the exported conformance suite.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { channel, http, openReplica, pair, webSocket } from 'edge-session';
import { shared } from 'edge-session/browser';
import { transportCases } from 'edge-session/testing';
import { WebSocket } from 'ws';
import { Server } from './server.mjs';

const suites = {};

suites['pair()'] = { ends: () => pair() };

// When the last channel of a process closes, Deno breaks the ones that are opened right after (postMessage: "expected i32").
const kept = process.versions.deno ? new BroadcastChannel('kept open') : undefined;
after(() => kept?.close());

let channels = 0;
suites['channel()'] = {
  most: 8,
  ends: (count) => {
    const name = `conformance ${process.pid} ${(channels += 1)}`;
    return Array.from({ length: count }, () => channel(name));
  },
};

/** A server as a transport: it has whoever comes as a peer. */
const served = (server) => ({
  kind: 'server',
  open: ({ signal }, onPeer) => {
    server.onPeer = onPeer;
    signal.addEventListener('abort', () => server.drop());
  },
});

suites['webSocket()'] = {
  most: 8,
  async ends(count) {
    const server = await new Server().start();
    const clients = Array.from({ length: count - 1 }, () => webSocket(server.url, { WebSocket, maxDelay: 50 }));
    return Object.assign([served(server), ...clients], { server });
  },
  cut: ({ server }) => server.drop(),
  clear: ({ server }) => server.stop(),
};

suites['http()'] = {
  most: 8,
  async ends(count) {
    const server = await new Server().start();
    const attach = (replica) => {
      server.replica = replica;
      server.admit = () => true;
      return () => (server.admit = () => 503);
    };
    const clients = Array.from({ length: count - 1 }, () => http(server.url, { every: 20, maxDelay: 50 }));
    return Object.assign([attach, ...clients], { server });
  },
  cut: ({ server }) => server.http.closeAllConnections(),
  clear: ({ server }) => server.stop(),
};

for (const [name, bench] of Object.entries(suites)) {
  describe(name, () => {
    for (const { name, skip, run } of transportCases(bench)) test(name, { skip }, run);
  });
}

test('what a bench cannot do is skipped, and says why', () => {
  const skipped = transportCases(suites['pair()']).filter(({ skip }) => skip !== false);
  assert.deepEqual(skipped.map(({ skip }) => skip), ["the bench has no 'cut'", 'the bench has no more than 2 ends']);
});

test('of the connections that came and went in its turn a leader keeps nothing', async (t) => {
  const replica = await openReplica();
  t.after(() => replica.close());
  let kept = 0;
  const upstream = {
    kind: 'flapping',
    open({ signal }, onPeer) {
      const { addEventListener: add, removeEventListener: remove } = signal;
      signal.addEventListener = (...listener) => ((kept += 1), add.apply(signal, listener));
      signal.removeEventListener = (...listener) => ((kept -= 1), remove.apply(signal, listener));
      for (let n = 0; n < 10; n += 1) onPeer({ readable: new ReadableStream({ start: (incoming) => incoming.close() }), writable: new WritableStream() });
    },
  };
  const link = replica.connect(shared('flapping', upstream));
  await link.ready;
  for (let turn = 0; replica.inspect().links[0].peers > 0 && turn < 1_000; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual([replica.inspect().links[0].peers, kept], [0, 0]);
});
