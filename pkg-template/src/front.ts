/**
 * In front of the core: copies of values and a log of writes, so that a read of a copy and a write cross nothing.
 *
 * The core stays the authority. It says which values may be copied and which copies to forget; a session reads and writes here
 * only after the core has answered it under the same guarantees (a replica only ever gains, so what was satisfied stays so
 * until a token is merged); and before the core is asked anything, by anyone, it is given every write in order and then every
 * read (`settle`), unless all that it is asked is what a key shows of which nothing was written (`apart`). So nothing leaves that rests on what the core does not know. Only where storage is memory: elsewhere a write
 * is not visible to others before it is durable, and that is the core's to judge.
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
/** How long the log stays open while the application never lets go of the thread: its writes share one stamp. */
const LOG_MS = 20;
/** Of so many looks at the clock one may be the first of many in one task; then a look serves so many reads and writes. */
const LOOKS = 8;
const LOOK_SERVES = 64;
const LOOK_NUMBERS = 2 ** 30 - 1;
/** The most bytes of a UTF-16 unit: a character of UTF-8 takes three of one; half of a pair is stored as an escape of JSON. */
const KEY_BYTES = 3;
const BYTES_A_UNIT = 6;
/** Around a text that is stored as JSON. */
const QUOTES = 2;
/** What the limits count for an entry beside its key and value, in bytes. */
const OVERHEAD = 64 + QUOTES;
/** What is longer is handed over by itself: joining it to others would cost more than it saves. */
const KEY_UNITS = 256;
const VALUE_UNITS = 4_096;
/** No state of what is ready. */
const NEVER = -1;

/** What one session has read from copies. */
export class Account implements Noting {
  readonly raw: CoreSession;
  readonly #front: Front;
  /** The greatest sequence read of each origin: what the core knows is never told again, for what a session has read only grows. */
  known: number[] = [];
  /** Of which the core does not know yet. */
  readonly #untold = new Set<number>();
  /** What was read of the log: whose dot is told with the log. */
  #pending: Mark | undefined;
  covered = NEVER;
  lacks = 0;
  #open = false;

  constructor(raw: CoreSession, front: Front) {
    this.raw = raw;
    this.#front = front;
  }

  /** A copy of this write was read. */
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

  /** Tells the core. The log is empty. */
  settle(): void {
    this.#open = false;
    // The next read is use again.
    if (this.covered >= 0) this.covered = ~this.covered;
    // Unless the log was lost.
    if (this.#pending !== undefined && this.#pending.sequence > 0) this.#learn(this.#pending);
    this.#pending = undefined;
    // Even where nothing is new: whoever reads uses the session.
    this.raw.recordReads(Float64Array.from([...this.#untold].flatMap((origin) => [origin, this.known[origin] as number])));
    this.#untold.clear();
    const now = this.#front.usedAt();
    if (now !== undefined) this.raw.noteUse(now);
  }

  /** The session is in another space: what it has read there is another matter. Everything is told. */
  move(): void {
    this.known = [];
    this.covered = NEVER;
  }

  /** The session was let go of: what it has read concerns nobody any more. */
  drop(): void {
    this.#front.forgive(this);
  }
}

/** What the front needs of the run loop. */
export interface Host {
  /** Whether copies may be kept at all. */
  readonly enabled: boolean;
  /** Whether values are handed out frozen. */
  readonly frozen: boolean;
  /** The time, in milliseconds since 1970. */
  readonly clock: () => number;
  /** Whether the clock is the application's own: it may say anything at any time, and is always asked. */
  readonly ownClock: boolean;
  /** Whether somebody listens to changes: they are told before the write returns. */
  listening(): boolean;
  /** What the store has place for (keys, bytes), and its limits: bytes of a key, of a value, keys and bytes of a batch. */
  room(): Float64Array;
  /** Calls `settle` now, and performs what follows from it. */
  settle(): void;
  /** The same, after the current task. */
  soon(): void;
  /** The time, where sessions end that nobody uses. Then the core is told of reads right after the task that has made them. */
  readonly used: (() => number) | undefined;
  /** Writes that were accepted could not be applied. */
  lost(cause: unknown): void;
}

export class Front {
  /** Goes up when whatever the core has allowed must be asked for again. */
  revoked = 0;
  readonly #host: Host;
  readonly #spaces = new Spaces(() => {
    const ready = new Ready(() => this.turned());
    return new Copies(this.#written, ready, this.#frozen?.table(ready) ?? FRESH);
  });
  readonly #owing = new Set<Account>();
  /** The objects that are handed out frozen, where they are. */
  readonly #frozen: Frozen | undefined;
  readonly #log = new Log();
  readonly #written: Budget = { units: 0 };
  /** The copies of the space to which the log writes, while there is something in it. */
  logged: Copies | undefined;
  #account: Account | undefined;
  #bits = 0;
  #now = 0;
  // What is surely within the limits, counted in the units of strings; all 0 until the core has been asked.
  #keysLeft = 0;
  #bytesLeft = 0;
  #keyUnits = 0;
  #valueUnits = 0;
  #logWrites = 0;
  #logUnits = 0;
  #over = false;
  /** The last look at the clock, how many reads and writes it serves yet, and how many looks there were in vain. */
  time = 0;
  serves = 0;
  #looks = 0;
  /** The number of the last look. */
  look = 0;
  /** Goes up with every look, and with whatever may end what was so when it was looked at. */
  turn = 0;
  /** All that is ready in the one space of which something was read in this turn. */
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

  /** How values are handed out that are not the one of a key in the space of who reads. */
  get values(): Handing {
    return this.#frozen === undefined ? FRESH : FROZEN;
  }

  /** False where nothing may be answered or accepted here. */
  get open(): boolean {
    return !this.#over;
  }

  /** The copies of a space. */
  copies(space: string): Copies {
    return this.#spaces.get(space);
  }

  /** How many copies of neighbours the core is asked for now. */
  ahead(copies: Copies): number {
    return this.#over ? 0 : copies.ahead();
  }

  /**
   * The time for a read of a copy or a write. Where the clock is the platform's, one look at it serves many of them within one
   * task: whatever else ends a session comes between tasks too.
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
    // The task may be over soon, or read and write on for long.
    if (this.#looks === LOOKS) void Promise.resolve().then(() => (this.serves = this.#looks = 0));
    this.serves = LOOK_SERVES;
    return now;
  }

  /** What was looked at may be otherwise from now on. */
  turned(): void {
    this.turn = (this.turn + 1) & LOOK_NUMBERS;
    this.plains = NOTHING;
  }

  /** From now on what is ready in this space is read without any other look; the turn in which that is so. */
  serve(plains: Readonly<Record<string, unknown>>): number {
    if (this.plains !== plains && this.plains !== NOTHING) this.turned();
    this.plains = plains;
    return this.turn;
  }

  /**
   * Whether the core may be asked at `now` what a key shows while what it is owed goes on waiting: at the time of the log, of no key of which there is
   * something in it. It then answers what it had answered before these writes; to what else is due at that time they come later in any case.
   */
  apart(key: string, now: number): boolean {
    if (this.logged !== undefined && (this.#now !== now || this.#log.find(key) >= 0)) return false;
    this.turned();
    return true;
  }

  /** Keeps what the core lets be kept of a read. A copy that is there already is as true. */
  keep(reader: Account, copies: Copies, key: string, [kind, value, origin, sequence, text, numbers]: Glance): void {
    if (this.#over || origin === undefined || sequence === undefined || kind === 2) return;
    const told = { key, value: value as string, mark: new Mark(kind, origin, sequence), reader };
    // What has come with it begins with it.
    if (text !== undefined && numbers !== undefined) copies.add(told, text, numbers);
    else copies.keep(told);
  }

  /** The copy of a key, which somebody reads, where the log writes to the same space; undefined also where it was deleted. */
  read(copies: Copies, key: string, reader: Noting): Copy | undefined {
    const at = this.#log.find(key);
    if (at >= 0) {
      const { units } = this.#log;
      const copy = this.#log.read(at, reader, copies);
      // Of what was held as much counted as its text would be with nothing escaped in it: from now on it is the text that counts.
      this.#bytesLeft -= (this.#log.units - units) * BYTES_A_UNIT;
      return copy;
    }
    const plain = copies.ready.plain(key, reader.covered);
    return plain === undefined ? copies.get(key, reader) : plain;
  }

  /** Whether a value that is about to be written takes the place of one that nobody has seen: then its text may never be wanted. */
  holds(copies: Copies, key: string): boolean {
    return this.logged === copies && this.#log.holds(key);
  }

  /** A copy of a value has ended before the value did: so, as a rule, would the next. */
  unheld(): void {
    this.#log.unheld();
  }

  /**
   * Accepts a write at `now` (true), or refuses (false): then the core must be asked. `kind` 3 deletes. Undefined where the core
   * was told or asked something meanwhile: what has followed from that, listeners included, decides whether it may be tried again.
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

  /** The same behind a write of the same session, under the same guarantees, in the same turn: all that is looked at there is as it was. */
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

  /** Hands the log over, so that another may begin. */
  #anew(): undefined {
    this.#host.settle();
    return undefined;
  }

  /** Puts a value in the place of one that is still in the log; false where it does not fit there. */
  #rewrite(at: number, kind: Stored, value: string | Held): boolean {
    const more = value.length - this.#log.valueUnits(at);
    const bytes = this.#bytesLeft - more * BYTES_A_UNIT;
    if (this.#log.units + more > this.#logUnits || bytes < 0 || value.length > this.#valueUnits) return false;
    this.#bytesLeft = bytes;
    this.#log.replace(at, kind, value);
    return true;
  }

  /** Tells the core everything: the writes in their order, then the reads. Before any call of the core's. */
  settle(): void {
    this.turned();
    // Whatever the core is asked now may take room: what is left is asked for anew.
    this.#keysLeft = 0;
    if (this.logged !== undefined) this.#handOver(this.logged);
    if (this.#owing.size === 0) return;
    for (const account of this.#owing) account.settle();
    this.#owing.clear();
  }

  /** Whether there is something to tell the core. */
  get owes(): boolean {
    return this.logged !== undefined || this.#owing.size > 0;
  }

  owe(account: Account): void {
    if (this.#host.used !== undefined && this.#owing.size === 0) this.#host.soon();
    this.#owing.add(account);
  }

  /** When what is settled now has been read, if that matters. */
  usedAt(): number | undefined {
    return this.#host.used?.();
  }

  forgive(account: Account): void {
    this.#owing.delete(account);
  }

  /** Copies that are no longer true; all of them without a list. */
  forget(keys: readonly (readonly [space: string, key: string])[] | null): void {
    if (keys === null) {
      this.revoked += 1;
      this.turned();
      this.#spaces.each((copies) => copies.clear());
      return;
    }
    for (const [space, key] of keys) this.#spaces.find(space)?.delete(key);
  }

  /** Nothing is answered or accepted any more. */
  end(): void {
    this.#over = true;
    this.logged = undefined;
    this.#log.clear();
    this.#owing.clear();
    this.forget(null);
    this.#frozen?.clear();
    this.#spaces.clear();
  }

  /** Learns what the core would take. */
  #ask(): void {
    // First what is under way, and what listeners do on hearing of it; then nothing happens between the answer and its use.
    this.#host.settle();
    const [keys = 0, bytes = 0, keyBytes = 0, valueBytes = 0, batchKeys = 0, batchBytes = 0] = this.#host.room();
    this.#keysLeft = keys;
    this.#bytesLeft = bytes;
    this.#logWrites = Math.min(LOG_WRITES, batchKeys);
    // Half of what a batch may hold, so that neither a value that grows in its place nor quotes make it more than that.
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
    // What is counted yet went with its space.
    this.#written.units = 0;
  }
}
