// A server that is a replica: state in files, signed sessions, a checked batch; tabs and other edges join it at /sync.
import { EdgeSessionError, openReplica, webSocket } from 'edge-session';
import { fileStorage, serveReplica } from 'edge-session/node';
import { createServer } from 'node:http';

const key = process.env['EDGE_SESSION_KEY'] ?? '';
const db = await openReplica({ id: 'fra1', storage: fileStorage('./data'), secret: { kid: '2026-11', key }, session: { expiresIn: '7d' } });
db.on('error', (error) => console.warn(error.code, error.message));

const server = createServer(async (request, response) => {
  try {
    const token = request.headers['edge-session'];
    using session = db.session({ token: typeof token === 'string' ? token : null, user: 'ann', onStale: 'throw' });
    const stock = (await session.entry('stock')) ?? { value: 100, version: null };
    await session.batch((tx) => tx.check('stock', stock.version).set('stock', Number(stock.value) - 1).set('sold', Date.now()));
    response.setHeader('Edge-Session', await session.sealed({ timeout: '2s' }));
    response.end('sold');
  } catch (error) {
    if (!EdgeSessionError.is(error)) throw error;
    // STALE_REPLICA names the peers that could have answered; CONFLICT says that somebody was faster.
    response.writeHead(error.status, error.retryable ? { 'Retry-After': '1' } : {}).end(error.code);
  }
});

// Who comes with a token that the key has signed may join, and who proves to have the key: by WebSocket and by POST.
const serving = serveReplica(db, server, { path: '/sync' });
server.listen(8080);

// Another edge with the same key: each proves to the other that it has it.
db.connect(webSocket('wss://ams1.example/sync'));

process.once('SIGTERM', () => {
  // Stored, handed over, closed; peers are told to come again.
  void serving.stop({ timeout: '10s' }).finally(() => server.close());
});
