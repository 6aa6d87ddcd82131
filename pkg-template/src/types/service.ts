/**
 * The session service: statements and their tables, queries, and what the operator of a replica sees and does.
 */
import type { ErrorCode } from '../errors.js';
import type { Duration } from './data.js';
import type { AbortSignalLike, PlatformSignal } from './plug.js';
import type { Session } from './session.js';

/** What a user is in a space; the order is that of power. */
export type Role = 'God' | 'Admin' | 'DBA' | 'User' | 'Guest';

/** One value of a table. */
export type Cell = string | number | null;

/** What a statement answers: plain data, which `String(table)` prints as a table. */
export interface Table {
  readonly columns: readonly string[];
  /** Each row has a cell for each column. */
  readonly rows: readonly (readonly Cell[])[];
  toString(): string;
}

/** What work that runs as a query is given. */
export interface QueryContext {
  /** The query's number at this replica, for `KILL QUERY`. */
  readonly planId: number;
  /** Aborts when the query is killed, its deadline passes, its session ends, or the replica closes: stop then, or hand it on. */
  readonly signal: PlatformSignal;
  /** When it must have ended, in milliseconds of the epoch; `null`: whenever. */
  readonly deadline: number | null;
}

/** Options of a query. */
export interface QueryOptions {
  /** How long it may take; the replica's `session.queryTimeout` otherwise. */
  timeout?: Duration | undefined;
  /** Ends it with `ABORTED`. */
  signal?: AbortSignalLike | undefined;
}

/** How a session stands. */
export type SessionState = 'active' | 'idle-expired' | 'expired' | 'ended' | 'killed';

/** What a session has done at its replica. */
export interface SessionStats {
  readonly queries: number;
  /** Reads that the core answered, and writes; those from the copies in front of it are not counted. */
  readonly reads: number;
  readonly writes: number;
  /** Answers that were served although the replica was behind. */
  readonly stale: number;
  /** Bytes of values read and written. */
  readonly bytes: number;
}

/** A state that a session has come into: when, and by whom and why, where somebody did it. */
export interface StateChange {
  readonly state: SessionState;
  readonly at: number;
  readonly by: string | null;
  readonly why: string | null;
}

/** A session as its replica knows it. */
export interface SessionSummary {
  readonly id: string;
  readonly user: string | null;
  /** Its role in its space; `null`: none, or not known here (as in events, and where the host's `roleOf` was not asked for it). */
  readonly role: Role | null;
  readonly space: string;
  /** The replica that serves it. */
  readonly replica: string;
  readonly client: string | null;
  readonly clientIp: string | null;
  /** Times in milliseconds of the epoch. */
  readonly createdAt: number;
  readonly lastActiveAt: number;
  readonly expiresAt: number;
  readonly state: SessionState;
  readonly activeQueries: number;
  /** Zeros for a session of another replica. */
  readonly stats: SessionStats;
  /** How old the row is: milliseconds since its replica has told of it; 0 for this replica's own. */
  readonly ageMs: number;
}

/** A query that runs, or has run. */
export interface QueryInfo {
  readonly plan: number;
  readonly session: string;
  /** What was asked, without passwords. */
  readonly statement: string;
  readonly user: string | null;
  readonly replica: string;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly status: 'Running' | 'Completed' | 'Failed' | 'Killed' | 'Timeout';
  /** Why it has failed. */
  readonly error: string | null;
  /** How old the row is: milliseconds since its replica has told of it; 0 for this replica's own. */
  readonly ageMs: number;
}

/** One line of the operation log. */
export interface Operation {
  readonly at: number;
  readonly replica: string;
  /** `null`: the host itself, or an anonymous session. */
  readonly user: string | null;
  readonly session: string | null;
  /** The statement, without passwords. */
  readonly action: string;
  /** The space in which it was said. */
  readonly target: string;
  readonly outcome: ErrorCode | 'OK';
}

/**
 * The replica's operator: its host, which is God here. Everything may reject with `REPLICA_CLOSED`; what changes accounts, roles
 * and spaces rejects with `PERMISSION_DENIED` at a replica without a secret, and resolves once it is durable.
 */
export interface Admin {
  /** Runs statements as God; the table of the last one. Rejects with `SYNTAX`, `SEMANTIC` and what the statements say. */
  run(statement: string, options?: QueryOptions): Promise<Table>;
  /**
   * The same calls under a session's role, instead of the host's: lists hold what it may see, and what it may not do rejects with
   * `PERMISSION_DENIED`. The session is one of this replica.
   */
  as(session: Session<any>): Admin;
  /**
   * The sessions of the fleet: those of this replica first, the one used last at the head; then those of which others have told, as
   * `ageMs` says. `local`: this replica's alone.
   */
  sessions(filter?: { user?: string | undefined; idleFor?: Duration | undefined; local?: boolean | undefined }): SessionSummary[];
  /** Kills a session wherever it is; whether it was known here. Its holders are refused with `SESSION_KILLED`. */
  killSession(id: string, reason?: string): Promise<boolean>;
  /** Kills the sessions of a user that are known, here or from others, but for one; how many. */
  killSessions(filter: { user: string; except?: string | undefined }): Promise<number>;
  /**
   * The queries that run in the fleet: this replica's, then those of which others have told (eight of a session, and the beginning of
   * each text), as `ageMs` says. `local`: this replica's alone. With `finished`, those that have ended here instead, the latest last;
   * statements that have only shown lists are not among them.
   */
  queries(filter?: { session?: string | undefined; slowerThan?: Duration | undefined; finished?: boolean | undefined; local?: boolean | undefined }): QueryInfo[];
  /**
   * Kills a query; rejects with `QUERY_NOT_FOUND`. One that runs elsewhere stops when the word has come to its replica, and goes on
   * while there is no way to it.
   */
  killQuery(session: string, plan: number): Promise<void>;
  /** Creates an account. Rejects with `USER_EXISTED`. */
  createUser(user: string, password?: string): Promise<void>;
  /** Drops an account; its sessions end. Rejects with `USER_NOT_FOUND`, and with `PERMISSION_DENIED` for root. */
  dropUser(user: string): Promise<void>;
  /** Sets a password; the sessions that came with the old one end. Rejects with `USER_NOT_FOUND`. */
  setPassword(user: string, password: string): Promise<void>;
  users(): Promise<string[]>;
  /** Who holds which role in a space. Rejects with `SPACE_NOT_FOUND`. */
  roles(space: string): Promise<{ user: string; role: Role }[]>;
  grant(user: string, role: Role, space: string): Promise<void>;
  /** Takes a role away. Rejects with `ROLE_NOT_FOUND`, or `IMPROPER_ROLE` where another one is held. */
  revoke(user: string, role: Role, space: string): Promise<void>;
  createSpace(space: string): Promise<void>;
  dropSpace(space: string): Promise<void>;
  spaces(): Promise<string[]>;
  /**
   * What was done, the latest last: what has changed accounts, roles, spaces or killed a session anywhere in the fleet, the latest 256 of
   * each replica, durable; and what else was said here, in memory. Throws `PERMISSION_DENIED` for who is an Admin nowhere. As JSON lines: `log().map((line) => JSON.stringify(line)).join('\n')`.
   */
  log(filter?: { since?: number | undefined; user?: string | undefined }): Operation[];
  /** How the cache of sessions does: bytes held, and those that it may hold. For God alone. */
  cache(): { readonly hits: number; readonly misses: number; readonly evictions: number; readonly bytes: number; readonly capacity: number };
}

/**
 * The operator's calls under a session's own role, wherever it is: at a replica without a secret they are asked of the one that it is
 * linked to, as `session.run` is. Each answers a promise; what the role does not allow rejects with `PERMISSION_DENIED`, an answer of more
 * than 256 KiB with `QUOTA_EXCEEDED`, and where no replica of the cluster answers in time `TIMEOUT`.
 */
export type SessionAdmin = {
  [K in Exclude<keyof Admin, 'as'>]: (...args: Parameters<Admin[K]>) => Promise<Awaited<ReturnType<Admin[K]>>>;
};
