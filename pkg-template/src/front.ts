/**
 * A layer in front of the core: copies of values, and a log of writes. A read that hits a copy, and a logged write,
 * make no call into wasm. It exists only where storage is memory: elsewhere a write becomes visible to others when it
 * is durable, and the core decides that.
 *
 * Invariants (the core stays the authority):
 * - The core says which values may be copied, and names every copy that is no longer true.
 * - A session reads and writes here only after the core has answered it under the same guarantees. A replica only
 *   gains, so a satisfied guarantee stays satisfied until a token is merged.
 * - Before the core answers anything to anyone, `settle` gives it every logged write in order, then every read. So
 *   nothing leaves the replica that rests on what the core does not know. The one exception is a read of a key that is
 *   not in the log (`apart`).
 */
import type { CoreSession, Glance } from './binding.js';
import { type Budget, Copies, type Noting, WRITTEN_UNITS } from './copies.js';
import { type Copy, Mark, type Stored } from './copy.js';
import { FRESH, Frozen, FROZEN } from './frozen.js';
import type { Held } from './hold.js';
import { LOG_WRITES, Log } from './log.js';
import { NOTHING, Ready } from './ready.js';
import { Spaces } from './spaces.js';
import type { Handing } from './value.js';

/** The most UTF-16 units of text in the log. */
const LOG_UNITS = 160_000;
/** How long a log stays open if the application never yields the thread. All writes of a log share one time stamp. */
const LOG_MS = 20;
/**
 * Every eighth clock read is taken for the first of many in its task: until that ends, each clock read serves
 * `LOOK_SERVES` operations.
 */
const LOOKS = 8;
const LOOK_SERVES = 64;
const LOOK_NUMBERS = 2 ** 30 - 1;
/**
 * The most bytes that one UTF-16 unit takes: three in UTF-8, for keys; six in JSON, where a lone surrogate becomes an
 * escape, for values.
 */
const KEY_BYTES = 3;
const BYTES_A_UNIT = 6;
/** The two quotation marks of a string that is stored as JSON. */
const QUOTES = 2;
/** What the limits charge for an entry in addition to its key and value, in bytes. */
const OVERHEAD = 64 + QUOTES;
/** Longer keys and values go to the core one by one: joining them to others would cost more than it saves. */
const KEY_UNITS = 256;
const VALUE_UNITS = 4_096;
/** A state that `Ready` never has. */
const NEVER = -1;

/** What one session has read from copies, and which of these reads the core does not know yet. */
export class Account implements Noting {
  readonly raw: CoreSession;
  readonly #front: Front;
  /** The greatest sequence read, by origin. The core is told only of greater ones, because a read vector only grows. */
  known: number[] = [];
  /** Origins whose sequence in `known` the core has not been told. */
  readonly #untold = new Set<number>();
  /** The mark of a read from the log. The log's dot exists only after the log was handed over. */
  #pending: Mark | undefined;
  covered = NEVER;
  lacks = 0;
  #open = false;

  constructor(raw: CoreSession, front: Front) {
    this.raw = raw;
    this.#front = front;
  }

  /** Records that the session read a copy of this write. */
  note(mark: Mark): void {
    if (mark.sequence === 0) this.#pending = mark;
    else if (mark.sequence > (this.known[mark.origin] ?? 0)) this.#learn(mark);
    if (this.#open) return;
    this.#open = true;
    this.#front.owe(this);
  }

  cover(state: number): void {
    this.covered = this.#open ? state : ~state;
  }

  told({ origin, sequence }: Mark): void {
    this.known[origin] = Math.max(this.known[origin] ?? 0, sequence);
  }

  #learn(mark: Mark): void {
    this.told(mark);
    this.#untold.add(mark.origin);
  }

  /** Tells the core of the reads. The log must be empty. */
  settle(): void {
    this.#open = false;
    // Makes the next read call `note` again.
    if (this.covered >= 0) this.covered = ~this.covered;
    // It has no sequence if the log was lost.
    if (this.#pending !== undefined && this.#pending.sequence > 0) this.#learn(this.#pending);
    this.#pending = undefined;
    // Called even if there is nothing new, because reading counts as use of the session.
    this.raw.recordReads(Float64Array.from([...this.#untold].flatMap((origin) => [origin, this.known[origin] as number])));
    this.#untold.clear();
    const now = this.#front.usedAt();
    if (now !== undefined) this.raw.noteUse(now);
  }

  /** The session has moved to another space, where its reads start anew. All earlier reads have been told by now. */
  move(): void {
    this.known = [];
    this.covered = NEVER;
  }

  /** The session was released: its untold reads no longer matter. */
  drop(): void {
    this.#front.forgive(this);
  }
}

/** What the front needs from the run loop. */
export interface Host {
  /** Whether copies and logged writes are allowed at all. */
  readonly enabled: boolean;
  /** Whether values are handed out frozen. */
  readonly frozen: boolean;
  /** The time, in milliseconds since 1970. */
  readonly clock: () => number;
  /**
   * Whether the clock is the application's own. It may return anything at any time, so it is read for every operation.
   */
  readonly ownClock: boolean;
  /** Whether anyone listens to changes. Listeners hear of a write before it returns, so writes bypass the log. */
  listening(): boolean;
  /** Remaining room in the store (keys, bytes), then its limits: key and value bytes, keys and bytes of a batch. */
  room(): Float64Array;
  /** Calls `settle` now and performs the effects. */
  settle(): void;
  /** The same, after the current task. */
  soon(): void;
  /**
   * The time; undefined if sessions have no idle end. If it is there, the core is told of reads right after their task.
   */
  readonly used: (() => number) | undefined;
  /** The core refused logged writes that had been accepted. */
  lost(cause: unknown): void;
}

export class Front {
  /** Incremented when everything that the core has allowed must be asked for again. */
  revoked = 0;
  readonly #host: Host;
  readonly #spaces = new Spaces(() => {
    const ready = new Ready(() => this.turned());
    return new Copies(this.#written, ready, this.#frozen?.table(ready) ?? FRESH);
  });
  readonly #owing = new Set<Account>();
  /** The frozen objects, if values are handed out frozen. */
  readonly #frozen: Frozen | undefined;
  readonly #log = new Log();
  readonly #written: Budget = { units: 0 };
  /** The copies of the space that the log writes to; undefined while the log is empty. */
  logged: Copies | undefined;
  #account: Account | undefined;
  #bits = 0;
  #now = 0;
  // What certainly fits the limits, in units of strings. All 0 until the core was asked (`#ask`).
  #keysLeft = 0;
  #bytesLeft = 0;
  #keyUnits = 0;
  #valueUnits = 0;
  #logWrites = 0;
  #logUnits = 0;
  #over = false;
  /**
   * The time of the last clock read, how many operations it still serves, and the clock reads counted towards `LOOKS`.
   */
  time = 0;
  serves = 0;
  #looks = 0;
  /** The number of the last clock read. */
  look = 0;
  /** Incremented by every clock read and by anything else that may change the conditions checked with it. */
  turn = 0;
  /** The ready values that are served without further checks in this turn: those of one space. */
  plains: Readonly<Record<string, unknown>> = NOTHING;

  constructor(host: Host) {
    this.#host = host;
    this.#over = !host.enabled;
    this.#frozen = host.frozen ? new Frozen((run) => this.#spaces.each(({ values }) => run(values))) : undefined;
  }

  /** Whether values are handed out frozen. */
  get freezes(): boolean {
    return this.#frozen !== undefined;
  }

  /** How to hand out values that are not the current value of a key in the reader's space. */
  get values(): Handing {
    return this.#frozen === undefined ? FRESH : FROZEN;
  }

  /** False if nothing may be answered or accepted here. */
  get open(): boolean {
    return !this.#over;
  }

  /** The copies of a space. */
  copies(space: string): Copies {
    return this.#spaces.get(space);
  }

  /** How many neighbouring entries the core is asked for with the next read. */
  ahead(copies: Copies): number {
    return this.#over ? 0 : copies.ahead();
  }

  /**
   * The time for a read of a copy or for a write. If the clock is the platform's, one clock read serves many operations
   * of a task: everything else that ends a session arrives between tasks as well.
   */
  now(): number {
    if (this.serves > 0) {
      this.serves -= 1;
      return this.time;
    }
    const now = this.#host.clock();
    this.time = now;
    this.look = (this.look + 1) & LOOK_NUMBERS;
    this.turned();
    if (this.#host.ownClock) return now;
    this.#looks += 1;
    if (this.#looks < LOOKS) return now;
    // The task may end soon, or go on reading and writing: reset when it ends.
    if (this.#looks === LOOKS) void Promise.resolve().then(() => (this.serves = this.#looks = 0));
    this.serves = LOOK_SERVES;
    return now;
  }

  /** Ends the turn: conditions that were checked may have changed. */
  turned(): void {
    this.turn = (this.turn + 1) & LOOK_NUMBERS;
    this.plains = NOTHING;
  }

  /** Serves the ready values of this space without further checks; returns the turn for which that holds. */
  serve(plains: Readonly<Record<string, unknown>>): number {
    if (this.plains !== plains && this.plains !== NOTHING) this.turned();
    this.plains = plains;
    return this.turn;
  }

  /**
   * Whether the core may answer a read of `key` at `now` before the pending writes and reads are settled: if the log is
   * empty, or has the same time and does not contain the key. The core then answers as of before the logged writes.
   * Whatever else becomes due at that time precedes these writes in any case.
   */
  apart(key: string, now: number): boolean {
    if (this.logged !== undefined && (this.#now !== now || this.#log.find(key) >= 0)) return false;
    this.turned();
    return true;
  }

  /** Keeps a copy of a read, if the core allows it. If a copy exists already, it is just as true. */
  keep(reader: Account, copies: Copies, key: string, [kind, value, origin, sequence, text, numbers]: Glance): void {
    if (this.#over || origin === undefined || sequence === undefined || kind === 2) return;
    const told = { key, value: value as string, mark: new Mark(kind, origin, sequence), reader };
    // A page of neighbours starts with the entry itself.
    if (text !== undefined && numbers !== undefined) copies.add(told, text, numbers);
    else copies.keep(told);
  }

  /** The copy of a key for a reader, if the log writes to the same space. Undefined also if the key was deleted. */
  read(copies: Copies, key: string, reader: Noting): Copy | undefined {
    const at = this.#log.find(key);
    if (at >= 0) {
      const { units } = this.#log;
      const copy = this.#log.read(at, reader, copies);
      // A held object counted with the length of its text before escaping. From now on the actual text counts.
      this.#bytesLeft -= (this.#log.units - units) * BYTES_A_UNIT;
      return copy;
    }
    const plain = copies.ready.plain(key, reader.covered);
    return plain === undefined ? copies.get(key, reader) : plain;
  }

  /**
   * Whether the value about to be written replaces one in the log that nobody has read. Its text may never be needed.
   */
  holds(copies: Copies, key: string): boolean {
    return this.logged === copies && this.#log.holds(key);
  }

  /** `hold` had to make the text of an object at once. The next objects would probably need it too, so none is held. */
  unheld(): void {
    this.#log.unheld();
  }

  /**
   * Accepts a write at `now` (true) or refuses it (false), in which case the core must be asked. `kind` 3 deletes.
   * Returns undefined if it had to call the core: what followed, listeners included, decides whether the write may be
   * tried again.
   */
  write(account: Account, copies: Copies, bits: number, key: string, kind: Stored, encoded: string | Held, now: number): boolean | undefined {
    if (this.#over || key.length === 0 || this.#host.listening()) return false;
    const log = this.#log;
    const { size } = log;
    if (size > 0 && (this.#account !== account || this.#bits !== bits || now - this.#now >= LOG_MS)) return this.#anew();
    if (!this.append(key, kind, encoded)) {
      const units = key.length + (typeof encoded === 'string' ? encoded : encoded.text).length;
      if (size > 0 && (size >= this.#logWrites || log.units + units > log.most)) {
        log.full = true;
        return this.#anew();
      }
      const lacks = () => this.#keysLeft < 1 || this.#bytesLeft < units * BYTES_A_UNIT + OVERHEAD;
      if (!lacks()) return false;
      this.#ask();
      return lacks() ? false : undefined;
    }
    if (size > 0) return true;
    this.#account = account;
    this.#bits = bits;
    this.#now = now;
    this.logged = copies;
    this.turned();
    this.#host.soon();
    return true;
  }

  /** Logs a further write of the same session, guarantees and turn. All conditions checked in this turn still hold. */
  append(key: string, kind: Stored, encoded: string | Held): boolean {
    const log = this.#log;
    const at = log.again(key);
    if (at >= 0 && this.#rewrite(at, kind, encoded)) return true;
    const value = typeof encoded === 'string' ? encoded : encoded.text;
    const units = key.length + value.length;
    const bytes = units * BYTES_A_UNIT + OVERHEAD;
    if (log.size >= this.#logWrites || log.units + units > log.most || this.#keysLeft < 1 || this.#bytesLeft < bytes) return false;
    if (key.length > this.#keyUnits || value.length > this.#valueUnits) return false;
    this.#keysLeft -= 1;
    this.#bytesLeft -= bytes;
    log.add(key, kind, value);
    return true;
  }

  /** Hands the log over, so that a new one can begin. */
  #anew(): undefined {
    this.#host.settle();
    return undefined;
  }

  /** Replaces a value that is still in the log; false if the new one does not fit. */
  #rewrite(at: number, kind: Stored, value: string | Held): boolean {
    const more = value.length - this.#log.valueUnits(at);
    const bytes = this.#bytesLeft - more * BYTES_A_UNIT;
    if (this.#log.units + more > this.#logUnits || bytes < 0 || value.length > this.#valueUnits) return false;
    this.#bytesLeft = bytes;
    this.#log.replace(at, kind, value);
    return true;
  }

  /** Gives the core all logged writes in order, then all reads. Runs before every other call of the core. */
  settle(): void {
    this.turned();
    // The call that follows may use up room, so ask again before the next write.
    this.#keysLeft = 0;
    if (this.logged !== undefined) this.#handOver(this.logged);
    if (this.#owing.size === 0) return;
    for (const account of this.#owing) account.settle();
    this.#owing.clear();
  }

  /** Whether there is anything to tell the core. */
  get owes(): boolean {
    return this.logged !== undefined || this.#owing.size > 0;
  }

  owe(account: Account): void {
    if (this.#host.used !== undefined && this.#owing.size === 0) this.#host.soon();
    this.#owing.add(account);
  }

  /** The time of the reads that are settled now; undefined if sessions have no idle end. */
  usedAt(): number | undefined {
    return this.#host.used?.();
  }

  forgive(account: Account): void {
    this.#owing.delete(account);
  }

  /** Drops copies that are no longer true; null drops all. */
  forget(keys: readonly (readonly [space: string, key: string])[] | null): void {
    if (keys === null) {
      this.revoked += 1;
      this.turned();
      this.#spaces.each((copies) => copies.clear());
      return;
    }
    for (const [space, key] of keys) this.#spaces.find(space)?.delete(key);
  }

  /** Ends the front: it answers and accepts nothing any more. */
  end(): void {
    this.#over = true;
    this.logged = undefined;
    this.#log.clear();
    this.#owing.clear();
    this.forget(null);
    this.#frozen?.clear();
    this.#spaces.clear();
  }

  /** Asks the core how much it would accept. */
  #ask(): void {
    // First settles, which may run listeners; then nothing runs between the answer and its use.
    this.#host.settle();
    const [keys = 0, bytes = 0, keyBytes = 0, valueBytes = 0, batchKeys = 0, batchBytes = 0] = this.#host.room();
    this.#keysLeft = keys;
    this.#bytesLeft = bytes;
    this.#logWrites = Math.min(LOG_WRITES, batchKeys);
    // Half of what a batch may hold: a value that grows in place, or quotes, must not exceed the limit.
    this.#logUnits = Math.min(LOG_UNITS, batchBytes / BYTES_A_UNIT / 2);
    this.#log.bound(this.#logUnits);
    this.#keyUnits = Math.min(KEY_UNITS, keyBytes / KEY_BYTES, this.#logUnits / 2);
    this.#valueUnits = Math.min(VALUE_UNITS, (valueBytes - QUOTES) / BYTES_A_UNIT, this.#logUnits / 2);
  }

  #handOver(copies: Copies): void {
    const account = this.#account;
    this.logged = undefined;
    if (account === undefined) return;
    try {
      this.#log.send(account.raw, this.#bits, this.#now);
      this.#log.leave(copies);
      if (this.#written.units > WRITTEN_UNITS) this.#relieve();
      this.#log.clear();
    } catch (cause) {
      this.#log.clear();
      this.forget(null);
      this.#host.lost(cause);
    }
  }

  #relieve(): void {
    this.#spaces.each((copies) => copies.relieve());
    // What was still counted belonged to spaces that are gone.
    this.#written.units = 0;
  }
}
