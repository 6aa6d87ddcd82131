/**
 * The types of the boundary to the core: what the classes of the wasm module take and return.
 *
 * Times are arguments, in milliseconds since 1970. Any call may throw `{ code, message, … }`, an error of the core; any
 * other exception is a trap, after which the instance must not be called again. An operation returns its answer, or a
 * number: the id of a wait.
 */
import type { Missing, TokenInfo } from './types/data.js';
import type { Inspection } from './types/replica.js';
import type { ErrorCode } from './errors.js';
import type { Admin, Cell, Operation, QueryInfo, Role, SessionSummary } from './types/service.js';
import type { SessionInspection } from './types/session.js';

/** One wasm instance: its classes share one memory, and nothing with other instances. */
export interface CoreModule {
  readonly Replica: new (config: CoreConfig, seed: Uint8Array | undefined, now: number) => CoreReplica;
  readonly errorTable: () => { code: string; status: number; retryable: boolean; state: string }[];
}

export interface CoreConfig {
  label: string;
  space?: string;
  issuer?: string;
  keys?: { kid: string; key: Uint8Array }[];
  durable: boolean;
  roles?: boolean;
  limits?: Record<string, number>;
  session?: { expiresIn?: number; timeout?: number; tokenExpiresIn?: number; leeway?: number; idleTimeout?: number; queryTimeout?: number; slow?: number; publishEvery?: number };
  heartbeat?: number;
  ackPause?: number;
}

export interface CoreReplica {
  readonly id: string;
  load(bytes: Uint8Array, now: number): void;
  linkUp(link: number, now: number): void;
  linkUpEvery(link: number, heartbeat: number, now: number): void;
  linkDown(link: number, now: number): void;
  /**
   * What is known of the peer on a link, for `linkResume` in another instance of this replica; undefined while it is
   * unknown.
   */
  linkNote(link: number): Uint8Array | undefined;
  /** Takes over a link that stayed open while the replica was not in memory. */
  linkResume(link: number, note: Uint8Array, now: number): void;
  /** Opens a link to a client that comes with a token. The core judges its messages. */
  linkAdmit(link: number, token: string, note: Uint8Array | undefined, now: number): void;
  /** Whether the bearer of these tokens may join; undefined if this replica has no secret to verify them with. */
  admits(tokens: string, now: number): boolean | undefined;
  exchangeAs(link: number, token: string, bytes: Uint8Array, now: number): void;
  /**
   * Opens a link to a peer without a token. If this replica has a secret, the peer must prove that it has it, too.
   * `end`: 0 this end calls, 1 it is called, 2 it calls with each message.
   */
  linkProve(link: number, end: number, heartbeat: number | undefined, now: number): void;
  exchangeProved(link: number, bytes: Uint8Array, now: number): void;
  /** Returns the id of the wait for the answer, which is text. */
  call(method: string, args: string, token: string, timeout: number, now: number): number;
  replied(call: number, code: string | undefined, text: string, details: string | undefined, now: number): void;
  receive(link: number, bytes: Uint8Array, now: number): void;
  exchange(link: number, bytes: Uint8Array, now: number): void;
  tick(now: number): void;
  persisted(n: number, now: number): void;
  /** Sets the sink that collects effects. */
  attend(sink: CoreSink): void;
  /** Hands all effects to the sink. False after a trap. */
  poll(): boolean;
  interest(changes: boolean, conflicts: boolean, sessions: boolean): void;
  /** Remaining room in the store (keys, bytes), then its limits: key and value bytes, keys and bytes of a batch. */
  room(): Float64Array;
  session(init: CoreSessionInit, now: number): CoreSession;
  /** The roles to state before the next call: those of users whom any call may serve, and of the bearer of `token`. */
  wantedRoles(token: string | undefined): Wanted[];
  sayRoles(said: readonly Said[]): void;
  /** Whether a text begins like one of the core's own statements. */
  isOurs(text: string): boolean;
  /** The passwords in a text's statements: to be hashed, or to be compared with a hash. */
  secrets(text: string): [password: string, hash?: string | null][];
  run(text: string, hashes: string[], timeout: number, now: number): CoreTable | number;
  /** The hash that a login's password must be compared with. */
  loginHash(user: string, now: number): string | undefined;
  login(user: string, right: boolean, init: CoreSessionInit, now: number): CoreSession;
  killSession(id: string, reason: string | undefined, now: number): boolean;
  endQuery(plan: number, rows: number, failure: string | undefined, now: number): void;
  /** Begins a session with a token only, or with nothing. */
  resume(token: string | undefined, now: number): CoreSession;
  service<W extends 0 | 1 | 2 | 3 | 4>(what: W, now: number): CoreService[W];
  flush(timeout: number, now: number): number;
  synced(timeout: number, now: number): number;
  /**
   * The number of own writes that no peer has acknowledged, and the milliseconds since the replica last held everything
   * that its peers told of, or −1.
   */
  standing(now: number): Float64Array;
  take(wait: number): unknown;
  cancel(wait: number): void;
  next(watch: number, now: number): RawChange[];
  unwatch(watch: number): void;
  inspectToken(token: string): Bits<TokenInfo>;
  detached(token: string): string;
  inspect(): CoreInspection;
  snapshot(): Uint8Array;
  compaction(): { n: number; bytes: Uint8Array };
  restore(bytes: Uint8Array, now: number): void;
  absorb(bytes: Uint8Array, now: number): void;
  renew(now: number): void;
  suspect(suspect: boolean): void;
  free(): void;
  __destroy_into_raw?(): number;
}

/** A role that the core asks for, and the host's answer. */
export type Wanted = readonly [user: string | null, space: string];
export type Said = readonly [user: string | null, space: string, role: Role | null];

/** What `service` returns: sessions, running queries, ended queries, the operation log, the state of the cache. */
export type CoreService = [SessionSummary[], QueryInfo[], QueryInfo[], Operation[], ReturnType<Admin['cache']>];

/** The same with guarantees as bits. */
export type Bits<T extends { readonly guarantees: unknown }> = Omit<T, 'guarantees'> & { readonly guarantees: null extends T['guarantees'] ? number | null : number };

export type CoreInspection = Omit<Inspection, 'sessions' | 'links' | 'storage'> & { readonly sessions: Bits<SessionInspection>[]; readonly persisted: boolean };

export interface CoreSessionInit {
  token?: string;
  space?: string;
  /** A space that the bearer asks for: the session can do there what its role allows. */
  visit?: string;
  guarantees?: number;
  user?: string;
  client?: string;
  address?: string;
  onStale?: string;
  timeout?: number;
  expiresIn?: number;
  onRefused?: string;
}

export interface CoreSession {
  /** The session's identity; `toInfo` in handle.ts parses it. */
  info(): string;
  /** Whether the session's identity is that of an accepted token. */
  claimed(): boolean;
  get(key: string, terms: number, timeout: number, now: number): RawEntry | undefined | number;
  read(key: string, terms: number, timeout: number, now: number): RawOutcome | number;
  glance(key: string, terms: number, ahead: number, now: number): Glance | undefined;
  /**
   * Takes a part of a log, which `handOver` completes. If the text contains U+FFFD, which also replaces lone
   * surrogates, nothing is taken, and this returns false (`handOver` an empty list), unless `sure` says that the text
   * is well formed.
   */
  log(text: string, lengths: Uint32Array, sure: boolean): boolean;
  handOver(text: string, lengths: Uint32Array, terms: number, now: number, sure: boolean): Float64Array;
  recordReads(dots: Float64Array): void;
  /** Notes that the session was used, because reads of copies are use as well. */
  noteUse(now: number): void;
  list(range: RawRange, terms: number, timeout: number, now: number): RawEntry[] | number;
  conflicts(key: string, terms: number, now: number): RawEntry[];
  peek(key: string, now: number): RawEntry | undefined;
  set(key: string, kind: Kind, value: string | Uint8Array, ttl: number, terms: number, timeout: number, now: number): string | number;
  delete(key: string, terms: number, timeout: number, now: number): string | number;
  batch(ops: RawMutation[], terms: number, timeout: number, now: number): string | number;
  watch(range: RawRange | { key: string }, terms: number, timeout: number, now: number): number;
  merge(token: string, now: number): void;
  missing(token: string | undefined, now: number): Missing[];
  token(now: number): string;
  sealed(timeout: number, now: number): string | number;
  /** Like the replica's, for statements that the session may run. */
  secrets(text: string): [password: string, hash?: string | null][];
  run(text: string, hashes: string[], timeout: number, now: number): CoreTable | number;
  /** Like the replica's, for what this session is about to do; with `text`, for listings and these statements. */
  wantedRoles(text: string | undefined): Wanted[];
  /** The plan's number, and its deadline or −1. */
  beginQuery(statement: string, timeout: number, now: number): Float64Array;
  end(now: number): void;
  killSession(id: string, reason: string | undefined, now: number): boolean;
  service<W extends 0 | 1 | 2 | 3 | 4>(what: W, now: number): CoreService[W];
  inspect(): Bits<SessionInspection>;
  free(): void;
  __destroy_into_raw?(): number;
}

export type CoreSessionInfo = Pick<Bits<SessionInspection>, 'id' | 'user' | 'client' | 'space' | 'expiresAt' | 'guarantees' | 'resumed' | 'reason'>;

/** How a value is stored: 0 as a string, 1 as JSON text, 2 as bytes. */
export type Kind = 0 | 1 | 2;

/** What a key shows. If a copy may be kept, also its write: the number of the origin, and the sequence. */
export type Glance = readonly [kind: Kind, value: string | Uint8Array, origin?: number, sequence?: number, ...ahead: Ahead | []];

/**
 * The entry itself and neighbours that arrived at the replica together with it. `text` has their keys and values
 * joined. `numbers` has the number of entries and the range of places that they cover; for each entry the start of its
 * key, the start of its value, and its write shifted left by one bit, with its kind in that bit; the end of the text;
 * and for each write its origin, and the lower and upper half of its sequence.
 */
export type Ahead = readonly [text: string, numbers: Uint32Array];

export interface RawEntry {
  readonly key: string;
  readonly kind: Kind;
  readonly value: string | Uint8Array;
  readonly version: string;
  readonly expiresAt: number | null;
}

export type RawOutcome =
  | { readonly state: 'value'; readonly stale: boolean; readonly entry: RawEntry; readonly conflicts: number }
  | { readonly state: 'absent'; readonly stale: boolean }
  | { readonly state: 'behind' | 'lost'; readonly stale: boolean; readonly missing: Missing[] };

export interface RawChange {
  readonly key: string;
  readonly entry?: RawEntry | undefined;
  readonly version: string;
}

/** A change as an event, with its space. */
export interface RawSpaceChange extends RawChange {
  readonly type: 'change';
  readonly space: string;
}

export interface RawRange {
  prefix?: string;
  start?: string;
  end?: string;
  limit?: number;
  reverse?: boolean;
}

export type RawMutation =
  | [0, key: string, version: string | null]
  | [1, key: string, kind: Kind, value: string | Uint8Array, ttl: number]
  | [2, key: string];

/** A table, and the same table as text. */
export type CoreTable = readonly [columns: string[], rows: Cell[][], text: string];

/** Collects effects. It is called while the core is borrowed, so it must not call anyone. */
export interface CoreSink {
  persist(n: number, bytes: Uint8Array): void;
  transmit(link: number, bytes: Uint8Array): void;
  settled(wait: number): void;
  watch(watch: number): void;
  unsynced(unsynced: boolean): void;
  /** Negative if no alarm is needed. */
  timeout(at: number): void;
  /** Spaces and keys joined, and the length of each. `lengths` is a view that is invalid after the call. */
  forget(text: string, lengths: Uint32Array): void;
  /**
   * Space, key, version and value joined, and the lengths of the first three. With kind 3 the key shows nothing any
   * more.
   */
  change(text: string, space: number, key: number, version: number, kind: Kind | 3, expires: number, bytes: Uint8Array | undefined): void;
  /** All rarer effects. */
  other(effect: Effect): void;
}

export type Effect =
  | { readonly kind: 'abort'; readonly plan: number; readonly reason: ErrorCode }
  | { readonly kind: 'persist'; readonly n: number; readonly bytes: Uint8Array }
  | { readonly kind: 'transmit'; readonly link: number; readonly bytes: Uint8Array }
  | { readonly kind: 'settled'; readonly wait: number }
  | { readonly kind: 'watch'; readonly watch: number }
  | { readonly kind: 'forget'; readonly keys: readonly (readonly [space: string, key: string])[] | null }
  | { readonly kind: 'unsynced'; readonly unsynced: boolean }
  | { readonly kind: 'timeout'; readonly at: number | null }
  | { readonly kind: 'call'; readonly call: number; readonly method: string; readonly args: string; readonly token: string; readonly timeout: number }
  | { readonly kind: 'callOver'; readonly call: number }
  | { readonly kind: 'close'; readonly link: number; readonly error: unknown }
  | { readonly kind: 'event'; readonly event: CoreEvent };

/** A refused write of one key; without a kind it was a deletion. */
export interface RawRejected {
  readonly key: string;
  readonly kind?: Kind;
  readonly value?: string | Uint8Array;
}

export type CoreEvent =
  | RawSpaceChange
  | { readonly type: 'conflict'; readonly space: string; readonly key: string; readonly kept: string; readonly dropped: string }
  | { readonly type: 'renamed'; readonly old: string; readonly new: string }
  | { readonly type: 'rejected'; readonly space: string; readonly code: string; readonly writes: readonly RawRejected[] }
  | { readonly type: 'session'; readonly session: SessionSummary }
  | { readonly type: 'slow'; readonly query: QueryInfo }
  | { readonly type: 'peers'; readonly count: number }
  | { readonly type: 'error'; readonly error: unknown };
