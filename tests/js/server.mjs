// A server for tests: a replica behind real sockets and real requests, which lets in whom the test lets in and can be dropped,
// stopped and started again at its address. Run by itself (`node server.mjs port label`) it is a process of its own.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { EdgeSessionError, openReplica } from 'edge-session';
import { WebSocketServer } from 'ws';

// What servers of all kinds share lies in the package and is not exported.
const { socketDuplex } = await import(new URL('transport/socket.js', import.meta.resolve('edge-session')));

const TYPE = 'application/vnd.edge-session';

export class Server {
  /** Tokens in the order in which somebody came with them; null for none. */
  calls = [];
  /** Sockets that are open. */
  sockets = new Set();
  /** Answers true, or the status that refuses: 401, 403 after the connection is made, or `{ status }` in its place. */
  admit = () => true;
  /** Whether who comes with a token is judged as a client. */
  judges = false;
  /** What is done to a socket before it is a peer. */
  tamper = () => {};
  port = 0;

  constructor(replica) {
    this.replica = replica;
    replica?.connect({ kind: 'server', open: (_, onPeer) => void (this.onPeer = onPeer) });
  }

  async start() {
    this.http = createServer((request, response) => this.answer(request, response));
    this.ws = new WebSocketServer({ noServer: true, handleProtocols: (offered) => offered.has('edge-session.v1') && 'edge-session.v1' });
    this.http.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
    this.http.listen(this.port, '127.0.0.1');
    await once(this.http, 'listening');
    this.port = this.http.address().port;
    return this;
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/sync`;
  }

  /** Cuts every connection, as a broken network does. */
  drop() {
    for (const socket of this.sockets) socket.terminate();
  }

  async stop() {
    this.drop();
    this.http.closeAllConnections();
    if (!this.http.listening) return;
    this.http.close();
    await once(this.http, 'close');
  }

  upgrade(request, socket, head) {
    const token = request.headers['sec-websocket-protocol']?.split(/, ?/).find((protocol) => protocol.startsWith('token.'));
    this.calls.push(token?.slice(6) ?? null);
    const verdict = this.admit(this.calls.at(-1));
    if (verdict.status) return socket.end(`HTTP/1.1 ${verdict.status} No\r\nConnection: close\r\n\r\n`);
    this.ws.handleUpgrade(request, socket, head, (open) => {
      this.sockets.add(open);
      open.on('close', () => this.sockets.delete(open));
      if (verdict === true) return this.tamper(open) === 'deaf' || !this.onPeer ? undefined : this.onPeer(socketDuplex(open, this.judges ? (token?.slice(6) ?? '') : undefined));
      open.close(4000 + verdict, this.reason ?? '');
    });
  }

  async answer(request, response) {
    this.calls.push(request.headers['edge-session'] ?? null);
    const verdict = this.admit(this.calls.at(-1));
    if (verdict !== true) return response.writeHead(verdict.status ?? verdict).end(this.reason ?? '');
    try {
      const reply = await this.replica.exchange(await buffer(request), { token: this.judges ? (request.headers['edge-session'] ?? '') : undefined });
      response.writeHead(200, { 'Content-Type': TYPE }).end(reply);
    } catch (error) {
      response.writeHead(EdgeSessionError.is(error) ? error.status : 500).end();
    }
  }
}

/** A server that stops with the test. */
export async function serve(t, replica) {
  const server = await new Server(replica).start();
  t.after(() => server.stop().catch(() => {}));
  return server;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = new Server(await openReplica({ id: process.argv[3] }));
  server.port = Number(process.argv[2]);
  await server.start();
  process.send?.(server.port);
}
