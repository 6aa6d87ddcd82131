// A replica behind a real server of Node, for sockets and requests.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { serveReplica } from 'edge-session/node';

/** Serves a replica until the test is over, or until `stop`; where it is to be come to. */
export async function serveAt(t, replica, { port = 0, ...options } = {}) {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  const serving = serveReplica(replica, server, options);
  const stop = async () => {
    await serving.stop({ timeout: 1 }).catch(() => {});
    server.closeAllConnections();
    server.close();
  };
  t.after(stop);
  ({ port } = server.address());
  return { server, stop, port, ws: `ws://127.0.0.1:${port}/sync`, url: `http://127.0.0.1:${port}/sync` };
}
