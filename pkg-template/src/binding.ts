/**
 * The boundary to the core, as types: what the wasm module's classes take and answer.
 *
 * Times are milliseconds of the epoch and arguments. Any call may throw `{ code, message, … }`, an error of the core's;
 * whatever else it throws is a trap, after which the instance must not be called again. An operation answers its
 * answer, or a number: the id of a wait.
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
  /** What is known of the peer on a link, for `linkResume` in another instance of this replica; nothing while it is unknown. */
  linkNote(link: number): Uint8Array | undefined;
  /** A link that has stayed open while the replica was not in memory. */
  linkResume(link: number, note: Uint8Array, now: number): void;
  /** A link to who comes with a token: a client, whose messages are judged. */
  linkAdmit(link: number, token: string, note: Uint8Array | undefined, now: number): void;
  /** Whether who comes with these tokens may join; undefined where there is no secret to tell by. */
  admits(tokens: string, now: number): boolean | undefined;
  exchangeAs(link: number, token: string, bytes: Uint8Array, now: number): void;
  /** A link to who shows no token: with a secret, the other end must prove that it has one too. `end`: 0 calls, 1 is called, 2 calls with each message. */
  linkProve(link: number, end: number, heartbeat: number | undefined, now: number): void;
  exchangeProved(link: number, bytes: Uint8Array, now: number): void;
  /** The number of the wait for the answer, which is text. */
  call(method: string, args: string, token: string, timeout: number, now: number): number;
  replied(call: number, code: string | undefined, text: string, details: string | undefined, now: number): void;
  receive(link: number, bytes: Uint8Array, now: number): void;
  exchange(link: number, bytes: Uint8Array, now: number): void;
  tick(now: number): void;
  persisted(n: number, now: number): void;
  /** Who collects effects. */
  attend(sink: CoreSink): void;
  /** Hands over every effect. */
  poll(): boolean;
  interest(changes: boolean, conflicts: boolean, sessions: boolean): void;
  /** What the store has place for (keys, bytes), and its limits: bytes of a key, of a value, keys and bytes of a batch. */
  room(): Float64Array;
  session(init: CoreSessionInit, now: number): CoreSession;
  /** Whose roles are to be said before the next call: of those whom any call may serve, and of who comes by `token`. */
  wantedRoles(token: string | undefined): Wanted[];
  sayRoles(said: readonly Said[]): void;
  /** Whether a text begins as one of the core's own statements. */
  isOurs(text: string): boolean;
  /** What a text's statements need done with passwords: to be hashed, or to be compared with a hash. */
  secrets(text: string): [password: string, hash?: string | null][];
  run(text: string, hashes: string[], timeout: number, now: number): CoreTable | number;
  /** The hash that a login's password is to be compared with. */
  loginHash(user: string, now: number): string | undefined;
  login(user: string, right: boolean, init: CoreSessionInit, now: number): CoreSession;
  killSession(id: string, reason: string | undefined, now: number): boolean;
  endQuery(plan: number, rows: number, failure: string | undefined, now: number): void;
  /** The same with nothing but a token, or with nothing. */
  resume(token: string | undefined, now: number): CoreSession;
  service<W extends 0 | 1 | 2 | 3 | 4>(what: W, now: number): CoreService[W];
  flush(timeout: number, now: number): number;
  synced(timeout: number, now: number): number;
  /** Own writes that no peer has acknowledged, and the milliseconds since everything that peers told of was here, or −1. */
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

/** Whose role is to be said, in which space; and what it is. */
export type Wanted = readonly [user: string | null, space: string];
export type Said = readonly [user: string | null, space: string, role: Role | null];

/** What is asked of the service: sessions, queries that run, those that have ended, operations in no order, how the cache does. */
export type CoreService = [SessionSummary[], QueryInfo[], QueryInfo[], Operation[], ReturnType<Admin['cache']>];

/** The same with guarantees as bits. */
export type Bits<T extends { readonly guarantees: unknown }> = Omit<T, 'guarantees'> & { readonly guarantees: null extends T['guarantees'] ? number | null : number };

export type CoreInspection = Omit<Inspection, 'sessions' | 'links' | 'storage'> & { readonly sessions: Bits<SessionInspection>[]; readonly persisted: boolean };

export interface CoreSessionInit {
  token?: string;
  space?: string;
  /** A space that the bearer asks for: the session is in it as far as its role goes. */
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
  /** Who it is, for `CoreSessionInfo`: see `toInfo` in handle.ts. */
  info(): string;
  /** Whether a token that was accepted says who it is. */
  claimed(): boolean;
  get(key: string, terms: number, timeout: number, now: number): RawEntry | undefined | number;
  read(key: string, terms: number, timeout: number, now: number): RawOutcome | number;
  glance(key: string, terms: number, ahead: number, now: number): Glance | undefined;
  /**
   * The first part of a log that `handOver` brings to its end. False, and from that an empty list, where nothing was taken: U+FFFD is in
   * the text, whose place it also takes of what has no UTF-8. Who is sure that it has says so.
   */
  log(text: string, lengths: Uint32Array, sure: boolean): boolean;
  handOver(text: string, lengths: Uint32Array, terms: number, now: number, sure: boolean): Float64Array;
  recordReads(dots: Float64Array): void;
  /** Reads of copies are use as well. */
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
  /** As the replica's, as far as the session may run them. */
  secrets(text: string): [password: string, hash?: string | null][];
  run(text: string, hashes: string[], timeout: number, now: number): CoreTable | number;
  /** As the replica's, for what this session is about to do; with a `text`, for lists and these statements. */
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

/** How a value is stored: 0 a string as it is, 1 JSON text, 2 bytes. */
export type Kind = 0 | 1 | 2;

/** What a key shows, and whose write it is where a copy may be kept: the number of a replica, and a sequence. */
export type Glance = readonly [kind: Kind, value: string | Uint8Array, origin?: number, sequence?: number, ...ahead: Ahead | []];

/** The copy itself and those of keys that came to the replica together with it: keys and values joined; how many there are, and
 * between which places; for each where its key begins, where its value, and its write (shifted left by one bit, under which its
 * kind stands); the end of the text; and for each write its replica's number, and the lower and upper half of its sequence. */
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

/** A change as an event: it names its space. */
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

/** A table, and the same as text. */
export type CoreTable = readonly [columns: string[], rows: Cell[][], text: string];

/** Who collects effects. Called in the middle of a call of the core's: it must not call anybody. */
export interface CoreSink {
  persist(n: number, bytes: Uint8Array): void;
  transmit(link: number, bytes: Uint8Array): void;
  settled(wait: number): void;
  watch(watch: number): void;
  unsynced(unsynced: boolean): void;
  /** Negative: no alarm is needed. */
  timeout(at: number): void;
  /** Spaces and keys joined, and the length of each, in a view that is gone after the call. */
  forget(text: string, lengths: Uint32Array): void;
  /** Space, key, version and value joined, and the lengths of the first three. Kind 3: the key shows nothing any more. */
  change(text: string, space: number, key: number, version: number, kind: Kind | 3, expires: number, bytes: Uint8Array | undefined): void;
  /** What is rare. */
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

/** A write of one key that was refused; without a kind it was a deletion. */
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
