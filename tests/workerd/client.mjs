// Replicas in Node that join an object over a WebSocket. The transport is the least that one can be: it connects, again and
// again, and hands messages over, so that what the tests see is the object's doing.
import { WebSocket } from 'ws';
import { openReplica } from 'edge-session';

/**
 * A transport to an object. `seen` is told of every message: its direction and its bytes; answering false loses it. `opened` is told of
 * every socket.
 */
export function socket(edge, { name = 'one', token, secret, seen = () => true, opened = () => {} } = {}) {
  return {
    kind: 'test-socket',
    open({ signal }, onPeer) {
      let current;
      signal.addEventListener('abort', () => current?.terminate());
      const connect = () => {
        if (signal.aborted) return;
        const ws = (current = open(edge, name, token));
        opened(ws);
        let incoming;
        ws.on('open', () => {
          const readable = new ReadableStream({ start: (controller) => (incoming = controller), cancel: () => ws.close() });
          const write = (bytes) => seen('out', bytes) !== false && ws.send(bytes);
          onPeer({ readable, writable: new WritableStream({ write, abort: () => ws.close() }), proof: secret && 'caller' });
        });
        ws.on('message', (data) => seen('in', data) !== false && incoming?.enqueue(new Uint8Array(data)));
        ws.on('error', () => {});
        ws.on('close', () => {
          try {
            incoming?.close();
          } catch {
            // The reader has cancelled it.
          }
          setTimeout(connect, 20);
        });
      };
      connect();
    },
  };
}

/** A WebSocket to an object, as a browser would open it. */
export function open(edge, name, token, protocols = ['edge-session.v1', ...(token ? [`token.${token}`] : [])]) {
  return new WebSocket(`${edge.url.replace('http', 'ws')}/sync?name=${name}`, protocols);
}

/** Resolves with the code with which a WebSocket is closed. */
export const closed = (ws) => new Promise((resolve, reject) => ws.on('close', resolve).on('error', reject));

/** A token that lets its bearer join. */
export async function ticket(edge, name = 'one') {
  return (await edge.json(`/do?name=${name}`, { user: 'ann' })).token;
}

/** A replica that joins the object, with a token or by its secret; it speaks of its own accord once in an hour. */
export async function join(t, edge, options = {}) {
  const { secret, session } = options;
  const token = secret ? undefined : (options.token ?? (await ticket(edge, options.name)));
  const replica = await openReplica({ id: 'client', heartbeat: '1h', secret, session, connect: socket(edge, { ...options, token }) });
  t.after(() => replica.close());
  return replica;
}
