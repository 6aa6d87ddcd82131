/**
 * The session: the operations whose answers never go back behind what this session has seen, however often it changes its
 * replica.
 *
 * What a replica is, and how replicas reach each other, is none of its concern.
 */
import type { ErrorCode } from '../errors.js';
import type { AbortSignalLike } from './plug.js';
import type { QueryContext, QueryOptions, Role, SessionAdmin, SessionStats, StateChange, Table } from './service.js';
import type { Change, Dependencies, Duration, Entry, Guarantee, Guarantees, Key, KeyMap, KeyRange, Missing, Outcome, Token, Version } from './data.js';

/** What to do when this replica is behind the session: wait for the missing writes, throw, or answer and say that it is stale. */
export type StalePolicy = 'wait' | 'throw' | 'serve';

/** Options of everything that may wait. */
export interface Wait {
  /** Ends the wait with `ABORTED`. A write that is not applied yet is then never applied; one that was applied stays. */
  signal?: AbortSignalLike | undefined;
  /** How long to wait; the session's default otherwise (1 s unless the session says another). Nothing waits for ever. */
  timeout?: Duration | undefined;
  /** For this operation alone, narrower or wider than the session's. */
  guarantees?: Guarantees | undefined;
  /** For this operation alone. `serve` is for reads; on a write it means `throw`. */
  onStale?: StalePolicy | undefined;
}

/** How a session begins. */
export interface SessionInit {
  /**
   * Goes on with the session of this token. Several, with commas between them (at most four signed ones, and 4 KiB), are one
   * session: the first signed one says whose it is, all say what it has seen.
   */
  token?: Token | string | null | undefined;
  /** The space that its keys are in; the replica's default space otherwise. */
  space?: string | undefined;
  /** Which guarantees hold; all four unless said otherwise. */
  guarantees?: Guarantees | undefined;
  /** Whose session it is: a name, not an empty text. Signed into the token by a replica that has a secret. */
  user?: string | undefined;
  /** Names the device or program; shown by `inspect()`. */
  client?: string | undefined;
  /** The client's address, as the host knows it; for lists, and for the limit of sessions from one address. */
  clientIp?: string | undefined;
  /** `wait` unless said otherwise. */
  onStale?: StalePolicy | undefined;
  /** The default deadline of this session's operations. */
  timeout?: Duration | undefined;
  /** The session's life, counted from now; nothing renews it. */
  expiresIn?: Duration | undefined;
  /** What a token that is refused leads to: a session whose operations throw the reason (the default), or a fresh anonymous one. */
  onRefused?: 'throw' | 'anonymous' | undefined;
}

/**
 * A session at one replica.
 *
 * Every operation may throw (reject with) the session's {@link Session.reason}, `REPLICA_CLOSED`, `REPLICA_CRASHED`, `ABORTED`
 * through its signal, `KEY_INVALID`, `ARGUMENT_INVALID`; where this replica is behind the session, `STALE_REPLICA` (at the
 * deadline under `wait`, at once under `throw`), and `DEPENDENCY_LOST`. None of these changes anything.
 */
export interface Session<M = KeyMap> extends Disposable {
  readonly id: string;
  readonly user: string | null;
  readonly space: string;
  /**
   * Until when it operates here, in milliseconds of the epoch; `null` for a session without an end. At a replica without a
   * secret that is the end of its token, which merging a later token of the same session puts off.
   */
  readonly expiresAt: number | null;
  readonly guarantees: readonly Guarantee[];
  /** Whether a token was accepted. */
  readonly resumed: boolean;
  /** Why this session is refused (`TOKEN_INVALID`, `TOKEN_EXPIRED`, …), else `null`. Its operations throw the same. */
  readonly reason: ErrorCode | null;
  /**
   * What this session has seen, as a token, at once. It covers durable writes only: right after a write to a slow storage
   * it may lack that write; {@link Session.sealed} waits for it.
   *
   * Throws `TOKEN_TOO_LARGE` where it would have more than 1 KiB: the session has seen the writes of many replicas, and this
   * one cannot fold them at once (`sealed` waits until it can) or at all (it has no secret, or lacks those writes).
   */
  readonly token: Token;
  /** The same operations under the same checks, without a promise and without waiting. */
  readonly sync: SyncSession<M>;
  /**
   * The operator's calls under this session's role: its own sessions and queries for anybody, those of its space for an Admin, all for God.
   * In a tab they are asked of the edge.
   *
   * @example
   * ```ts
   * for (const { id } of await session.admin.sessions({ user: 'ann' })) if (id !== session.id) await session.admin.killSession(id);
   * ```
   */
  readonly admin: SessionAdmin;
  /** Reads of spaces that this replica does not hold. */
  readonly remote: RemoteReads<M>;

  /**
   * Waits until this session's writes are durable and answers the token that covers them, signed where this replica
   * has a secret. Send it with every response.
   *
   * It has at most 1 KiB: where a session has seen the writes of many replicas, a replica with a secret folds them into one
   * of its own, which a peer must have taken first.
   *
   * Rejects with `TIMEOUT` when storage or that peer does not answer in time; then nothing is lost, and a later call may
   * succeed. Rejects with `TOKEN_TOO_LARGE` where no fold will help: this replica has no secret, or lacks those writes.
   *
   * `detached` says the same as a listing of two tokens: who the session is, and what it has seen. That is for cookies, which
   * overwrite each other; see `writeToken` of `edge-session/http`.
   *
   * @example
   * ```ts
   * const headers = { 'edge-session': await session.sealed({ timeout: '2s' }) };
   * ```
   */
  sealed(options?: Wait & { detached?: boolean | undefined }): Promise<Token>;
  /** The value of a key, `undefined` where it is proved absent. The short form of {@link Session.read}. */
  get<K extends Key<M>>(key: K, options?: Wait): Promise<M[K] | undefined>;
  /** The whole answer. Under `throw` a replica that is behind is an outcome, not an error. */
  read<K extends Key<M>>(key: K, options?: Wait): Promise<Outcome<K, M[K]>>;
  /** Value, version and expiry of a key, `undefined` where it is proved absent. */
  entry<K extends Key<M>>(key: K, options?: Wait): Promise<Entry<K, M[K]> | undefined>;
  /**
   * This replica's value, at once: no check, no trace in the session. Do not show it to a user whose session you care about.
   * Throws `STALE_REPLICA` while another session's write of it is not durable yet.
   */
  peek<K extends Key<M>>(key: K): M[K] | undefined;
  /**
   * Writes a value, which replaces every sibling of the key that is here, and answers its version once it is durable.
   * Other sessions of this replica see it no earlier.
   *
   * Rejects with `VALUE_INVALID`, `VALUE_TOO_LARGE` or `QUOTA_EXCEEDED`; then nothing is written. Getters and `toJSON` of the value run
   * before anything is done; what they throw is the `cause` of `VALUE_INVALID`.
   *
   * @example
   * ```ts
   * await session.set('cart:42', { items: ['book'] }, { ttl: '1h' });
   * ```
   */
  set<K extends Key<M>>(key: K, value: M[K], options?: Wait & { ttl?: Duration | undefined }): Promise<Version>;
  /** Deletes a key (also one that is absent) and answers the version of its absence. */
  delete(key: Key<M>, options?: Wait): Promise<Version>;
  /** The entries of a range in key order, read in one step when the iteration begins. */
  list<K extends Key<M>>(range?: KeyRange & Wait): AsyncIterable<Entry<K, M[K]>>;
  /**
   * Writes several keys in one step: all or none, here and on every replica that they reach.
   *
   * Rejects with `CONFLICT`, and writes nothing, when a `check` fails. A check is exact on this replica; a write
   * that another replica accepts at the same time becomes a sibling (see {@link Session.conflicts}).
   * `build` must not be async; when it throws, nothing was written.
   *
   * @example
   * ```ts
   * await session.batch((tx) => tx.check('stock', seen.version).set('stock', 4).set('order:1', { sku: 9 }));
   * ```
   */
  batch(build: (tx: Batch<M>) => unknown, options?: Wait): Promise<Version>;
  /**
   * The changes of a key or of all keys with a prefix, from this call on, own writes included. Each is a read of this session:
   * while the replica is behind, changes are held back. A slow consumer gets the last state of each key, not every one.
   * That an entry expires is no change; look at its `expiresAt`.
   *
   * `break`, and likewise an abort through `signal`, ends the iteration quietly. It throws `STALE_REPLICA` when the replica stays
   * behind for longer than the timeout, and `REPLICA_CLOSED` at close.
   *
   * @example
   * ```ts
   * for await (const change of session.watch({ prefix: 'cart:' }, { signal: AbortSignal.timeout(60_000) }))
   *   console.log(change.key, 'deleted' in change ? 'gone' : change.value);
   * ```
   */
  watch<K extends Key<M>>(keyOrPrefix: K | { prefix: string }, options?: Wait): AsyncIterableIterator<Change<K, M[K]>>;
  /** A key as a store for `useSyncExternalStore`, Svelte or signals. It costs nothing while nobody subscribes, and goes with its session to another space. */
  live<K extends Key<M>>(key: K): Live<M[K] | undefined>;
  /** The entries of a key that did not see each other; one or none when calm. The next write resolves them. */
  conflicts<K extends Key<M>>(key: K): readonly Entry<K, M[K]>[];
  /**
   * Joins what other tokens have seen into this session; who it is stays as it was. At a replica without a secret a later token
   * of this very session also renews it.
   * Throws `TOKEN_INVALID` or another reason of the first token that is refused; tokens before it are then merged.
   */
  merge(...tokens: (Token | string | null | undefined)[]): this;
  /** Whether this replica can serve the session (or the bearer of `token`) now. */
  satisfied(options?: { token?: Token | string | undefined }): boolean;
  /** What this replica lacks to serve the session (or the bearer of `token`), and which connected peer has it. */
  missing(options?: { token?: Token | string | undefined }): readonly Missing[];
  /**
   * Runs statements of the session service under this session's role, such as `SHOW SESSIONS` or `KILL QUERY (PLAN = 3)`, or what
   * `execute` of the replica knows; the table of the last one.
   *
   * Rejects with `SYNTAX` (the details name `position` and what was `expected`) and `SEMANTIC`, and then nothing has run; with
   * `PERMISSION_DENIED`, and what the statement says: then those before it have run. At a replica without a secret a session that
   * the cluster has signed has them run by the replica that it is linked to, once, however often the network breaks meanwhile; where
   * no answer comes in time (`TIMEOUT`) they may have run.
   *
   * @example
   * ```ts
   * const table = await session.run("SHOW SESSIONS | YIELD $-.SessionId AS id, $-.State AS state | LIMIT 10");
   * console.log(String(table));
   * ```
   */
  run(statement: string, options?: QueryOptions): Promise<Table>;
  /**
   * Runs any work as a query of this session: it is listed, timed, and can be killed. Rejects with `QUERY_KILLED`, `QUERY_TIMEOUT`,
   * `ABORTED` as soon as that is so, whatever the work does; what it brings later is dropped.
   *
   * @example
   * ```ts
   * const page = await session.track('report', ({ signal }) => fetch(url, { signal }), { timeout: '5s' });
   * ```
   */
  track<T>(statement: string, work: (query: QueryContext) => T | PromiseLike<T>, options?: QueryOptions): Promise<T>;
  /**
   * Logs the session out, everywhere: whoever holds a token of it is refused. Resolves once that is durable here. A replica without a
   * secret, as a tab is, ends it for itself alone: its word on sessions counts nowhere else. There, ask your server to end it as well.
   */
  end(): Promise<void>;
  /** Everything about this session as plain data. */
  inspect(): SessionInspection;
  /** Lets go of this handle, whose operations then throw `SESSION_NOT_FOUND`; whoever holds a token goes on. */
  [Symbol.dispose](): void;
}

/**
 * The hot path: no promise, no waiting. A write is accepted at once. With a storage it is durable after `replica.flush()`; until
 * then it is seen by this session alone, and nothing that depends on it leaves the replica. With memory as storage reads and
 * writes mostly stay on this side of the wasm boundary, under the same checks.
 *
 * Where the replica is behind the session, each throws `STALE_REPLICA` at once.
 */
export interface SyncSession<M = KeyMap> {
  /** The same session under other guarantees. */
  with(guarantees: Guarantees): SyncSession<M>;
  get<K extends Key<M>>(key: K): M[K] | undefined;
  entry<K extends Key<M>>(key: K): Entry<K, M[K]> | undefined;
  /**
   * Writes a value. It is visible at once to every session of this replica; other replicas hear of it after the current
   * task, of all that one session wrote in it as one atomic write. Its version is `entry(key)?.version`.
   */
  set<K extends Key<M>>(key: K, value: M[K], options?: { ttl?: Duration | undefined }): void;
  /** Deletes a key (also one that is absent). */
  delete(key: Key<M>): void;
  list<K extends Key<M>>(range?: KeyRange): Entry<K, M[K]>[];
  batch(build: (tx: Batch<M>) => unknown): Version;
}

/** Where a read is carried out, and for how long it is waited for. */
export interface Elsewhere extends Pick<Wait, 'signal' | 'timeout'> {
  /** The space to read; the session's own unless said otherwise. */
  space?: string | undefined;
}

/**
 * Reads that a tab asks of the edge that it is linked to, under the session's token: of spaces that the tab does not hold. What was read
 * is a read of this session, under its guarantees.
 *
 * Each rejects with what the edge says: `PERMISSION_DENIED` or `SPACE_NOT_FOUND` where its user may not read there, `STALE_REPLICA`,
 * `QUOTA_EXCEEDED` for an answer of more than 256 KiB (ask with a `limit`); with `TIMEOUT` where no answer comes in time, `ABORTED`,
 * `TOKEN_INVALID` for a session that no replica with the secret has signed, and `ARGUMENT_INVALID` at a replica that has the secret itself.
 *
 * @example
 * ```ts
 * const price = await session.remote.get('price:9', { space: 'catalogue', timeout: '5s' });
 * ```
 */
export interface RemoteReads<M = KeyMap> {
  /** The value of a key, `undefined` where it is proved absent. */
  get<K extends Key<M>>(key: K, options?: Elsewhere): Promise<M[K] | undefined>;
  /** Value, version and expiry of a key. */
  entry<K extends Key<M>>(key: K, options?: Elsewhere): Promise<Entry<K, M[K]> | undefined>;
  /** The entries of a range, in key order. */
  list<K extends Key<M>>(range?: KeyRange & Elsewhere): Promise<Entry<K, M[K]>[]>;
}

/** The writes of one atomic step, and what must hold for them. Usable only inside of `batch`. */
export interface Batch<M = KeyMap> {
  /** Refuses the whole batch with `CONFLICT` unless the key has exactly this version; `null`: unless it is absent. */
  check(key: Key<M>, version: Version | null): this;
  set<K extends Key<M>>(key: K, value: M[K], options?: { ttl?: Duration | undefined }): this;
  delete(key: Key<M>): this;
}

/**
 * One key as an observable value. The value is deeply frozen and stays the same object until it changes; while the replica
 * is behind the session, it stays what it was.
 */
export interface Live<T> {
  readonly value: T;
  /** Calls `listener` with the value now and after each change; answers how to stop. */
  subscribe(listener: (value: T) => void): () => void;
}

/** What `session.inspect()` shows. */
export interface SessionInspection {
  readonly id: string;
  readonly user: string | null;
  readonly client: string | null;
  readonly space: string;
  /** Its role in its space, as far as it is known here. */
  readonly role: Role | null;
  readonly expiresAt: number | null;
  readonly lastActiveAt: number | null;
  readonly guarantees: readonly Guarantee[];
  readonly resumed: boolean;
  readonly reason: ErrorCode | null;
  readonly activeQueries: number;
  readonly stats: SessionStats;
  /** What holds for its operations unless one says otherwise; `timeout` in milliseconds. */
  readonly config: { readonly onStale: StalePolicy; readonly timeout: number };
  /** The states that it has come into, the present one last. */
  readonly history: readonly StateChange[];
  /** The read vector in the session's space: replica to sequence. */
  readonly reads: Readonly<Record<string, number>>;
  /** The write vector in the session's space. */
  readonly writes: Readonly<Record<string, number>>;
  /** Both vectors of each space. */
  readonly spaces: Readonly<Record<string, Dependencies>>;
}
