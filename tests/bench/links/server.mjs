/** The server of ours: a replica in memory behind `serveReplica`. */
import { createServer } from 'node:http';
import { openReplica } from 'edge-session';
import { serveReplica } from 'edge-session/node';

const server = createServer();
serveReplica(await openReplica(), server);
server.listen(Number(process.env.PORT), process.env.HOST, () => console.log('running'));
