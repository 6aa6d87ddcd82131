/**
 * Serves a replica on an HTTP server of Node's kind: WebSockets and requests of the sync protocol. The server may have
 * other handlers.
 *
 * To the replica it is one transport with many peers (`replica.connect`), so a link bounds the queue to each peer.
 *
 * Invariants:
 * - Nobody becomes a peer, and no body is read, before `authorize` has accepted it.
 * - After `stop()` no handler is left on the server, and every peer was told that this end is going away.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Duplex as Stream } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { milliseconds } from '../../duration.js';
import { EdgeSessionError, invalid } from '../../errors.js';
import { optionsOf } from '../../form.js';
import { asyncDispose, report, timer } from '../../platform.js';
import { MESSAGE_BYTES, TOKEN_HEADER, type Verdict, admits, below, guarded, offered } from '../../transport/admit.js';
import { CLOSE_UNAUTHORIZED, SUBPROTOCOL, type SocketLike, socketDuplex } from '../../transport/socket.js';
import type { Duration } from '../../types/data.js';
import type { Duplex } from '../../types/plug.js';
import type { Replica } from '../../types/replica.js';
import { type Admission, MESSAGE_BYTES_MAX, Requests, refuseUpgrade } from './requests.js';

/** Options of {@link serveReplica}. */
export interface ServeOptions {
  /** Requests to this path, and below it, are answered; `'/sync'` by default. */
  path?: string | undefined;
  /**
   * Whether a client may join. The default rule: if the replica has a secret, a client needs a token that its key has
   * signed, or no token, and then it must prove that it has a secret of the same cluster; without a secret everybody
   * may join. `verified` says whether the token is valid, or none is needed.
   *
   * A client with a valid token is limited by it. A client without one that is answered `true` must prove the secret;
   * `'trusted'` waives that, and the client reads and writes everything that the replica holds. If cookies decide,
   * check the header `Origin`, too, because browsers send them with WebSockets of other sites.
   */
  authorize?: ((request: IncomingMessage, verified: boolean) => Verdict | Promise<Verdict>) | undefined;
  /**
   * The longest accepted message in bytes: 4 MiB by default, at most 64 MiB. A longer one ends its connection (close
   * code 1009, HTTP 413) before it has arrived completely. Replicas send messages of about a quarter of a MiB, or one
   * key with all of its siblings: raise the limit if values are long.
   */
  messageBytes?: number | undefined;
}

/** The result of {@link serveReplica}. */
export interface Serving extends AsyncDisposable {
  /** The number of open WebSockets that have joined. */
  readonly connections: number;
  /**
   * Answers a request of the sync protocol; returns false, and does nothing, if its path is another. For servers whose
   * handlers are called by a framework; requests of a plain server arrive here by themselves.
   */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /**
   * Stops: admits nobody new (503), makes writes durable and syncs them to linked peers, answers the requests under
   * way, closes every WebSocket with 1001, and closes the replica. The server itself goes on. What is not done within
   * `timeout` (5 s by default) is abandoned. Further calls return the same promise.
   *
   * Rejects with `STORAGE_FAILED` or `TIMEOUT` if writes are not durable, or storage could not be released; everything
   * else is released all the same.
   */
  stop(options?: { timeout?: Duration | undefined }): Promise<void>;
}

const STOP_MS = 5_000;
const LET_GO_MS = 1_000;
const GOING_AWAY = 1001;

/**
 * Serves the sync protocol for `replica` on an HTTP or HTTPS server of Node, Deno or Bun: WebSockets, for
 * `webSocket(url)`, and POST of `application/vnd.edge-session`, for `http(url)`. Call it after the server's own
 * handlers are set: requests to other paths go to those handlers, and are answered 404 if there are none.
 *
 * A peer that takes nothing costs at most 8 MiB and one message: the rest is dropped, and sent anew when the peer keeps
 * up again.
 *
 * Throws `ARGUMENT_INVALID` for an invalid server or option, `REPLICA_CLOSED` if the replica is over.
 *
 * @example
 * ```ts
 * const server = createServer(app).listen(8080);
 * const serving = serveReplica(db, server, { path: '/sync' });
 * process.once('SIGTERM', () => void serving.stop().finally(() => server.close()));
 * ```
 */
export function serveReplica(replica: Replica<any>, server: Server | SecureServer, options: ServeOptions = {}): Serving {
  if (typeof server?.on !== 'function' || typeof server.listeners !== 'function') throw invalid('a server is what createServer of node:http or node:https gives');
  const { path = '/sync', authorize, messageBytes = MESSAGE_BYTES } = optionsOf(options, { path: 1, authorize: 1, messageBytes: 1 });
  if (typeof replica?.exchange !== 'function') throw invalid('serveReplica takes a replica and a server');
  if (typeof path !== 'string' || !path.startsWith('/')) throw invalid("a path begins with '/'");
  if (authorize !== undefined && typeof authorize !== 'function') throw invalid('authorize is a function');
  if (!Number.isSafeInteger(messageBytes) || messageBytes <= 0 || messageBytes > MESSAGE_BYTES_MAX) throw invalid('messageBytes is a whole number up to 64 MiB');
  return new ReplicaServer(replica, server as Server, path, authorize, messageBytes);
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

class ReplicaServer implements Serving {
  readonly #replica: Replica<any>;
  readonly #server: Server;
  readonly #path: string;
  readonly #authorize: ServeOptions['authorize'];
  readonly #guarded: boolean;
  readonly #upgrades: WebSocketServer;
  readonly #requests: Requests;
  readonly #sockets = new Set<WebSocket>();
  /** The handlers that the server had before. */
  readonly #others: Handler[];
  #join: ((peer: Duplex) => void) | undefined;
  #stopping: Promise<void> | undefined;

  constructor(replica: Replica<any>, server: Server, path: string, authorize: ServeOptions['authorize'], messageBytes: number) {
    this.#replica = replica;
    this.#server = server;
    this.#path = path;
    this.#guarded = guarded(replica);
    this.#authorize = authorize;
    this.#requests = new Requests(replica, (request) => this.#admits(request), messageBytes);
    this.#upgrades = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: messageBytes,
      handleProtocols: () => SUBPROTOCOL,
    });
    replica.connect({
      kind: 'server',
      open: ({ signal }, onPeer) => {
        this.#join = onPeer;
        // The replica was closed, or has trapped.
        signal.addEventListener('abort', () => this.#leave('the replica was closed'));
      },
    });
    this.#others = server.listeners('request') as Handler[];
    server.removeAllListeners('request');
    server.on('request', this.#onRequest);
    server.on('upgrade', this.#onUpgrade);
  }

  get connections(): number {
    return this.#sockets.size;
  }

  handle(request: IncomingMessage, response: ServerResponse): boolean {
    if (!this.#owns(request)) return false;
    void this.#requests.answer(request, response, this.#join !== undefined);
    return true;
  }

  stop(options: { timeout?: Duration | undefined } = {}): Promise<void> {
    const { timeout: given = STOP_MS } = optionsOf(options, { timeout: 1 });
    const timeout = milliseconds(given, 'timeout');
    return (this.#stopping ??= this.#stop(timeout));
  }

  [asyncDispose](): Promise<void> {
    return this.stop();
  }

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    if (this.handle(request, response)) return;
    for (const other of this.#others) other.call(this.#server, request, response);
    if (this.#others.length === 0 && this.#server.listenerCount('request') === 1) response.writeHead(404).end();
  };

  readonly #onUpgrade = (request: IncomingMessage, stream: Stream, head: Buffer): void => {
    if (this.#owns(request)) void this.#upgrade(request, stream, head);
    // Another handler may serve it, if there is one.
    else if (this.#server.listenerCount('upgrade') === 1) refuseUpgrade(stream, 404);
  };

  #owns(request: IncomingMessage): boolean {
    return below((request.url ?? '').split('?', 1)[0] as string, this.#path);
  }

  async #admits(request: IncomingMessage): Promise<Admission> {
    const header = request.headers[TOKEN_HEADER.toLowerCase()];
    const token = header === undefined ? offered(request.headers['sec-websocket-protocol']).token : String(header);
    const verified = this.#guarded && admits(this.#replica, token);
    // A token limits its bearer. A client without one must prove that it belongs to the cluster, or be trusted.
    const verdict = this.#authorize === undefined ? !this.#guarded || verified || !token : await this.#authorize(request, !this.#guarded || verified);
    return { admitted: verdict !== false, pass: verified && token !== null ? token : undefined, proof: this.#guarded && !verified && verdict !== 'trusted' };
  }

  async #upgrade(request: IncomingMessage, stream: Stream, head: Buffer): Promise<void> {
    // A client may disconnect while it is being judged; that is not an error.
    const ignore = () => {};
    stream.on('error', ignore);
    if (!offered(request.headers['sec-websocket-protocol']).known) return refuseUpgrade(stream, 426);
    if (this.#join === undefined) return refuseUpgrade(stream, 503);
    let admission: Admission;
    try {
      admission = await this.#admits(request);
    } catch (cause) {
      report('edge-session: a connection could not be judged', cause);
      return refuseUpgrade(stream, 500);
    }
    stream.off('error', ignore);
    this.#upgrades.handleUpgrade(request, stream, head, (socket) => {
      socket.on('error', ignore); // 'close' follows
      // Accepted and closed at once, because browsers show pages the code of a close but not the status of a refused
      // request.
      if (!admission.admitted) return socket.close(CLOSE_UNAUTHORIZED, 'TOKEN_INVALID');
      if (this.#join === undefined) return socket.close(GOING_AWAY, 'this replica stops');
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      this.#join(socketDuplex(socket as unknown as SocketLike, admission.pass, admission.proof ? 'callee' : undefined));
    });
  }

  async #stop(timeout: number): Promise<void> {
    const until = Date.now() + timeout;
    const rest = () => Math.max(until - Date.now(), 1);
    this.#join = undefined;
    let failure: unknown;
    try {
      await this.#replica.flush({ timeout: rest() });
      // Linked peers get the writes.
      if (this.#sockets.size > 0) await this.#replica.synced({ timeout: rest() }).catch(() => {});
    } catch (cause) {
      if (!EdgeSessionError.is(cause, 'REPLICA_CLOSED')) failure = cause;
    }
    await within(this.#requests.idle(), rest());
    const closed = [...this.#sockets].map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())));
    this.#leave('this replica stops');
    await within(Promise.all(closed), rest());
    for (const socket of this.#sockets) socket.terminate();
    // Flushed writes are durable; what remains is to release storage.
    await this.#replica.close({ timeout: Math.max(rest(), LET_GO_MS) }).catch((cause: unknown) => (failure ??= cause));
    this.#server.off('upgrade', this.#onUpgrade);
    this.#server.off('request', this.#onRequest);
    for (const other of this.#others) this.#server.on('request', other);
    if (failure !== undefined) throw failure;
  }

  /** Tells every peer that this end is going away. They reconnect when there is a server again. */
  #leave(reason: string): void {
    this.#join = undefined;
    for (const socket of this.#sockets) socket.close(GOING_AWAY, reason);
  }
}

/** Waits for `work`, at most `ms` milliseconds. */
async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let alarm: ReturnType<typeof timer> | undefined;
  const late = new Promise<void>((resolve) => (alarm = timer(resolve, ms)));
  await Promise.race([work, late]);
  alarm?.cancel();
}
