/**
 * A Durable Object that is a replica.
 *
 * Invariants: its state is in memory before the first event, taken from its own SQLite database; nothing of it is anywhere
 * else, so eviction, hibernation and a crash cost nothing that was acknowledged. Every event is applied, stored and answered in
 * one turn. It has no `setTimeout`, no module-level state, and no session of its own: each request begins its own session.
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

// Sockets that are the subclass's own affair carry other tags, or none.
const TAG = 'edge-session';
// Peers on sockets that hibernate hear from this object when there is something to hear.
const HEARTBEAT = '10m';

/** What answers a login where the options say nothing of passwords. */
function unsaid(): never {
  throw new EdgeSessionError('UNSUPPORTED', "this object was not told who decides about passwords; its options() need authenticate: a function, or 'accounts'");
}

/** What there is once the replica is open. */
interface Live<M> {
  readonly replica: Replica<M>;
  readonly driver: Driver;
  readonly sockets: Sockets;
  readonly upstreams: readonly UpstreamLink[];
  /** Whether it holds a key, and so can tell who comes. */
  readonly guarded: boolean;
}

/**
 * A Durable Object that is a replica: storage, hibernation and alarms are handled. Extend it, and serve your requests under
 * sessions of `this.replica`; one session a request, begun with the token that came with it.
 *
 * It serves the sync protocol in `fetch` (see {@link routeReplica}): WebSockets, which hibernate, and POST. Its class belongs
 * into `new_sqlite_classes`. It uses the object's one alarm: a subclass with deadlines of its own keeps them elsewhere.
 * Errors that lie outside of any call are told by `replica.on('error')`.
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
   * The replica, open before the first event comes. Where it cannot be opened (`STORAGE_FAILED` and the like), the event
   * fails with that and the next one tries again.
   */
  protected readonly replica: Promise<Replica<M>>;
  readonly #clock: AlarmClock;
  #live: Live<M> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#clock = new AlarmClock(ctx.storage);
    this.replica = ctx.blockConcurrencyWhile(() => this.#open());
    // The platform tells whoever sent the event.
    this.replica.catch(() => {});
  }

  /**
   * How the replica is opened, as for `openReplica`. Called once, after the constructor. The storage is the object's own,
   * and the heartbeat 10 minutes, unless said otherwise: whatever is written is sent at once all the same, and each
   * heartbeat wakes the object. For the same reason clients of objects do well with a `heartbeat` of minutes. Edges that are linked
   * to objects wake them when they tell of sessions that are new or have changed, and once in 200 s of all that they have.
   *
   * An object with a secret says who decides about passwords: `authenticate` is a function of yours, or `'accounts'`, and then each
   * `login` hashes here, which takes 20 ms of the processor and 20 MB of the 128 that an object has. Without it `login` is refused
   * with `UNSUPPORTED`.
   */
  protected options(): ReplicaOptions {
    return {};
  }

  /**
   * Other replicas to keep in step with, such as the stubs of objects in other regions. None unless said otherwise. Called once, after
   * the constructor. What is written here is sent to each at once, and once in a heartbeat each is asked for news; two that name each
   * other hear of everything at once.
   */
  protected upstreams(): readonly Upstream[] {
    return [];
  }

  /**
   * Whether a request of the sync protocol may join: yes, unless said otherwise. Where the replica has a secret, who comes with a token
   * (the header `Edge-Session` or the subprotocol `token.<token>`), which its key must have signed, is judged as a client; who
   * comes without one must prove that it has a secret of the same cluster. `'trusted'` spares it that: it is believed, and sees
   * and writes everything that the replica holds, as everybody does where there is no secret.
   */
  protected async authorize(_request: Request): Promise<Verdict> {
    return true;
  }

  /** Answers requests of the sync protocol, and 426 to others. A subclass that has some of its own calls this for the rest. */
  override async fetch(request: Request): Promise<Response> {
    // A replica without a secret cannot look at tokens.
    const token = this.#here().guarded ? tokenOf(request) : undefined;
    const verdict = isSocket(request) || isExchange(request) ? await this.authorize(request) : false;
    const trusted = !this.#here().guarded || verdict === 'trusted';
    // Looked at before the socket is accepted: what hibernates is closed late that is closed at once.
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
      // 1005 and 1006 are what is seen where the other side said nothing; they cannot be said.
      socket.close(code === 1005 || code === 1006 ? 1000 : code);
    } catch {
      // It is closed on both sides already.
    }
  }

  override webSocketError(socket: WebSocket, _error: unknown): void | Promise<void> {
    if (this.#owns(socket)) this.#here().sockets.remove(socket);
  }

  /** Does what is due. The platform's one alarm is set for the earliest deadline. */
  override async alarm(): Promise<void> {
    await this.#clock.ring(() => Promise.all(this.#here().upstreams.map((upstream) => upstream.idle())));
  }

  async #open(): Promise<Replica<M>> {
    // The first wait: when it ends, the constructor of the subclass has run.
    await this.#clock.wake();
    const options = optionsOf(this.options(), OPTIONS, 'options()');
    const given: ReplicaOptions = { storage: durableObjectStorage(this.ctx.storage), heartbeat: HEARTBEAT, ...options };
    // Without a secret it asks one that has: there is nothing to say.
    if (options.secret !== undefined) given.authenticate ??= unsaid;
    const { replica, driver } = await open<M>(given, this.#clock.timers);
    // An instance that trapped is over: the platform makes a new object of what is stored.
    replica.on('crash', () => this.ctx.abort('the wasm instance trapped'));
    // With what was undone or deleted its alarm may have gone.
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
      // Accepted and closed at once: a browser tells its page the code of a close, but nothing of a refused request.
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

/** The body of a request, as far as it is no longer than a message may be. */
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
  // From the end: what is left is where the chunk begins.
  for (const chunk of chunks.reverse()) bytes.set(chunk, (length -= chunk.byteLength));
  return bytes;
}

/** The token that comes with a request. */
function tokenOf({ headers }: Request): string | undefined {
  return headers.get(TOKEN_HEADER) ?? offered(headers.get('Sec-WebSocket-Protocol')).token ?? undefined;
}

function refusal({ status, code, message }: EdgeSessionError): Response {
  return Response.json({ code, message }, { status, headers: { 'Cache-Control': 'no-store' } });
}
