// A process that is an edge of the fleet: a replica in a directory, behind a server, with links to the other edges.
// node edge.mjs PORT DIRECTORY SECRET UPSTREAM…
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { http, openReplica, webSocket } from 'edge-session';
import { fileStorage, serveReplica } from 'edge-session/node';
import { WebSocket } from 'ws';
import { perform, stateOf } from './perform.mjs';

const [port, directory, key, ...upstreams] = process.argv.slice(2);
const replica = await openReplica({ id: 'node', storage: fileStorage(directory), secret: { kid: '1', key } });
replica.on('error', ({ code, message }) => console.error(code, message));

const server = createServer(async (request, response) => {
  const answer = request.url === '/do' ? await perform(replica, await json(request)) : await stateOf(replica);
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
});
const serving = serveReplica(replica, server);
for (const url of upstreams) replica.connect(url.startsWith('ws') ? webSocket(url, { WebSocket, maxDelay: 500 }) : http(url, { every: 500, maxDelay: 500 }));
server.listen(Number(port), '127.0.0.1', () => process.send?.('listening'));
process.on('SIGTERM', () => void serving.stop().finally(() => process.exit()));
