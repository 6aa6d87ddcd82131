/**
 * The replica: its options, its operations besides sessions, its events and its inspection.
 */
import type { EdgeSessionError, ErrorCode } from '../errors.js';
import type { Change, Duration, KeyMap, Token, TokenInfo, Version } from './data.js';
import type { AbortSignalLike, Link, LinkState, StorageAdapter, Transport } from './plug.js';
import type { Admin, QueryContext, QueryInfo, Role, SessionSummary } from './service.js';
import type { Session, SessionInit, SessionInspection, Wait } from './session.js';

/**
 * A key that signs or verifies tokens: at least 32 bytes; a string is base64url. `kid` names it inside of the token.
 */
export interface Secret {
  kid: string;
  key: Uint8Array | string;
}

/**
 * Limits. An operation that would exceed one is refused with `QUOTA_EXCEEDED`, `KEY_INVALID`, `VALUE_TOO_LARGE` or
 * `TOKEN_TOO_LARGE`, and changes nothing.
 */
export interface Limits {
  /**
   * Bytes of all keys and values together, plus 64 for each entry. Expiry times do not count: entries that are made and
   * expire together share theirs.
   */
  bytes?: number | undefined;
  /** Keys, including deleted ones that other replicas still have to hear of. */
  keys?: number | undefined;
  keyBytes?: number | undefined;
  valueBytes?: number | undefined;
  /** Keys that one batch writes or checks. */
  batchKeys?: number | undefined;
  /** Bytes that one batch writes. */
  batchBytes?: number | undefined;
  /** Siblings of one key; above that a replica with a secret resolves them. */
  siblings?: number | undefined;
  spaces?: number | undefined;
  /**
   * Sessions of this replica; further ones are refused with `MAX_CONNECTIONS_EXCEEDED`, as with the next two limits.
   */
  sessions?: number | undefined;
  /**
   * Sessions of one user in the fleet, as far as this replica knows. If two sides of a partition have admitted more
   * together, those that were idle for longest are killed after the partition has healed.
   */
  sessionsPerUser?: number | undefined;
  /** The same for the sessions of one user from one `clientIp`. */
  sessionsPerAddress?: number | undefined;
  /** Sessions that are kept in memory; a session that was dropped resumes from its token. */
  cachedSessions?: number | undefined;
  /** Bytes that these may take. */
  cachedSessionBytes?: number | undefined;
  /**
   * Bytes of a token that is minted here: 1024 by default, which is also the maximum. Above five eighths of it a token
   * is folded.
   */
  tokenBytes?: number | undefined;
  /**
   * Ids under which one client writes over one link: 16 by default. A reload keeps its id; a refused write costs one.
   */
  clientIds?: number | undefined;
  /**
   * New ids (under which nobody has written in their space yet) that a client's session may bring at once: 64 by
   * default, and one more each minute; all sessions of a user together sixteen times as many. Further ones are answered
   * `RATE_LIMITED`, and accepted when they come again later.
   */
  clientBirths?: number | undefined;
  /**
   * Simultaneous links of a client's session: 32 by default. One more is refused with `RATE_LIMITED`, and retries with
   * pauses.
   */
  clientLinks?: number | undefined;
  /** Writes of one id of a client that may come at once, including overwritten ones: 2²⁴ by default. */
  clientSequences?: number | undefined;
  /** Bytes of deltas that come in slices, over all links of a client's session: 16 MiB by default. */
  clientStagedBytes?: number | undefined;
  /**
   * Messages of a client's session per second, on average, over all its links and requests: 100 by default. Ten
   * seconds' worth may come at once; more is dropped. The same holds for the next limit.
   */
  clientMessages?: number | undefined;
  /** Bytes that it sends per second: 1 MiB by default. */
  clientBytes?: number | undefined;
  /** Bytes that it is sent per second: 8 MiB by default. What it asks for beyond that waits. */
  clientSentBytes?: number | undefined;
}

/** Defaults of sessions at one replica. */
export interface SessionDefaults {
  /** The life of a new session, counted from its beginning; nothing extends it. A day by default. */
  expiresIn?: Duration | undefined;
  /** The deadline of its operations; a second by default. */
  timeout?: Duration | undefined;
  /**
   * How long a token lives that is signed here. Each `sealed()` gives a fresh one, so a user who returns in time goes
   * on, and a lost or stolen token ends soon. No token outlives its session. As long as the session by default.
   */
  tokenExpiresIn?: Duration | undefined;
  /** The time after which an unused session ends; never by default. A running query counts as use. */
  idleTimeout?: Duration | undefined;
  /** How long a query may take, unless it sets a timeout itself; unlimited by default. */
  queryTimeout?: Duration | undefined;
  /** Queries that take this long are reported with the event `slow`; a second by default. */
  slow?: Duration | undefined;
  /**
   * How soon, and how often at most, the other replicas with a secret are told of a session here that is new or has
   * changed, so that `SHOW SESSIONS` lists it there; 5 s unless said otherwise, `false`: never. That it is used they
   * hear later: once in 200 s, and in a third of `idleTimeout`. A replica without a secret tells nobody.
   */
  publishEvery?: Duration | false | undefined;
  /** How much longer than its end a token is accepted, for clocks that differ; 0 by default, at most a minute. */
  leeway?: Duration | undefined;
}

/** Options of `openReplica`. */
export interface ReplicaOptions {
  /** The label that begins this replica's id, for people: at most 16 of `[a-z0-9-]`. */
  id?: string | undefined;
  /** Where the data lives; in memory by default. */
  storage?: StorageAdapter | undefined;
  /** Starts to synchronise at once. */
  connect?: Transport | readonly Transport[] | undefined;
  /**
   * The default space of new sessions; `'default'` unless said otherwise. 1 to 64 of `A-Z a-z 0-9 _ - .`. At a replica
   * with a secret and without accounts a session may use the space in which it was begun here, or which its token
   * names, and no other, until there are accounts with roles or `roleOf`.
   */
  space?: string | undefined;
  /** Signs and verifies tokens: the first signs, all verify. A replica without one serves anonymous sessions alone. */
  secret?: Secret | readonly Secret[] | undefined;
  /** The name of the cluster, `iss` in its tokens; `'edge-session'` by default. */
  issuer?: string | undefined;
  /** Limits of what is accepted. */
  limits?: Limits | undefined;
  /** Defaults of sessions. */
  session?: SessionDefaults | undefined;
  /**
   * How often a quiet link is refreshed, which heals lost messages; two seconds unless said otherwise. What is not
   * acknowledged is sent again after a second, or half a shorter heartbeat (a quarter of a second at least), and ever
   * more seldom.
   */
  heartbeat?: Duration | undefined;
  /**
   * How objects and lists that were read are handed out. `'fresh'`, which is what goes unsaid: each read makes its own,
   * which the caller may change. `'frozen'`: deeply frozen, and the same object for every read of a key as long as it
   * holds the same JSON, whoever reads it by whichever call, so that `===` tells whether a key has changed: for
   * selectors, `memo` and signals. To read one again costs what a string costs; nobody's change of it can do harm, for
   * there is none (in strict mode it throws).
   *
   * What is written is copied either way. Bytes cannot be frozen: each read copies them. Objects of other spaces
   * (`session.remote`), siblings (`session.conflicts`) and those in events are objects of their own; the first two are
   * frozen. Of frozen objects the replica keeps those that were asked for last, up to 16 million characters of JSON,
   * and what `session.sync.get` has ready where storage is memory; one that was let go of is made anew.
   *
   * @example
   * ```ts
   * type Keys = { [key: `cart:${string}`]: { items: string[] } };
   * await using replica = await openReplica<Keys>({ values: 'frozen' });
   * const session = replica.session();
   * await session.set('cart:42', { items: ['book'] });
   * const cart = await session.get('cart:42');
   * console.log(cart === session.sync.get('cart:42')); // true
   * await session.set('cart:42', { ...cart, items: [...(cart?.items ?? []), 'pen'] });
   * console.log(cart === session.sync.get('cart:42')); // false
   * ```
   */
  values?: 'fresh' | 'frozen' | undefined;
  /** The time in milliseconds since 1970; `Date.now` by default. */
  clock?: (() => number) | undefined;
  /**
   * Runs text that is not a statement of the session service, as a query that can be killed and timed. Its result
   * becomes a table: a {@link Table}, rows as objects, or one value. Without it, such text is refused with `SYNTAX`.
   */
  execute?: ((statement: string, query: QueryContext & { readonly session: Session }) => unknown) | undefined;
  /**
   * Answers the role of a user (`null`: nobody in particular) in a space, instead of the roles that statements grant;
   * `null`: none. It is asked anew before each operation of a session, and before each message of a client, so a change
   * acts on the next one. It answers at once: keep what it needs in memory. It is called from within this replica, so
   * it may not use it; what it throws goes to `error` and counts as no role, as do a promise and whatever else is no
   * {@link Role}. `root` is God whatever it says, and who is God in one space is God in all. `GRANT` and `REVOKE` are
   * refused then.
   *
   * @example
   * ```ts
   * const replica = await openReplica({ secret, roleOf: (user, space) => members.get(space)?.get(user ?? '') ?? null });
   * ```
   */
  roleOf?: ((user: string | null, space: string) => Role | null) | undefined;
  /**
   * Decides about passwords instead of the accounts of the replica; `login` asks it. It counts wrong ones itself:
   * nothing is locked here. `'accounts'`, which is what goes unsaid: the accounts decide. An object of Cloudflare's
   * that has a secret must say one or the other.
   */
  authenticate?: 'accounts' | ((user: string, password: string) => boolean | Promise<boolean>) | undefined;
  /** Ends the opening with `ABORTED`, and later closes the replica. */
  signal?: AbortSignalLike | undefined;
}

/** Who comes with a message. */
export interface Joining {
  /**
   * The token with which the other end came (or several, with commas between), where this replica has a secret: what it
   * sends is then judged as a client's, and it receives the spaces that its session may read. Without it the message is
   * believed: give it for everybody who is not of your own cluster. Throws `TOKEN_INVALID`, `TOKEN_EXPIRED`,
   * `RATE_LIMITED`.
   */
  token?: string | undefined;
  /**
   * True for who shows no token, where this replica has a secret: the message must prove that it comes from a replica
   * with the same secret, such as `http` connects without a token, and that nobody else has sent it before. Throws
   * `TOKEN_INVALID`.
   */
  proof?: boolean | undefined;
}

/** A replica of the store: a full copy that serves sessions at once and synchronises when it can. */
export interface Replica<M = KeyMap> extends AsyncDisposable {
  /** Its id: label and 80 random bits. It changes when state was lost or restored; then `renamed` tells. */
  readonly id: string;
  /** How it stands, as a frozen snapshot; a change is told by `status`. */
  readonly status: Status;
  /**
   * Begins a session, or goes on with the one of a token. Never waits; a forged, damaged or expired token gives a
   * refused session, whose operations throw its `reason`.
   *
   * Throws `ARGUMENT_INVALID` for an option that is not of the documented form.
   */
  session(init?: Token | string | null | SessionInit): Session<M>;
  /**
   * Begins a session of a user who knows the password of their account.
   *
   * Rejects with `BAD_CREDENTIALS`, in the same words and after the same time for a wrong user and a wrong password;
   * after five failures at all replicas together the account is locked for a minute. Where all five were here, the
   * details tell for how long still (`lockedForMs`); otherwise the lock looks like a wrong password, or it would tell
   * that there is such an account. A replica without a secret knows no accounts, and asks the one that it is linked to;
   * `TIMEOUT` where that has not answered within 10 s.
   *
   * @example
   * ```ts
   * await replica.admin.createUser('ann', password);
   * const session = await replica.login('ann', password);
   * ```
   */
  login(user: string, password: string, init?: SessionInit): Promise<Session<M>>;
  /** The operator's calls. Whoever holds the replica is God here. */
  readonly admin: Admin;
  /** Synchronises through a transport until the link is closed (or `signal` aborts). */
  connect(transport: Transport, options?: { signal?: AbortSignalLike | undefined }): Link;
  /**
   * One round trip of the sync protocol over anything that carries bytes: takes a peer's message and answers the reply
   * for it; an empty message asks for the opening one. Replies acknowledge durable data only. Lost, doubled and
   * reordered messages are harmless.
   *
   * Rejects with `MESSAGE_MALFORMED` or `PROTOCOL_MISMATCH` (then nothing was taken from the message), `TIMEOUT` when
   * storage does not answer in time (10 s unless said otherwise), `ABORTED`.
   *
   * @example
   * ```ts
   * await paris.exchange(await tokyo.exchange(await paris.exchange(new Uint8Array())));
   * ```
   */
  exchange(message: Uint8Array, options?: Pick<Wait, 'signal' | 'timeout'> & Joining): Promise<Uint8Array>;
  /**
   * Resolves when all that was written so far is durable here. Rejects with `TIMEOUT` when storage does not answer in
   * time, `ABORTED`, `REPLICA_CLOSED`; what was written stays, and may become durable later.
   */
  flush(options?: Pick<Wait, 'signal' | 'timeout'>): Promise<void>;
  /**
   * Resolves when a peer has acknowledged all that was written at this replica so far: it is durable here and there,
   * and survives the loss of this replica. Any peer counts, another tab as well as a server, and each write may be
   * another peer's.
   *
   * Rejects with `TIMEOUT` (the default deadline of sessions unless said otherwise), `ABORTED`, `REPLICA_CLOSED`;
   * synchronisation goes on.
   *
   * @example
   * ```ts
   * await session.set('draft', text);
   * await replica.synced({ timeout: '10s' }); // now the laptop may be shut
   * ```
   */
  synced(options?: Pick<Wait, 'signal' | 'timeout'>): Promise<void>;
  /**
   * Calls `listener` at each event of a kind, after the operation that caused it is complete, so that it may call
   * anything here. Answers how to stop; `signal` stops too. What a listener throws goes to `console.error`; the others
   * run on.
   */
  on<E extends keyof Events>(type: E, listener: (event: Events[E]) => void, options?: { signal?: AbortSignalLike | undefined }): () => void;
  /** Everything about this replica as plain, JSON-safe data. */
  inspect(): Inspection;
  /** What a token says. Checks no signature; throws `TOKEN_INVALID` for what is no token at all. */
  inspectToken(token: Token | string): TokenInfo;
  /**
   * Whether who comes with this token, or with several (`token,token`), may join this replica now: each is signed by a
   * key of it, and the session is neither expired nor over. Begins no session. `undefined` where the replica has no
   * secret, and cannot tell.
   *
   * @example
   * ```ts
   * if (replica.admits(request.headers.get('Edge-Session') ?? '') === false) return new Response(null, { status: 401 });
   * ```
   */
  admits(tokens: Token | string): boolean | undefined;
  /**
   * All data as bytes, for {@link Replica.restore}. Throws `STALE_REPLICA` while a write is not durable yet: flush
   * first.
   */
  snapshot(): Uint8Array;
  /**
   * Joins a snapshot into this replica, which then takes a new id. Resolves once that is durable.
   * Rejects with `MESSAGE_MALFORMED` and changes nothing when the bytes are damaged.
   */
  restore(snapshot: Uint8Array): Promise<void>;
  /**
   * Closes links, stores what was written, lets go of storage. Whatever waits is rejected with `REPLICA_CLOSED`, and so
   * is every later call. Idempotent.
   *
   * Rejects with `TIMEOUT` when storage does not answer in time (10 s unless said otherwise), and with `ABORTED`: the
   * replica is over all the same, but what was not durable may be lost with the process (`details.pending` counts
   * records). Nobody else gets its storage before that has answered, because it may still write.
   */
  close(options?: Pick<Wait, 'signal' | 'timeout'>): Promise<void>;
}

/** How a replica stands. */
export interface Status {
  /** Whether a peer is connected. */
  readonly online: boolean;
  /** Connected peers. */
  readonly peers: number;
  /** Records on their way to storage. */
  readonly pending: number;
  /** Writes of this replica that no peer has acknowledged: what {@link Replica.synced} waits for. */
  readonly unsynced: number;
  /**
   * How old, at most, the data here is: milliseconds since everything that a peer told of was here, `null` where that
   * was never so. With a peer it stays below some heartbeats; it grows while there is none. It is counted anew at each
   * look, and no event tells.
   */
  readonly lagMs: number | null;
  /** Whether storage keeps what is written: false in memory, and while storage fails. */
  readonly persisted: boolean;
}

/** What a replica tells through `on`. */
export interface Events {
  /**
   * {@link Replica.status} changed: peers came or went, something is pending or unsynced or nothing is any more,
   * storage failed.
   */
  status: Status;
  /** A link's state changed. */
  link: { readonly kind: string; readonly state: LinkState; readonly error: EdgeSessionError | null };
  /** A key changed, through whomever. No session has read it yet. */
  change: Change & { readonly space: string };
  /** Two writes of a key did not see each other: which one `get` answers now, and which one it does not. */
  conflict: { readonly space: string; readonly key: string; readonly kept: Version; readonly dropped: Version };
  /** The replica took a new id. */
  renamed: { readonly old: string; readonly new: string };
  /**
   * Writes of this replica that the edge has refused, which are undone here; `value` is undefined for a deletion. The
   * code tells why: `CLOCK_DRIFT`, `PERMISSION_DENIED`, `VALUE_TOO_LARGE`, … Other writes that came with them were made
   * again, under a new id.
   */
  rejected: { readonly space: string; readonly code: ErrorCode; readonly writes: readonly { readonly key: string; readonly value: unknown }[] };
  /** A session is over: it has expired here, was logged out, or killed. */
  session: { readonly session: SessionSummary };
  /** A query took long: a second, unless `session.slow` says otherwise. */
  slow: QueryInfo;
  /**
   * What went wrong outside of any call: storage, a peer's message, a transport. Without a listener it goes to
   * `console.error`.
   */
  error: EdgeSessionError;
  /** The wasm instance trapped. This replica is over; what was durable is in storage, and other replicas live on. */
  crash: { readonly recovered: boolean; readonly cause: unknown };
}

/** What `replica.inspect()` shows. Vectors are of durable data. */
export interface Inspection {
  readonly version: string;
  readonly replica: string;
  /** The version vector of each space: replica to sequence. */
  readonly vectors: Record<string, Record<string, number>>;
  readonly keys: number;
  /** Bytes of keys and values. */
  readonly bytes: number;
  /** Bytes of the wasm instance's memory. */
  readonly wasmBytes: number;
  /** Whether it has a secret, and so signs tokens. */
  readonly trusted: boolean;
  readonly sessions: readonly SessionInspection[];
  /** Connected peers: who each is, once it has said so, and what it is known to hold. */
  readonly peers: readonly { readonly link: number; readonly replica: string | null; readonly holds: Readonly<Record<string, Readonly<Record<string, number>>>> }[];
  /**
   * Messages that were sent, received, and dropped because a peer was slow; `error` is the code of what went wrong
   * last.
   */
  readonly links: readonly {
    readonly kind: string;
    readonly state: LinkState;
    readonly error: string | null;
    readonly peers: number;
    readonly sent: number;
    readonly received: number;
    readonly dropped: number;
  }[];
  readonly storage: { readonly kind: string; readonly persisted: boolean; readonly pending: number };
}
