/**
 * The session object: checks arguments, calls the core and gives the answer its public form.
 *
 * It decides nothing about consistency: the core alone decides whether this replica may answer, and with what.
 */
import { collect } from './batch.js';
import { type Ran, ask, callerOf } from './calls.js';
import type { CoreReplica, CoreSession, CoreSessionInit, RawEntry } from './binding.js';
import type { Driver } from './driver.js';
import { optional } from './duration.js';
import { type ErrorCode, invalid } from './errors.js';
import { INIT, optionsOf } from './form.js';
import { Handle } from './handle.js';
import { LiveHandle } from './live.js';
import { dispose } from './platform.js';
import { Rows, run, toStatement, toTable, track } from './query.js';
import { operatorOf } from './operator.js';
import { RemoteHandle } from './remote.js';
import { SyncHandle } from './sync.js';
import { RANGE, TTL, WAIT, guaranteeBits, guaranteeNames, named, policyNumber, syncBits, toKey, toRange, toTerms, toTtl } from './terms.js';
import type { Change, Duration, Entry, Guarantee, Key, KeyRange, Missing, Outcome, Token, Version } from './types/data.js';
import type { ReplicaOptions } from './types/replica.js';
import type { QueryContext, QueryOptions, SessionAdmin, Table } from './types/service.js';
import type { Batch, Live, RemoteReads, Session, SessionInit, SessionInspection, SyncSession, Wait } from './types/session.js';
import { encode, toEntry, toOutcome, wellFormed } from './value.js';
import { Watch } from './watch.js';

const SEALED = { ...WAIT, detached: 1 } as const;
const WRITE = { ...WAIT, ...TTL };
const LIST = { ...RANGE, ...WAIT };

export class SessionHandle<M> implements Session<M> {
  readonly #handle: Handle;
  #sync: SyncSession<M> | undefined;
  readonly #execute: Execute | undefined;

  constructor(driver: Driver, begin: (core: CoreReplica, now: number) => CoreSession, execute?: Execute, token?: string) {
    this.#handle = new Handle(driver, begin, token);
    this.#execute = execute;
  }

  static {
    // A private field instead of a map keyed by sessions, which would cost more than beginning one.
    Handle.of = (session) => (typeof session === 'object' && session !== null && #handle in session ? session.#handle : undefined);
  }

  get sync(): SyncSession<M> {
    return (this.#sync ??= new SyncHandle<M>(this.#handle));
  }

  get id(): string {
    return this.#handle.info.id;
  }

  get user(): string | null {
    return this.#handle.info.user;
  }

  get space(): string {
    return this.#handle.info.space;
  }

  get expiresAt(): number | null {
    const { expiresAt } = this.#handle;
    return expiresAt === Number.POSITIVE_INFINITY ? null : expiresAt;
  }

  get guarantees(): readonly Guarantee[] {
    return guaranteeNames(this.#handle.info.guarantees);
  }

  get resumed(): boolean {
    return this.#handle.resumed;
  }

  get reason(): ErrorCode | null {
    return this.#handle.driver.over?.code ?? this.#handle.now().reason;
  }

  get token(): Token {
    return this.#handle.token() as Token;
  }

  async sealed(options?: Wait & { detached?: boolean | undefined }): Promise<Token> {
    const { timeout, signal } = toTerms(options, SEALED);
    const token = await this.#handle.operate<string>((raw, now) => raw.sealed(timeout, now), signal);
    return (options?.detached ? this.#handle.driver.call((core) => core.detached(token)) : token) as Token;
  }

  async get<K extends Key<M>>(key: K, options?: Wait): Promise<M[K] | undefined> {
    const raw = await this.#read(key, options);
    return raw && (this.#handle.values.of(key, raw) as M[K]);
  }

  async read<K extends Key<M>>(key: K, options?: Wait): Promise<Outcome<K, M[K]>> {
    const [name, { bits, timeout, signal }] = [toKey(key), toTerms(options, WAIT)];
    return toOutcome(await this.#handle.operate((raw, now) => raw.read(name, bits, timeout, now), signal), this.#handle.values);
  }

  async entry<K extends Key<M>>(key: K, options?: Wait): Promise<Entry<K, M[K]> | undefined> {
    const raw = await this.#read(key, options);
    return raw && toEntry<K, M[K]>(raw, this.#handle.values);
  }

  peek<K extends Key<M>>(key: K): M[K] | undefined {
    const name = toKey(key);
    const raw = this.#handle.call((session, now) => session.peek(name, now));
    return raw && (this.#handle.values.of(name, raw) as M[K]);
  }

  async set<K extends Key<M>>(key: K, value: M[K], options?: Wait & { ttl?: Duration | undefined }): Promise<Version> {
    const [name, { kind, value: encoded }] = [toKey(key), encode(value)];
    const [{ bits, timeout, signal }, ttl] = [toTerms(options, WRITE), toTtl(options, WRITE)];
    return this.#handle.operate<Version>((raw, now) => raw.set(name, kind, encoded, ttl, bits, timeout, now), signal);
  }

  async delete(key: Key<M>, options?: Wait): Promise<Version> {
    const [name, { bits, timeout, signal }] = [toKey(key), toTerms(options, WAIT)];
    return this.#handle.operate<Version>((raw, now) => raw.delete(name, bits, timeout, now), signal);
  }

  async *list<K extends Key<M>>(range?: KeyRange & Wait): AsyncGenerator<Entry<K, M[K]>, void, undefined> {
    const [bounds, { bits, timeout, signal }] = [toRange(range, LIST), toTerms(range, LIST)];
    const found = await this.#handle.operate<RawEntry[]>((raw, now) => raw.list(bounds, bits, timeout, now), signal);
    for (const raw of found) yield toEntry<K, M[K]>(raw, this.#handle.values);
  }

  async batch(build: (tx: Batch<M>) => unknown, options?: Wait): Promise<Version> {
    const [mutations, { bits, timeout, signal }] = [collect(build), toTerms(options, WAIT)];
    return this.#handle.operate<Version>((raw, now) => raw.batch(mutations, bits, timeout, now), signal);
  }

  watch<K extends Key<M>>(keyOrPrefix: K | { prefix: string }, options?: Wait): AsyncIterableIterator<Change<K, M[K]>> {
    const range = typeof keyOrPrefix === 'object' && keyOrPrefix !== null ? toPrefix(keyOrPrefix) : { key: toKey(keyOrPrefix) };
    void this.#handle.raw;
    if (options?.signal?.aborted) return ended();
    return new Watch<K, M[K]>(this.#handle, range, toTerms(options, WAIT));
  }

  live<K extends Key<M>>(key: K): Live<M[K] | undefined> {
    return new LiveHandle<M[K]>(this.#handle, key);
  }

  conflicts<K extends Key<M>>(key: K): readonly Entry<K, M[K]>[] {
    const name = toKey(key);
    return this.#handle.call((raw, now) => raw.conflicts(name, syncBits(), now)).map((raw) => toEntry<K, M[K]>(raw, this.#handle.front.values));
  }

  merge(...tokens: (Token | string | null | undefined)[]): this {
    const one = (token: Token | string) =>
      this.#handle.call((raw, now) => {
        // Revokes what the core allowed before it knew this token; within the loop, because effects of a merge may
        // allow again.
        this.#handle.ask();
        return raw.merge(toText(token, 'a token'), now);
      });
    try {
      for (const token of tokens) if (token != null) one(token);
    } finally {
      if (this.#handle.driver.over === undefined) this.#handle.renew();
    }
    return this;
  }

  satisfied(options?: { token?: Token | string | undefined }): boolean {
    return this.missing(options).length === 0;
  }

  missing(options?: { token?: Token | string | undefined }): readonly Missing[] {
    const given = optionsOf(options, { token: 1 }).token;
    const token = given === undefined ? undefined : toText(given, 'a token');
    return this.#handle.call((raw, now) => raw.missing(token, now));
  }

  inspect(): SessionInspection {
    return named(this.#handle.call((raw) => raw.inspect()));
  }

  async run(statement: string, options?: QueryOptions): Promise<Table> {
    const { driver, raw } = this.#handle;
    const execute = this.#execute;
    toStatement(statement);
    if (execute !== undefined && !driver.call((core) => core.isOurs(statement))) {
      return toTable(await this.track(statement, (query) => execute(statement, { ...query, session: this as unknown as Session }), options));
    }
    return this.#handle.state(async () => {
      const token = callerOf(driver, raw);
      if (token === undefined) return run(driver, statement, this.#handle, options);
      const ran = await ask<Ran>(driver, this.#handle, 'run', [statement], token, options);
      this.merge(ran.token);
      return new Rows(ran.table);
    });
  }

  get admin(): SessionAdmin {
    return operatorOf(this.#handle, this as unknown as Session);
  }

  get remote(): RemoteReads<M> {
    return new RemoteHandle(this.#handle, this);
  }

  track<T>(statement: string, work: (query: QueryContext) => T | PromiseLike<T>, options?: QueryOptions): Promise<T> {
    return track(this.#handle, statement, work, options);
  }

  async end(): Promise<void> {
    this.#handle.call((raw, now) => raw.end(now));
    await this.#handle.driver.operate<unknown>(this, (core, now) => core.flush(-1, now) || undefined);
  }

  [dispose](): void {
    this.#handle.release();
  }

  #read(key: string, options: Wait | undefined): Promise<RawEntry | undefined> {
    const [name, { bits, timeout, signal }] = [toKey(key), toTerms(options, WAIT)];
    return this.#handle.operate<RawEntry | undefined>((raw, now) => raw.get(name, bits, timeout, now), signal);
  }
}

/** Runs a statement that is not one of the core's. */
export type Execute = NonNullable<ReplicaOptions['execute']>;

/** How the core begins a session; without options no object crosses. Throws `ARGUMENT_INVALID`. */
export function toBegin(init: Token | string | null | undefined | SessionInit): (core: CoreReplica, now: number) => CoreSession {
  if (init === null || init === undefined) return (core, now) => core.resume(undefined, now);
  if (typeof init === 'string') {
    const token = toText(init, 'a token');
    return (core, now) => core.resume(token, now);
  }
  const raw = toInit(init);
  return (core, now) => core.session(raw, now);
}

/** The crossing form of a session's options. Throws `ARGUMENT_INVALID`. */
export function toInit(init: SessionInit): CoreSessionInit {
  optionsOf(init, INIT, 'what a session begins with, if it is no token');
  const raw: CoreSessionInit = {};
  if (init.token != null) raw.token = toText(init.token, 'a token');
  if (init.space !== undefined) raw.space = toText(init.space, 'space');
  if (init.user !== undefined) raw.user = toText(init.user, 'user');
  if (init.client !== undefined) raw.client = toText(init.client, 'client');
  if (init.clientIp !== undefined) raw.address = toText(init.clientIp, 'clientIp');
  if (init.guarantees !== undefined) raw.guarantees = guaranteeBits(init.guarantees);
  if (policyNumber(init.onStale) > 0) raw.onStale = init.onStale as string;
  if (init.onRefused !== undefined && init.onRefused !== 'throw' && init.onRefused !== 'anonymous') throw invalid("onRefused is 'throw' or 'anonymous'");
  if (init.onRefused !== undefined) raw.onRefused = init.onRefused;
  const [timeout, expiresIn] = [optional(init.timeout, 'timeout'), optional(init.expiresIn, 'expiresIn')];
  if (timeout !== undefined) raw.timeout = timeout;
  if (expiresIn !== undefined) raw.expiresIn = expiresIn;
  return raw;
}

/** The range of a watch. The prefix is mandatory: leaving it out by mistake would watch all keys. */
function toPrefix(given: { prefix: string }): { prefix: string } {
  return { prefix: toText(optionsOf(given, { prefix: 1 }).prefix, 'prefix') };
}

function toText(value: unknown, name: string): string {
  if (typeof value === 'string' && wellFormed(value)) return value;
  throw invalid(`${name} is a well-formed string`);
}

/** An iteration that is over before it has begun. */
async function* ended(): AsyncGenerator<never, void, undefined> {}
