// A server: signed sessions, a checked batch, one round trip of the sync protocol per request.
import { EdgeSessionError, openReplica } from 'edge-session';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';

const key = process.env['EDGE_SESSION_KEY'] ?? '';
const db = await openReplica({ id: 'fra1', secret: { kid: '2026-11', key }, session: { expiresIn: '7d' } });
db.on('error', (error) => console.warn(error.code, error.message));

const server = createServer(async (request, response) => {
  try {
    if (request.url === '/sync') {
      response.end(await db.exchange(await buffer(request)));
      return;
    }
    const token = request.headers['edge-session'];
    const session = db.session({ token: typeof token === 'string' ? token : null, user: 'ann', onStale: 'throw' });
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
server.listen(8080).on('close', () => void db.close());
