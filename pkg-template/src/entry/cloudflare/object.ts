/**
 * A Durable Object that is a replica.
 *
 * Invariants:
 * - Its state is loaded from its own SQLite database before the first event. It is nowhere else, so eviction,
 *   hibernation and crashes lose nothing that was acknowledged.
 * - Every event is applied, stored and answered in one turn.
 * - It has no `setTimeout`, no module-level state and no session of its own: each request begins its own session.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Driver } from '../../driver.js';
import { EdgeSessionError } from '../../errors.js';
import { optionsOf } from '../../form.js';
import { open } from '../../open.js';
import { OPTIONS } from '../../options.js';
import { durableObjectStorage } from '../../storage/durable-object.js';
import { CONTENT_TYPE, MESSAGE_BYTES, TOKEN_HEADER, type Verdict, admits, offered, tooLong, unadmitted } from '../../transport/admit.js';
import { CLOSE_UNAUTHORIZED, SUBPROTOCOL } from '../../transport/socket.js';
import type { KeyMap } from '../../types/data.js';
import type { Joining, Replica, ReplicaOptions } from '../../types/replica.js';
import { AlarmClock } from './alarm.js';
import { isExchange, isSocket, notSync } from './route.js';
import { Sockets } from './sockets.js';
import { type Upstream, UpstreamLink } from './upstream.js';

// Sockets of the subclass have other tags, or none.
const TAG = 'edge-session';
// Peers on hibernating sockets are sent news at once, so heartbeats can be rare.
const HEARTBEAT = '10m';

/** Refuses logins if the options do not say who decides about passwords. */
function unsaid(): never {
  throw new EdgeSessionError('UNSUPPORTED', "this object was not told who decides about passwords; its options() need authenticate: a function, or 'accounts'");
}

/** The parts that exist once the replica is open. */
interface Live<M> {
  readonly replica: Replica<M>;
  readonly driver: Driver;
  readonly sockets: Sockets;
  readonly upstreams: readonly UpstreamLink[];
  /** Whether it holds a key and can therefore verify tokens. */
  readonly guarded: boolean;
}

/**
 * A Durable Object that is a replica: storage, hibernation and alarms are handled. Extend it, and serve your requests
 * with sessions of `this.replica`: one session for each request, begun with the request's token.
 *
 * Its `fetch` serves the sync protocol (see {@link routeReplica}): WebSockets, which hibernate, and POST. The class
 * must be listed in `new_sqlite_classes`. It uses the object's one alarm, so a subclass must keep its own deadlines
 * elsewhere. Errors outside of calls are reported by `replica.on('error')`.
 *
 * @example
 * ```ts
 * export class Carts extends ReplicaObject<Env> {
 *   protected override options() {
 *     return { secret: { kid: '1', key: this.env.TOKEN_SECRET } };
 *   }
 *   async add(token: string | null, sku: string): Promise<string> {
 *     using session = (await this.replica).session(token);
 *     const cart = ((await session.get('cart')) ?? []) as string[];
 *     await session.set('cart', [...cart, sku]);
 *     return session.sealed();
 *   }
 * }
 * ```
 */
export abstract class ReplicaObject<Env = unknown, M = KeyMap> extends DurableObject<Env> {
  /**
   * The replica, open before the first event arrives. If it cannot be opened (`STORAGE_FAILED`, for example), the event
   * fails with that error and the next event tries again.
   */
  protected readonly replica: Promise<Replica<M>>;
  readonly #clock: AlarmClock;
  #live: Live<M> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#clock = new AlarmClock(ctx.storage);
    this.replica = ctx.blockConcurrencyWhile(() => this.#open());
    // The platform reports the failure to the sender of the event.
    this.replica.catch(() => {});
  }

  /**
   * The options of the replica, as for `openReplica`. Called once, after the constructor. By default the storage is the
   * object's own and the heartbeat is 10 minutes, because each heartbeat wakes the object; writes are sent at once all
   * the same. For the same reason clients of objects should use a `heartbeat` of minutes. Edges that are linked to
   * objects wake them when they report new or changed sessions, and once in 200 s to report all sessions.
   *
   * An object with a secret must say who decides about passwords: `authenticate` is a function, or `'accounts'`, and
   * then each `login` hashes here, which takes 20 ms of the processor and 20 MB of the 128 that an object has. Without
   * it `login` is refused with `UNSUPPORTED`.
   */
  protected options(): ReplicaOptions {
    return {};
  }

  /**
   * Other replicas to sync with, such as the stubs of objects in other regions; none by default. Called once, after the
   * constructor. Local writes are sent to each at once, and each is asked for news once per heartbeat. Two objects that
   * name each other exchange everything at once.
   */
  protected upstreams(): readonly Upstream[] {
    return [];
  }

  /**
   * Whether a request of the sync protocol may join; yes by default. If the replica has a secret, a peer with a token
   * (the header `Edge-Session` or the subprotocol `token.<token>`), which its key must have signed, is treated as a
   * client; a peer without a token must prove that it has a secret of the same cluster. `'trusted'` waives the proof:
   * the peer is believed, and reads and writes everything that the replica holds, like any peer of a replica without a
   * secret.
   */
  protected async authorize(_request: Request): Promise<Verdict> {
    return true;
  }

  /**
   * Serves the sync protocol and answers anything else with 426. A subclass with requests of its own calls this for the
   * rest.
   */
  override async fetch(request: Request): Promise<Response> {
    // A replica without a secret cannot verify tokens.
    const token = this.#here().guarded ? tokenOf(request) : undefined;
    const verdict = isSocket(request) || isExchange(request) ? await this.authorize(request) : false;
    const trusted = !this.#here().guarded || verdict === 'trusted';
    // Checked before the socket is accepted for hibernation: closing a hibernatable socket at once takes effect late.
    if (isSocket(request)) return this.#upgrade(verdict !== false && (token === undefined || admits(this.#here().replica, token)), token ?? null, trusted);
    if (!isExchange(request)) return notSync();
    return verdict === false ? refusal(unadmitted()) : this.#exchange(request, { token, proof: !trusted });
  }

  override webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): void | Promise<void> {
    if (this.#owns(socket)) this.#here().sockets.receive(socket, message);
  }

  override webSocketClose(socket: WebSocket, code: number, _reason: string, _wasClean: boolean): void | Promise<void> {
    if (!this.#owns(socket)) return;
    this.#here().sockets.remove(socket);
    try {
      // 1005 and 1006 stand for a missing close code and cannot be sent.
      socket.close(code === 1005 || code === 1006 ? 1000 : code);
    } catch {
      // Both sides have closed it already.
    }
  }

  override webSocketError(socket: WebSocket, _error: unknown): void | Promise<void> {
    if (this.#owns(socket)) this.#here().sockets.remove(socket);
  }

  /** Runs what is due. The platform's one alarm is set for the earliest deadline. */
  override async alarm(): Promise<void> {
    await this.#clock.ring(() => Promise.all(this.#here().upstreams.map((upstream) => upstream.idle())));
  }

  async #open(): Promise<Replica<M>> {
    // The first `await`: when it resumes, the constructor of the subclass has run.
    await this.#clock.wake();
    const options = optionsOf(this.options(), OPTIONS, 'options()');
    const given: ReplicaOptions = { storage: durableObjectStorage(this.ctx.storage), heartbeat: HEARTBEAT, ...options };
    // Without a secret it asks a replica that has one, so no `authenticate` is needed.
    if (options.secret !== undefined) given.authenticate ??= unsaid;
    const { replica, driver } = await open<M>(given, this.#clock.timers);
    // A trapped instance cannot go on: the platform makes a new object from what is stored.
    replica.on('crash', () => this.ctx.abort('the wasm instance trapped'));
    // The rollback or deletion that caused this may have removed the alarm, too.
    replica.on('renamed', () => this.#clock.doubt());
    const sockets = new Sockets(driver, this.ctx.getWebSockets(TAG));
    const guarded = options.secret !== undefined;
    const upstreams = this.upstreams().map((upstream) => new UpstreamLink(driver, upstream));
    this.#live = { replica, driver, sockets, upstreams, guarded };
    return replica;
  }

  #here(): Live<M> {
    if (this.#live !== undefined) return this.#live;
    throw new EdgeSessionError('REPLICA_CLOSED', 'the replica of this object is not open');
  }

  #owns(socket: WebSocket): boolean {
    return this.ctx.getTags(socket).includes(TAG);
  }

  #upgrade(admitted: boolean, pass: string | null, trusted: boolean): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    if (admitted) {
      this.ctx.acceptWebSocket(server, [TAG]);
      this.#here().sockets.add(server, { note: null, pass, trusted });
    } else {
      // Accepted and closed at once, because browsers show pages the code of a close but not the status of a refused
      // request.
      server.accept();
      server.close(CLOSE_UNAUTHORIZED, 'TOKEN_INVALID');
    }
    return new Response(null, { status: 101, webSocket: client, headers: { 'Sec-WebSocket-Protocol': SUBPROTOCOL } });
  }

  async #exchange(request: Request, joining: Joining): Promise<Response> {
    try {
      const reply = await this.#here().replica.exchange(await read(request), joining);
      return new Response(reply, { headers: { 'Content-Type': CONTENT_TYPE, 'Cache-Control': 'no-store' } });
    } catch (error) {
      if (EdgeSessionError.is(error)) return refusal(error);
      throw error;
    }
  }
}

/** The body of a request, up to the limit of a message. */
async function read(request: Request): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength;
    if (length > MESSAGE_BYTES) throw tooLong(MESSAGE_BYTES);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  // Backwards, so that `length` becomes the start of each chunk.
  for (const chunk of chunks.reverse()) bytes.set(chunk, (length -= chunk.byteLength));
  return bytes;
}

/** The token of a request. */
function tokenOf({ headers }: Request): string | undefined {
  return headers.get(TOKEN_HEADER) ?? offered(headers.get('Sec-WebSocket-Protocol')).token ?? undefined;
}

function refusal({ status, code, message }: EdgeSessionError): Response {
  return Response.json({ code, message }, { status, headers: { 'Cache-Control': 'no-store' } });
}
