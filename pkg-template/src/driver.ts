/**
 * The run loop around one core: every call goes in through here, and afterwards every effect is drained and performed.
 *
 * > Drain until nothing is left, then perform in order; only then does anyone else run.
 *
 * Invariant: no listener, storage or transport runs while the core is borrowed, so each may call anything. A trap ends this
 * replica and no other: the instance is never called again, whoever waits is told, storage is let go of.
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

/** Where goes what the core sends to one link, or in reply to one exchange. */
export interface Sink {
  send(bytes: Uint8Array): void;
  /** The replica is over, or will not go on with this link. */
  fail(error: EdgeSessionError): void;
}

/** Who is told that a watch has something, or is over. */
export interface Watcher {
  /** The session's handle, which is in use. */
  readonly handle: object;
  wake(): void;
  fail(error: EdgeSessionError): void;
}

/** What a driver is made of. `unlock` lets go of storage, which holds records of the weight `logged` and `snapshot` bytes more. */
export interface Parts {
  readonly core: CoreReplica;
  readonly keyed: boolean;
  readonly clock: () => number;
  /** Whether the application has said the time itself. */
  readonly ownClock: boolean;
  readonly timer: Timers;
  /** Answers roles instead of the core's records. */
  readonly roleOf?: ReplicaOptions['roleOf'];
  /** After how many milliseconds sessions end that nobody uses. */
  readonly idle: number | undefined;
  /** Whether values are handed out frozen. */
  readonly frozen: boolean;
  readonly storage: StorageAdapter;
  readonly unlock: () => void;
  readonly logged: number;
  readonly snapshot: number;
}

/** What of the status is told when it changes. */
interface News {
  readonly peers: number;
  readonly persisted: boolean;
  readonly pending: boolean;
  readonly unsynced: boolean;
}

// Storage that takes longer to write the rest and to close is not going to answer.
const PATIENCE = 10_000;
// When a clock that has failed is asked again.
const SOON = 1_000;

export class Driver {
  readonly storage: StorageAdapter;
  readonly events = new Emitter((type, wanted) => {
    if (wanted) this.#heard.add(type);
    else this.#heard.delete(type);
    this.#listening = this.#heard.has('change');
    this.#unlessOver((core) => core.interest(this.#listening, this.#heard.has('conflict'), this.#heard.has('session')));
  });
  /** What is answered and accepted before the core is asked. */
  readonly front: Front;
  /** The host's own roles, where it answers them. */
  readonly roles: Roles | undefined;
  /** How each query that runs is told that it has ended. */
  readonly queries = new Map<number, (error: EdgeSessionError) => void>();
  /** What it does for clients, where it has a secret. */
  calls: Calls | undefined;
  /** Whether it has a secret. */
  readonly keyed: boolean;
  /** What is closed with this replica. */
  readonly closers = new Set<() => void>();
  readonly #parts: Parts;
  readonly #journal: Journal | undefined;
  readonly #effects = new Effects();
  readonly #waits: Waits;
  readonly #sinks = new Map<number, Sink>();
  /** Who was attached last, under the number `#links`: mostly a reply, which is there before anybody else is attached. */
  #latest: Sink | undefined;
  readonly #watches = new Map<number, Watcher>();
  readonly #sessions = new HeldSessions((held) => this.#free(held));
  /** The events to which somebody listens. */
  readonly #heard = new Set<keyof Events>();
  /** Whether changes are among them: each write asks. */
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

  /** The replica's id; the last one after its end. */
  get id(): string {
    return this.#id;
  }

  get status(): Status {
    const [unsynced = 0, lag = -1] = this.#unlessOver((core, now) => core.standing(now)) ?? [];
    const { peers, persisted } = this.#standing();
    return Object.freeze({ online: peers > 0, peers, pending: this.pending, unsynced, lagMs: lag < 0 ? null : lag, persisted });
  }

  /** Records that are not stored yet. */
  get pending(): number {
    return this.#journal?.pending ?? 0;
  }

  /** Why this replica is over: closed or crashed. A fresh error, for it is thrown. */
  get over(): EdgeSessionError | undefined {
    return this.#over && new EdgeSessionError(this.#over.code, this.#over.message, { cause: this.#over.cause });
  }

  /** The time, in milliseconds since 1970. */
  get clock(): () => number {
    return this.#parts.clock;
  }

  /** After how many milliseconds sessions end that nobody uses. */
  get idle(): number | undefined {
    return this.#parts.idle;
  }

  /** The alarm clocks of the place where this replica lives. */
  get timer(): Timers {
    return this.#parts.timer;
  }

  /** Gives the core what was accepted in front of it, and performs what follows. */
  settle(): void {
    this.#unlessOver(() => undefined);
  }

  /** Throws where this replica is over. */
  check(): void {
    if (this.#over !== undefined) throw this.over;
  }

  /**
   * Calls the core, then performs what follows from it. `keep` gets the answer before anything follows. What was accepted in front of
   * the core it is given first, unless `apart` says that at this time it may wait.
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

  /** A call that changes nothing where it fails, and whose failure concerns nobody. */
  tryCall(run: (core: CoreReplica, now: number) => void): void {
    if (this.#over !== undefined) return;
    try {
      this.call(run);
    } catch (error) {
      if (!EdgeSessionError.is(error)) throw error;
    }
  }

  /** Runs an operation that answers at once or after a wait, which `signal` ends. */
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

  /** A link number for a sink. */
  attach(sink: Sink): number {
    this.check();
    if (this.#latest !== undefined) this.#sinks.set(this.#links, this.#latest);
    this.#latest = sink;
    this.#links += 1;
    return this.#links;
  }

  /** Takes in who comes with a token on a link. Inside of a call. */
  admit(core: CoreReplica, link: number, token: string, note: Uint8Array | undefined, now: number): void {
    this.roles?.say(core, { wanted: () => core.wantedRoles(token) });
    core.linkAdmit(link, token, note, now);
  }

  /** The link is no more. */
  detach(link: number): void {
    if (this.forgo(link)) this.#unlessOver((core, now) => core.linkDown(link, now));
  }

  /** The reply to one exchange has come, or is not waited for: of its link the core keeps nothing. Whether it was there. */
  forgo(link: number): boolean {
    if (link !== this.#links) return this.#sinks.delete(link);
    const known = this.#latest !== undefined;
    this.#latest = undefined;
    return known;
  }

  #sink(link: number): Sink | undefined {
    return link === this.#links ? this.#latest : this.#sinks.get(link);
  }

  /** Keeps a session of the core's until its handle is let go of, by hand or by the garbage collector. */
  adopt(handle: object, raw: CoreSession): Held {
    return this.#sessions.add(handle, raw);
  }

  /** Lets go of a session; who still waits or watches through `handle` is told the error that `why` makes. */
  release(handle: object, held: Held, why: () => EdgeSessionError): void {
    const waited = this.#waits.any || this.#watches.size > 0;
    if (waited) {
      const error = why();
      this.#waits.end(error, handle);
      for (const watcher of [...this.#watches.values()]) if (watcher.handle === handle) watcher.fail(error);
    }
    this.#free(held, waited);
  }

  /** Tells what went wrong outside of any call. */
  readonly error = (error: EdgeSessionError): void => {
    this.events.emit('error', () => error);
  };

  /**
   * Ends this replica: whoever waits is rejected, what was written is stored, storage is let go of. Where storage does not answer
   * within `patience` milliseconds, rejects with `TIMEOUT`; it is let go of once it does, for until then it may still write.
   */
  close(patience = PATIENCE, signal?: AbortSignalLike): Promise<void> {
    // What was accepted is the core's before the end, and on its way to peers and storage.
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

  /** Takes every effect out of the core; performs them unless that is under way further up. False after a trap. */
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
    // Nothing follows, and with memory as storage nothing else has changed.
    let effect = this.#effects.next();
    if (effect === undefined && this.#journal === undefined) return true;
    this.#performing = true;
    for (; effect !== undefined; effect = this.#effects.next()) {
      try {
        this.#perform(effect);
      } catch (thrown) {
        // A fault of one who is told, or of this package: the others are told all the same, now and later.
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

  /** What of the status is news. How many records are pending changes with every write; whether any are is news. */
  #standing(): News {
    const lives = this.#over === undefined;
    return { peers: lives ? this.#peers : 0, persisted: this.#persisted && lives, pending: this.pending > 0, unsynced: this.#unsynced && lives };
  }

  #tellStatus(): void {
    const [now, before] = [this.#standing(), this.#told];
    const same = before.peers === now.peers && before.persisted === now.persisted && before.pending === now.pending && before.unsynced === now.unsynced;
    if (same) return;
    this.#told = now;
    // Asked of the core only where somebody listens.
    let status: Status | undefined;
    this.events.emit('status', () => (status ??= this.status));
  }

  #schedule(at: number | null): void {
    if (this.#over !== undefined) return;
    // Too early, because timers are imprecise or the clock was set back, is no harm: the core then names the next time.
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

  /** The clock has failed, which whoever rings next tells: effects that follow must not be lost for that. */
  #again(): void {
    if (this.#over === undefined) this.#waits.alarm(SOON, 0, this.#ring);
  }

  /** Accepted writes that the core did not take: a trap, or a fault of this package, which must not be silent. */
  #lost(cause: unknown): void {
    const error = fromCore(cause);
    if (error === undefined || error.code === 'REPLICA_CRASHED') throw cause;
    this.error(error);
  }

  #storageHealth(well: boolean, cause: unknown): void {
    // The error that has ended this replica is told.
    if (cause !== undefined && this.#over?.cause === cause) return;
    this.#persisted = well;
    if (!well) this.#storageError('storage failed and is tried again; what is not stored stays in memory and does not leave', cause);
    this.#tellStatus();
  }

  #storageError(what: string, cause: unknown): void {
    this.error(new EdgeSessionError('STORAGE_FAILED', what, { cause, details: { storage: this.storage.kind } }));
  }

  /** A call that nobody waits for: skipped after the end; what it throws is told, not thrown. */
  #unlessOver<T>(run: (core: CoreReplica, now: number) => T): T | undefined {
    if (this.#over !== undefined) return undefined;
    try {
      return this.call(run);
    } catch (error) {
      if (this.#over === undefined) this.error(fromCore(error) ?? invalid('the clock failed', error));
      return undefined;
    }
  }

  /** Where nobody has waited or watched, nothing follows: the core only forgets. */
  #free(held: Held, waited = true): void {
    if (!this.#sessions.remove(held)) return;
    // What copies have answered this session, and its writes, are the core's before it goes.
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
    // After a trap not even a destructor may run: the handles are emptied, so that the garbage collector calls none.
    void this.#end(error, (raw) => raw.__destroy_into_raw?.());
    this.events.emit('crash', () => ({ recovered: false, cause }));
    this.error(error);
  }

  /** Somebody else may write under this replica's id, and what of it is not stored yet must not leave. */
  #dispossess(cause: unknown): void {
    if (this.#over !== undefined) return;
    const details = { storage: this.storage.kind };
    const error = new EdgeSessionError('STORAGE_FAILED', 'this replica lost its storage to another; open the replica again', { cause, details });
    this.error(error);
    void this.#end(error, (raw) => raw.free());
  }

  #end(error: EdgeSessionError, discard: (raw: CoreSession | CoreReplica) => void): Promise<void> {
    // Whoever is told of the end may ask for it: it is under way by then.
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
