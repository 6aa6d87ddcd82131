// A process that closes its replica while a link waits for the next attempt, and then has nothing left to do.
import { openReplica, webSocket } from 'edge-session';
import { WebSocket } from 'ws';

const replica = await openReplica();
replica.connect(webSocket(process.argv[2], { WebSocket, maxDelay: '1h' }));
await new Promise((resolve) => replica.on('link', ({ state }) => state === 'retrying' && resolve()));
await replica.close();
console.log('closed');
