/**
 * The run loop around one core. Every call of the core goes through here; afterwards all effects are drained and
 * performed.
 *
 * > Drain until nothing is left, then perform in order; only then does anyone else run.
 *
 * Invariants:
 * - No listener, storage or transport runs while the core is borrowed, so each of them may call anything.
 * - A trap ends this replica and no other: the instance is never called again, all waits are rejected, and storage is
 *   released.
 */
import type { CoreEvent, CoreReplica, CoreSession } from './binding.js';
import type { Calls } from './calls.js';
import { Effects, type Performed } from './effects.js';
import { EdgeSessionError, fromCore, invalid } from './errors.js';
import { Emitter } from './events.js';
import { Front } from './front.js';
import { type Held, HeldSessions } from './held.js';
import { Journal } from './journal.js';
import { type Timers, report } from './platform.js';
import type { AbortSignalLike, StorageAdapter } from './types/plug.js';
import { type Asking, Roles } from './roles.js';
import type { Events, ReplicaOptions, Status } from './types/replica.js';
import { Waits, unlessAborted } from './waits.js';

/** Receives what the core sends on one link, or in reply to one exchange. */
export interface Sink {
  send(bytes: Uint8Array): void;
  /** The replica has ended, or the core has closed this link. */
  fail(error: EdgeSessionError): void;
}

/** Is told that a watch has changes, or is over. */
export interface Watcher {
  /** The session's handle, which the watch keeps alive. */
  readonly handle: object;
  wake(): void;
  fail(error: EdgeSessionError): void;
}

/**
 * The parts of a driver. `unlock` releases storage, which holds records of weight `logged` and a snapshot of `snapshot`
 * bytes.
 */
export interface Parts {
  readonly core: CoreReplica;
  readonly keyed: boolean;
  readonly clock: () => number;
  /** Whether the clock is the application's own. */
  readonly ownClock: boolean;
  readonly timer: Timers;
  /** Answers roles in place of the core's records. */
  readonly roleOf?: ReplicaOptions['roleOf'];
  /** The idle time in milliseconds after which sessions end. */
  readonly idle: number | undefined;
  /** Whether values are handed out frozen. */
  readonly frozen: boolean;
  readonly storage: StorageAdapter;
  readonly unlock: () => void;
  readonly logged: number;
  readonly snapshot: number;
}

/** The fields of the status whose changes are reported. */
interface News {
  readonly peers: number;
  readonly persisted: boolean;
  readonly pending: boolean;
  readonly unsynced: boolean;
}

// Storage that takes longer to write the rest and to close will not answer.
const PATIENCE = 10_000;
// The delay before a failed clock is read again.
const SOON = 1_000;

export class Driver {
  readonly storage: StorageAdapter;
  readonly events = new Emitter((type, wanted) => {
    if (wanted) this.#heard.add(type);
    else this.#heard.delete(type);
    this.#listening = this.#heard.has('change');
    this.#unlessOver((core) => core.interest(this.#listening, this.#heard.has('conflict'), this.#heard.has('session')));
  });
  /** Answers reads and accepts writes before the core is asked. */
  readonly front: Front;
  /** The host's own roles, if it has a `roleOf`. */
  readonly roles: Roles | undefined;
  /** The running queries, each with a function that ends it with an error. */
  readonly queries = new Map<number, (error: EdgeSessionError) => void>();
  /** Calls that this replica serves for clients, if it has a secret. */
  calls: Calls | undefined;
  /** Whether it has a secret. */
  readonly keyed: boolean;
  /** What must be closed with this replica. */
  readonly closers = new Set<() => void>();
  readonly #parts: Parts;
  readonly #journal: Journal | undefined;
  readonly #effects = new Effects();
  readonly #waits: Waits;
  readonly #sinks = new Map<number, Sink>();
  /**
   * The sink that was attached last, with number `#links`. Usually a reply, which is over before the next one is
   * attached.
   */
  #latest: Sink | undefined;
  readonly #watches = new Map<number, Watcher>();
  readonly #sessions = new HeldSessions((held) => this.#free(held));
  /** The event types that have listeners. */
  readonly #heard = new Set<keyof Events>();
  /** Whether `change` has listeners; cached, because each write asks. */
  #listening = false;
  #performing = false;
  #links = 0;
  #peers = 0;
  #persisted: boolean;
  #id: string;
  #told: News;
  #unsynced = false;
  #over: EdgeSessionError | undefined;
  #ending: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.keyed = parts.keyed;
    this.roles = parts.roleOf === undefined ? undefined : new Roles(parts.roleOf, (error) => this.error(error));
    this.#id = parts.core.id;
    parts.core.attend(this.#effects);
    this.#waits = new Waits((id) => this.#unlessOver((core) => core.cancel(id)), parts.timer);
    this.storage = parts.storage;
    this.#persisted = parts.storage.durable !== false;
    this.front = new Front({
      enabled: !this.#persisted,
      frozen: parts.frozen,
      clock: parts.clock,
      ownClock: parts.ownClock,
      listening: () => this.#listening || this.#watches.size > 0,
      room: () => this.call((core) => core.room()),
      settle: () => this.call(() => undefined),
      used: parts.idle === undefined ? undefined : () => parts.clock(),
      soon: () => void Promise.resolve().then(() => this.settle()),
      lost: (cause) => this.#lost(cause),
    });
    this.#told = this.#standing();
    if (!this.#persisted) return;
    const host = {
      persisted: (n: number) => this.#unlessOver((core, now) => core.persisted(n, now)),
      health: (well: boolean, cause?: unknown) => this.#storageHealth(well, cause),
      uncompacted: (cause: unknown) => this.#storageError('storage did not take a snapshot; the log goes on', cause),
      compaction: () => this.#unlessOver((core) => core.compaction()),
    };
    const journal = new Journal(parts, host);
    this.#journal = journal;
    parts.storage.attend?.({
      doubtful: () => this.#unlessOver((core) => core.suspect(true)),
      kept: () => this.#unlessOver((core) => core.suspect(false)),
      moved: () => {
        journal.restart();
        this.#unlessOver((core, now) => core.renew(now));
      },
      lost: (cause) => this.#dispossess(cause),
    });
  }

  /** The replica's id; after its end, the last one. */
  get id(): string {
    return this.#id;
  }

  get status(): Status {
    const [unsynced = 0, lag = -1] = this.#unlessOver((core, now) => core.standing(now)) ?? [];
    const { peers, persisted } = this.#standing();
    return Object.freeze({ online: peers > 0, peers, pending: this.pending, unsynced, lagMs: lag < 0 ? null : lag, persisted });
  }

  /** The number of records that are not stored yet. */
  get pending(): number {
    return this.#journal?.pending ?? 0;
  }

  /** Why this replica is over (closed or crashed). A new error each time, because it is thrown. */
  get over(): EdgeSessionError | undefined {
    return this.#over && new EdgeSessionError(this.#over.code, this.#over.message, { cause: this.#over.cause });
  }

  /** The time, in milliseconds since 1970. */
  get clock(): () => number {
    return this.#parts.clock;
  }

  /** The idle time in milliseconds after which sessions end. */
  get idle(): number | undefined {
    return this.#parts.idle;
  }

  /** Sets the timers of the place where this replica lives. */
  get timer(): Timers {
    return this.#parts.timer;
  }

  /** Hands the core what the front has accepted, and performs the effects. */
  settle(): void {
    this.#unlessOver(() => undefined);
  }

  /** Throws if this replica is over. */
  check(): void {
    if (this.#over !== undefined) throw this.over;
  }

  /**
   * Calls the core, then performs the effects. `keep` receives the answer before any effect is performed. The front is
   * settled first, unless `apart` says that it may wait at this time.
   */
  call<T>(run: (core: CoreReplica, now: number) => T, keep?: (answer: T) => void, asking?: Asking, apart?: (now: number) => boolean): T {
    this.check();
    this.roles?.guard();
    const now = this.#parts.clock();
    let answer: T;
    try {
      if (asking !== undefined || apart?.(now) !== true) this.front.settle();
      this.roles?.say(this.#parts.core, asking);
      answer = run(this.#parts.core, now);
    } catch (thrown) {
      const error = fromCore(thrown);
      if (error === undefined || error.code === 'REPLICA_CRASHED') this.#crash(thrown);
      else this.#drain();
      throw this.#over === undefined ? error : this.over;
    }
    keep?.(answer);
    if (!this.#drain()) throw this.over;
    return answer;
  }

  /** Makes a call that changes nothing if it fails, and ignores its failure. */
  tryCall(run: (core: CoreReplica, now: number) => void): void {
    if (this.#over !== undefined) return;
    try {
      this.call(run);
    } catch (error) {
      if (!EdgeSessionError.is(error)) throw error;
    }
  }

  /** Runs an operation that answers at once or after a wait, which `signal` may end. */
  operate<T>(owner: object, run: (core: CoreReplica, now: number) => T | number, signal?: AbortSignalLike, asking?: Asking): Promise<T> {
    return new Promise<T>((resolve, fail) => {
      this.call(run, (answer) => {
        if (typeof answer !== 'number') return resolve(answer);
        this.#waits.add(answer, { owner, resolve: (late) => resolve(late as T), fail }, signal);
      }, asking);
    });
  }

  /** Begins a watch. */
  watch(run: (core: CoreReplica, now: number) => number, watcher: Watcher, asking?: Asking): number {
    return this.call(run, (watch) => this.#watches.set(watch, watcher), asking);
  }

  unwatch(watch: number): void {
    if (this.#watches.delete(watch)) this.#unlessOver((core) => core.unwatch(watch));
  }

  /** Registers a sink; returns its link number. */
  attach(sink: Sink): number {
    this.check();
    if (this.#latest !== undefined) this.#sinks.set(this.#links, this.#latest);
    this.#latest = sink;
    this.#links += 1;
    return this.#links;
  }

  /** Admits a client with its token on a link. Must run within a call of the core. */
  admit(core: CoreReplica, link: number, token: string, note: Uint8Array | undefined, now: number): void {
    this.roles?.say(core, { wanted: () => core.wantedRoles(token) });
    core.linkAdmit(link, token, note, now);
  }

  /** Ends a link. */
  detach(link: number): void {
    if (this.forgo(link)) this.#unlessOver((core, now) => core.linkDown(link, now));
  }

  /**
   * Unregisters the sink of an exchange, which needs no `linkDown`: the core keeps nothing for its link. Returns
   * whether it was registered.
   */
  forgo(link: number): boolean {
    if (link !== this.#links) return this.#sinks.delete(link);
    const known = this.#latest !== undefined;
    this.#latest = undefined;
    return known;
  }

  #sink(link: number): Sink | undefined {
    return link === this.#links ? this.#latest : this.#sinks.get(link);
  }

  /** Keeps a session of the core until its handle is released, explicitly or by the garbage collector. */
  adopt(handle: object, raw: CoreSession): Held {
    return this.#sessions.add(handle, raw);
  }

  /** Releases a session. Waits and watches through `handle` fail with the error that `why` makes. */
  release(handle: object, held: Held, why: () => EdgeSessionError): void {
    const waited = this.#waits.any || this.#watches.size > 0;
    if (waited) {
      const error = why();
      this.#waits.end(error, handle);
      for (const watcher of [...this.#watches.values()]) if (watcher.handle === handle) watcher.fail(error);
    }
    this.#free(held, waited);
  }

  /** Reports an error that occurred outside of any call. */
  readonly error = (error: EdgeSessionError): void => {
    this.events.emit('error', () => error);
  };

  /**
   * Ends this replica: rejects all waits, stores what was written, releases storage. If storage does not answer within
   * `patience` milliseconds, rejects with `TIMEOUT`; storage is then released once it answers, because until then it
   * may still write.
   */
  close(patience = PATIENCE, signal?: AbortSignalLike): Promise<void> {
    // Writes in the front must reach the core before the end, and from there peers and storage.
    if (this.#ending === undefined) this.settle();
    const ending = this.#ending ?? this.#end(new EdgeSessionError('REPLICA_CLOSED', 'the replica was closed'), (raw) => raw.free());
    return unlessAborted(ending, signal, (fail) => this.#parts.timer(() => fail(this.#unanswered()), patience));
  }

  #unanswered(): EdgeSessionError {
    const { pending, storage } = this;
    const what = pending > 0 ? `${pending} records may not be durable` : 'everything is durable';
    const details = { storage: storage.kind, pending };
    return new EdgeSessionError('TIMEOUT', `storage '${storage.kind}' does not answer; ${what}, and it stays locked until it does, or its process ends`, { details });
  }

  /**
   * Takes all effects out of the core and performs them, unless a caller further up the stack is doing so. False after
   * a trap.
   */
  #drain(): boolean {
    if (this.#over !== undefined) return true;
    try {
      if (!this.#parts.core.poll()) throw new Error('the instance trapped earlier');
    } catch (thrown) {
      this.#crash(thrown);
      return false;
    }
    const { forgotten } = this.#effects;
    if (forgotten.length > 0) {
      for (const keys of forgotten) this.front.forget(keys);
      forgotten.length = 0;
    }
    if (this.#performing) return true;
    // There is nothing to perform, and without a journal nothing else has changed either.
    let effect = this.#effects.next();
    if (effect === undefined && this.#journal === undefined) return true;
    this.#performing = true;
    for (; effect !== undefined; effect = this.#effects.next()) {
      try {
        this.#perform(effect);
      } catch (thrown) {
        // A fault of a listener, or of this package. The remaining effects are performed all the same.
        report('edge-session: an effect could not be performed', thrown);
      }
    }
    this.#performing = false;
    this.#journal?.pump();
    this.#tellStatus();
    return true;
  }

  #perform(effect: Performed): void {
    switch (effect.kind) {
      case 'persist':
        return this.#journal?.push(effect.n, effect.bytes);
      case 'transmit':
        return this.#sink(effect.link)?.send(effect.bytes);
      case 'settled':
        return this.#waits.settle(effect.wait, () => this.call((core) => core.take(effect.wait)));
      case 'watch':
        return this.#watches.get(effect.watch)?.wake();
      case 'abort':
        return this.queries.get(effect.plan)?.(new EdgeSessionError(effect.reason, effect.reason === 'QUERY_TIMEOUT' ? 'the query\'s deadline has passed' : 'Execution had been killed'));
      case 'unsynced':
        this.#unsynced = effect.unsynced;
        return;
      case 'timeout':
        return this.#schedule(effect.at);
      case 'call':
        return this.calls?.take(effect);
      case 'callOver':
        return this.calls?.over(effect.call);
      case 'close':
        return this.#sink(effect.link)?.fail(fromCore(effect.error) ?? invalid('the link was closed', effect.error));
      case 'event':
        return this.#tell(effect.event);
    }
  }

  #tell(event: CoreEvent): void {
    if (event.type === 'peers') this.#peers = event.count;
    else if (event.type === 'renamed') this.#id = event.new;
    this.events.tell(event);
  }

  /** The reported part of the status. Whether records are pending is part of it; how many changes with every write. */
  #standing(): News {
    const lives = this.#over === undefined;
    return { peers: lives ? this.#peers : 0, persisted: this.#persisted && lives, pending: this.pending > 0, unsynced: this.#unsynced && lives };
  }

  #tellStatus(): void {
    const [now, before] = [this.#standing(), this.#told];
    const same = before.peers === now.peers && before.persisted === now.persisted && before.pending === now.pending && before.unsynced === now.unsynced;
    if (same) return;
    this.#told = now;
    // Computed only if somebody listens.
    let status: Status | undefined;
    this.events.emit('status', () => (status ??= this.status));
  }

  #schedule(at: number | null): void {
    if (this.#over !== undefined) return;
    // Ringing early, because timers are imprecise or the clock was set back, is harmless: the core then names the next
    // time.
    let now: number;
    try {
      now = this.#parts.clock();
    } catch {
      return this.#again();
    }
    this.#waits.alarm(at, now, this.#ring);
  }

  readonly #ring = (): void => {
    if (this.#unlessOver((core, now) => (core.tick(now), true)) === undefined) this.#again();
  };

  /**
   * The clock has failed. Only tries again later: the next ring reports the failure, and other effects must not be lost
   * to it.
   */
  #again(): void {
    if (this.#over === undefined) this.#waits.alarm(SOON, 0, this.#ring);
  }

  /**
   * The core did not take writes that were accepted: after a trap, or through a fault of this package, which must not
   * be silent.
   */
  #lost(cause: unknown): void {
    const error = fromCore(cause);
    if (error === undefined || error.code === 'REPLICA_CRASHED') throw cause;
    this.error(error);
  }

  #storageHealth(well: boolean, cause: unknown): void {
    // The error that ended this replica is reported already.
    if (cause !== undefined && this.#over?.cause === cause) return;
    this.#persisted = well;
    if (!well) this.#storageError('storage failed and is tried again; what is not stored stays in memory and does not leave', cause);
    this.#tellStatus();
  }

  #storageError(what: string, cause: unknown): void {
    this.error(new EdgeSessionError('STORAGE_FAILED', what, { cause, details: { storage: this.storage.kind } }));
  }

  /**
   * Makes a call that nobody waits for. Does nothing after the end; errors are reported as events instead of thrown.
   */
  #unlessOver<T>(run: (core: CoreReplica, now: number) => T): T | undefined {
    if (this.#over !== undefined) return undefined;
    try {
      return this.call(run);
    } catch (error) {
      if (this.#over === undefined) this.error(fromCore(error) ?? invalid('the clock failed', error));
      return undefined;
    }
  }

  /** Frees a session. If nothing has waited or watched, there are no effects to drain. */
  #free(held: Held, waited = true): void {
    if (!this.#sessions.remove(held)) return;
    // The session's logged writes and reads must reach the core before it goes.
    if (this.roles !== undefined || this.front.owes) return void this.#unlessOver(() => held.raw.free());
    if (this.#over !== undefined) return;
    try {
      held.raw.free();
    } catch (thrown) {
      this.#crash(thrown);
      return;
    }
    if (waited) this.#drain();
  }

  #crash(cause: unknown): void {
    if (this.#over !== undefined) return;
    const error = new EdgeSessionError('REPLICA_CRASHED', 'the wasm instance trapped; open the replica again', { cause });
    // After a trap not even a destructor may run. Emptied handles keep the garbage collector from calling any.
    void this.#end(error, (raw) => raw.__destroy_into_raw?.());
    this.events.emit('crash', () => ({ recovered: false, cause }));
    this.error(error);
  }

  /** Another replica may now write under this replica's id, so what is not stored yet must not leave. */
  #dispossess(cause: unknown): void {
    if (this.#over !== undefined) return;
    const details = { storage: this.storage.kind };
    const error = new EdgeSessionError('STORAGE_FAILED', 'this replica lost its storage to another; open the replica again', { cause, details });
    this.error(error);
    void this.#end(error, (raw) => raw.free());
  }

  #end(error: EdgeSessionError, discard: (raw: CoreSession | CoreReplica) => void): Promise<void> {
    // A listener that hears of the end may ask for it: `#ending` must be set by then.
    let conclude = (_: Promise<void>) => {};
    this.#ending = new Promise((resolve) => (conclude = resolve));
    conclude(this.#conclude(error, discard));
    return this.#ending;
  }

  async #conclude(error: EdgeSessionError, discard: (raw: CoreSession | CoreReplica) => void): Promise<void> {
    this.#over = error;
    this.front.end();
    this.#waits.end(error);
    for (const stop of [...this.queries.values()]) stop(error);
    for (const close of [...this.closers]) close();
    for (const teller of [...this.#sinks.values(), this.#latest, ...this.#watches.values()]) teller?.fail(error);
    this.#sinks.clear();
    this.#latest = undefined;
    this.#watches.clear();
    for (const raw of [...this.#sessions.clear(), this.#parts.core]) discard(raw);
    this.#tellStatus();
    await this.#journal?.close();
    try {
      try {
        await this.storage.close?.();
      } finally {
        this.#parts.unlock();
      }
    } catch (cause) {
      this.#storageError('storage did not close', cause);
    }
  }
}
