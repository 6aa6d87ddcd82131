/**
 * A link to a server over a WebSocket that reconnects whenever it breaks.
 *
 * The package `partysocket` makes, times out and counts the attempts. The pauses between them and the token are in
 * `retry.ts`, the duplex in `socket.ts`.
 *
 * Invariants:
 * - A link is open once the other end has sent a message of the protocol, so a server that only accepts the connection
 *   opens nothing.
 * - After a refusal it connects again only with another token.
 */
import ReconnectingWebSocket from 'partysocket/ws';
import { milliseconds } from '../duration.js';
import { EdgeSessionError, invalid } from '../errors.js';
import { optionsOf, textsOrNothing } from '../form.js';
import { type Timer, timer } from '../platform.js';
import type { Duration } from '../types/data.js';
import type { Duplex, Hello, Transport } from '../types/plug.js';
import { type Address, Pass, Pauses, type TokenSource, busy, refusal, toAddress } from './retry.js';
import { CLOSE_BUSY, CLOSE_FORBIDDEN, CLOSE_UNAUTHORIZED, SUBPROTOCOL, type SocketLike, TOKEN_PREFIX, socketDuplex } from './socket.js';

/** Options of {@link webSocket}. */
export interface WebSocketOptions {
  /**
   * The client's token, sent as a second subprotocol, because browsers cannot set headers; a function is called before
   * each connection.
   */
  token?: TokenSource | undefined;
  /** More subprotocols to offer, after `edge-session.v1`. */
  protocols?: readonly string[] | undefined;
  /** The longest pause between two attempts; 30 s by default. */
  maxDelay?: Duration | undefined;
  /** The class to connect with, if the platform has none (Node before 22): that of the package `ws`. */
  WebSocket?: unknown;
}

type SocketClass = new (url: string, protocols: string[]) => SocketLike;

const OPEN = 1;
const NORMAL = 1000;
const LONGEST_PAUSE = 30_000;
// For connecting, and once more for the first message of the other end.
const PATIENCE = 15_000;
// A connection that ends sooner counts as failed, and the pauses go on growing.
const UPTIME = 5_000;

/**
 * A transport to a server of the same protocol, such as one with `serveReplica`. It reconnects by itself, with pauses
 * that grow to `maxDelay`; `link.reconnect()` and the browser's event `online` end a pause.
 *
 * A server refuses a token with close code 4401 (or HTTP 401, where that is visible). Then the link is `unauthorized`,
 * and one `error` event has the code `TOKEN_INVALID`, or the one that the server named. If the token is a string, the
 * link stays so until `reconnect()`. If it is a function, it is called for another token, at once and then at growing
 * intervals, and nothing is sent before it returns one. It is also called after three quarters of the token's life, and
 * the connection is then replaced by one with a later token, without any event. Close code 4403 (HTTP 403) closes the
 * link with `PERMISSION_DENIED`.
 *
 * A replica that has a secret needs no token if the server has the same secret: both prove it before anything else, and
 * try again while that fails. Lost connections cause no `error` event; `link.error` and the event `link` report them.
 *
 * Throws `ARGUMENT_INVALID` for an address or an option that does not have the documented form. The link's `ready`
 * rejects with it if the platform has no WebSocket.
 *
 * @example
 * ```ts
 * const link = replica.connect(webSocket('wss://edge.example/sync', { token: () => fetch('/token').then((r) => r.text()) }));
 * replica.on('link', ({ state }) => showBanner(state === 'open' ? null : state));
 * await link.ready;
 * ```
 */
export function webSocket(url: Address | (() => Address | Promise<Address>), options: WebSocketOptions = {}): Transport {
  textsOrNothing(optionsOf(options, { token: 1, protocols: 1, maxDelay: 1, WebSocket: 1 }).protocols, 'protocols');
  const maxDelay = options.maxDelay === undefined ? LONGEST_PAUSE : milliseconds(options.maxDelay, 'maxDelay');
  const address = typeof url === 'function' ? async () => toAddress(await url(), 'ws') : (toAddress(url, 'ws'), async () => toAddress(url, 'ws'));
  new Pass(options.token);
  return {
    kind: 'websocket',
    open(hello, onPeer) {
      const Socket = (options.WebSocket ?? (globalThis as { WebSocket?: unknown }).WebSocket) as SocketClass | undefined;
      if (typeof Socket !== 'function') throw invalid("this platform has no WebSocket; hand in the one of the package 'ws' as an option");
      return new Promise((opened) => {
        const connection = new Connection({ Socket, address, protocols: options.protocols ?? [], pass: new Pass(options.token, hello.keyed) }, new Pauses(maxDelay, hello.signal, true), {
          peer: onPeer,
          tell: (state, error) => {
            if (state === 'open') opened();
            hello.tell?.(state, error);
          },
        });
        hello.signal.addEventListener('abort', () => connection.close());
      });
    },
  };
}

interface Call {
  readonly Socket: SocketClass;
  readonly address: () => Promise<string>;
  readonly protocols: readonly string[];
  readonly pass: Pass;
}

interface Listener {
  peer(duplex: Duplex): void;
  tell: NonNullable<Hello['tell']>;
}

/** One opening of the transport: a sequence of connections. */
class Connection {
  readonly #call: Call;
  readonly #pauses: Pauses;
  readonly #listener: Listener;
  readonly #party: ReconnectingWebSocket;
  #prepared: Promise<{ url: string; protocols: string[] }> | undefined;
  #socket: SocketLike | undefined;
  #hurry = false;
  #over = false;
  /** Replaces the connection by one with a later token. */
  #renewal: Timer | undefined;
  #renewing = false;

  constructor(call: Call, pauses: Pauses, listener: Listener) {
    this.#call = call;
    this.#pauses = pauses;
    this.#listener = listener;
    const keep = (socket: SocketLike) => (this.#socket = socket);
    const { Socket } = call;
    // Messages go through the socket itself; partysocket only sees it open and close.
    const Kept = function (url: string, protocols: string[]) {
      return keep(new Socket(url, protocols));
    };
    const prepare = () => (this.#prepared ??= this.#prepare().finally(() => (this.#prepared = undefined)));
    this.#party = new ReconnectingWebSocket(
      () => prepare().then(({ url }) => url),
      () => prepare().then(({ protocols }) => protocols),
      {
        WebSocket: Kept,
        connectionTimeout: PATIENCE,
        minUptime: UPTIME,
        minReconnectionDelay: 0,
        maxReconnectionDelay: 0,
        maxEnqueuedMessages: 0,
        shouldReconnectOnClose: (event) => this.#lost(event),
      },
    );
    this.#party.addEventListener('open', () => this.#opened());
    this.#party.addEventListener('error', (event) => this.#failed(event));
  }

  close(): void {
    this.#over = true;
    this.#renewal?.cancel();
    this.#party.close();
  }

  /** Pauses, then gets the address and the token; repeats until the token differs from a refused one. */
  async #prepare(): Promise<{ url: string; protocols: string[] }> {
    const { address, protocols, pass } = this.#call;
    for (let failures = this.#party?.retryCount ?? 0; ; failures += 1) {
      if (!this.#hurry) await this.#pauses.rest(failures);
      this.#hurry = false;
      if (this.#over) return { url: '', protocols: [] };
      const token = await pass.ask();
      if (pass.stale) {
        this.#unauthorized('');
        continue;
      }
      const identity = token === undefined ? [] : [TOKEN_PREFIX + token];
      return { url: await address(), protocols: [SUBPROTOCOL, ...protocols, ...identity] };
    }
  }

  /** The socket is open. The link is open once a message has arrived. */
  #opened(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const deaf = timer(() => socket.close(), PATIENCE);
    const hear = ({ data }: { readonly data: unknown }) => {
      if (typeof data === 'string') return;
      deaf.cancel();
      socket.removeEventListener('message', hear);
      this.#call.pass.accept();
      this.#listener.tell('open');
      this.#renewLater(socket);
    };
    socket.addEventListener('message', hear);
    socket.addEventListener('close', () => {
      deaf.cancel();
      this.#renewal?.cancel();
    });
    this.#listener.peer(socketDuplex(socket, undefined, this.#call.pass.proves ? 'caller' : undefined));
  }

  /** Replaces the connection before the token ends. The protocol recovers what is under way meanwhile. */
  #renewLater(socket: SocketLike): void {
    const { pass } = this.#call;
    if (pass.due === undefined) return;
    this.#renewal = timer(async () => {
      const later = await pass.renew();
      if (this.#over || this.#socket !== socket || socket.readyState !== OPEN) return;
      if (!later) return this.#renewLater(socket);
      this.#renewing = true;
      this.#hurry = true;
      socket.close(NORMAL);
    }, pass.due);
    this.#renewal.hold(false);
  }

  /** A connection, or an attempt, has ended. Returns whether to try again. */
  #lost({ code, reason }: { readonly code: number; readonly reason: string }): boolean {
    if (this.#over) return false;
    if (this.#renewing) {
      // Closed by `#renewLater`; nothing is lost.
      this.#renewing = false;
      return true;
    }
    if (code === CLOSE_FORBIDDEN) {
      this.close();
      this.#listener.tell('closed', refusal(403, reason));
      return false;
    }
    if (code === CLOSE_UNAUTHORIZED) return this.#refused(reason);
    if (code === CLOSE_BUSY) this.#listener.tell('retrying', busy());
    else this.#retrying(`the connection was lost (close code ${code})`);
    return true;
  }

  /** An attempt failed before there was a connection. Only some platforms reveal the HTTP status. */
  #failed({ message, error }: { readonly message?: string; readonly error?: unknown }): void {
    const status = /^Unexpected server response: (\d{3})$/.exec(message ?? '')?.[1];
    if (this.#over) return;
    if (status === '403') this.#lost({ code: CLOSE_FORBIDDEN, reason: '' });
    else if (status === '401' && !this.#refused('')) this.#party.close();
    else if (status !== '401') this.#retrying('the connection could not be made', error);
  }

  #refused(reason: string): boolean {
    const { pass } = this.#call;
    this.#hurry = pass.refuse();
    if (this.#hurry) this.#retrying('the token was refused, and another one is asked for');
    else this.#unauthorized(reason);
    return pass.renewable;
  }

  #unauthorized(reason: string): void {
    this.#listener.tell('unauthorized', refusal(401, reason));
  }

  #retrying(what: string, cause?: unknown): void {
    if (this.#call.pass.refused && !this.#hurry) return;
    this.#listener.tell('retrying', new EdgeSessionError('TRANSPORT_FAILED', what, { cause }));
  }
}
