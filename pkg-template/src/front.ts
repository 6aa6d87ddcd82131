/**
 * In front of the core: copies of values and a log of writes, so that a read of a copy and a write cross nothing.
 *
 * The core stays the authority. It says which values may be copied and which copies to forget; a session reads and writes here
 * only after the core has answered it under the same guarantees (a replica only ever gains, so what was satisfied stays so
 * until a token is merged); and before the core is asked anything, by anyone, it is given every write in order and then every
 * read (`settle`). So nothing leaves that rests on what the core does not know. Only where storage is memory: elsewhere a write
 * is not visible to others before it is durable, and that is the core's to judge.
 */
import type { CoreSession, Glance } from './binding.js';
import { Copies } from './copies.js';
import { Copy, Mark, type Stored } from './copy.js';

/** The most keys in the log: as many as a batch may have, unless the limits say less. */
const LOG_WRITES = 1_000;
/** The most UTF-16 units of text in the log; and in one crossing, because larger strings cost twice as much. */
const LOG_UNITS = 160_000;
const TEXT_UNITS = 48_000;
/** How long the log stays open while the application never lets go of the thread: its writes share one stamp. */
const LOG_MS = 20;
/** Of so many looks at the clock one may be the first of many in one task; then a look serves so many reads and writes. */
const LOOKS = 8;
const LOOK_SERVES = 64;
/** No character takes more bytes of UTF-8 for one UTF-16 unit. */
const BYTES_A_UNIT = 3;
/** What the limits count for an entry beside its key and value, in bytes. */
const OVERHEAD = 64;
/** The most copies that are fetched with one read; and with one that goes on where the last copy fetched was. */
const AHEAD = 64;
const WALK = 1_024;
/** What is longer is handed over by itself: joining it to others would cost more than it saves. */
const KEY_UNITS = 256;
const VALUE_UNITS = 4_096;

/** What one session has read from copies since the core was told. */
export class Account {
  readonly raw: CoreSession;
  readonly #front: Front;
  /** The greatest sequence read of each origin. */
  #reads: number[] = [];
  /** What was read of the log: whose dot is told with the log. */
  #pending: Mark | undefined;
  /** What was read last, where it was a copy: who reads one of a write often reads the next one of it. */
  last: Mark | undefined;
  #open = false;

  constructor(raw: CoreSession, front: Front) {
    this.raw = raw;
    this.#front = front;
  }

  /** A copy of this write was read, of another than `last`. */
  note(mark: Mark): void {
    this.last = mark;
    if (mark.sequence === 0) this.#pending = mark;
    else if (mark.sequence > (this.#reads[mark.origin] ?? 0)) this.#reads[mark.origin] = mark.sequence;
    else return;
    if (this.#open) return;
    this.#open = true;
    this.#front.owe(this);
  }

  /** Tells the core. The log is empty. */
  settle(): void {
    this.#open = false;
    this.last = undefined;
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) this.#reads[pending.origin] = Math.max(this.#reads[pending.origin] ?? 0, pending.sequence);
    const dots: number[] = [];
    this.#reads.forEach((sequence, origin) => {
      if (sequence > 0) dots.push(origin, sequence);
    });
    this.#reads = [];
    if (dots.length > 0) this.raw.recordReads(new Float64Array(dots));
    const now = this.#front.usedAt();
    if (now !== undefined) this.raw.noteUse(now);
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
  readonly #spaces = new Map<string, Copies>();
  readonly #owing = new Set<Account>();
  readonly #lengths = new Uint32Array(2 * LOG_WRITES);
  /** The log: keys, and for each its copy. Of a key that is deleted and written anew there are several. */
  #keys: string[] = [];
  #log: Copy[] = [];
  /** The marks of its copies. */
  #marks = marksOfLog();
  #units = 0;
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
  /** How many neighbours the next read that crosses asks for: one that reads a few keys pays for none, a walk for few crossings. */
  #ahead = 0;
  /** The last look at the clock, how many reads and writes it serves yet, and how many looks there were in vain. */
  time = 0;
  serves = 0;
  #looks = 0;

  constructor(host: Host) {
    this.#host = host;
    this.#over = !host.enabled;
  }

  /** False where nothing may be answered or accepted here. */
  get open(): boolean {
    return !this.#over;
  }

  /** The copies of a space. */
  copies(space: string): Copies {
    let copies = this.#spaces.get(space);
    if (copies === undefined) this.#spaces.set(space, (copies = new Copies()));
    return copies;
  }

  /** How many copies of neighbours the core is asked for now. */
  ahead(copies: Copies): number {
    if (this.#over) return 0;
    const ahead = this.#ahead;
    this.#ahead = Math.min(copies.walked ? WALK : AHEAD, 2 * ahead + 1);
    return ahead;
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
    if (this.#host.ownClock) return now;
    this.#looks += 1;
    if (this.#looks < LOOKS) return now;
    // The task may be over soon, or read and write on for long.
    if (this.#looks === LOOKS) void Promise.resolve().then(() => (this.serves = this.#looks = 0));
    this.serves = LOOK_SERVES;
    return now;
  }

  /** Keeps what the core lets be kept of a read. A copy that is there already is as true. */
  keep(copies: Copies, key: string, [kind, value, origin, sequence, text, numbers]: Glance): void {
    if (this.#over || origin === undefined || sequence === undefined || kind === 2) return;
    copies.set(key, new Copy(value as string, new Mark(kind, origin, sequence)));
    if (text !== undefined && numbers !== undefined) copies.add(text, numbers);
  }

  /**
   * Accepts a write at `now` (true), or refuses (false): then the core must be asked. `kind` 3 deletes. Undefined where the core
   * was told or asked something meanwhile: what has followed from that, listeners included, decides whether it may be tried again.
   */
  write(account: Account, copies: Copies, bits: number, key: string, kind: Stored, value: string, now: number): boolean | undefined {
    if (this.#over || key.length === 0 || this.#host.listening()) return false;
    const held = copies.placed(key);
    if (held !== undefined && held.mark.sequence === 0 && kind !== 3 && this.#rewrite(account, held, bits, kind, value, now)) return true;
    const units = key.length + value.length;
    const { length } = this.#keys;
    if (length > 0 && (length >= this.#logWrites || this.#units + units > this.#logUnits || now - this.#now >= LOG_MS || this.#account !== account || this.#bits !== bits)) {
      this.#host.settle();
      return undefined;
    }
    const bytes = units * BYTES_A_UNIT + OVERHEAD;
    if (this.#keysLeft < 1 || this.#bytesLeft < bytes) {
      this.#ask();
      return this.#keysLeft < 1 || this.#bytesLeft < bytes ? false : undefined;
    }
    if (key.length > this.#keyUnits || value.length > this.#valueUnits) return false;
    if (length === 0) {
      this.#account = account;
      this.#bits = bits;
      this.#now = now;
      this.#host.soon();
    }
    this.#units += units;
    this.#keysLeft -= 1;
    this.#bytesLeft -= bytes;
    let copy = held;
    if (copy === undefined || kind === 3) copy = new Copy(value, this.#marks[kind]);
    else {
      copy.value = value;
      copy.mark = this.#marks[kind];
    }
    this.#keys.push(key);
    this.#log.push(copy);
    if (kind === 3) copies.delete(key);
    else if (held === undefined) copies.set(key, copy);
    return true;
  }

  /** Puts a value in the place of one that is still in the log; false where it does not fit there. */
  #rewrite(account: Account, held: Copy, bits: number, kind: 0 | 1, value: string, now: number): boolean {
    if (this.#account !== account || this.#bits !== bits) return false;
    // What is in the log is text.
    const more = value.length - (held.value as string).length;
    const units = this.#units + more;
    const bytes = this.#bytesLeft - more * BYTES_A_UNIT;
    if (units > this.#logUnits || bytes < 0 || value.length > this.#valueUnits || now - this.#now >= LOG_MS) return false;
    this.#units = units;
    this.#bytesLeft = bytes;
    held.value = value;
    held.mark = this.#marks[kind];
    return true;
  }

  /** Tells the core everything: the writes in their order, then the reads. Before any call of the core's. */
  settle(): void {
    // Whatever the core is asked now may take room: what is left is asked for anew.
    this.#keysLeft = 0;
    if (this.#keys.length > 0) this.#handOver();
    if (this.#owing.size === 0) return;
    for (const account of this.#owing) account.settle();
    this.#owing.clear();
  }

  /** Whether there is something to tell the core. */
  get owes(): boolean {
    return this.#keys.length > 0 || this.#owing.size > 0;
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
      for (const copies of this.#spaces.values()) copies.clear();
      return;
    }
    for (const [space, key] of keys) this.#spaces.get(space)?.delete(key);
  }

  /** Nothing is answered or accepted any more. */
  end(): void {
    this.#over = true;
    this.#keys = [];
    this.#log = [];
    this.#owing.clear();
    this.forget(null);
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
    // Half of what a batch may hold, so that a value that grows in its place never makes it more than that.
    this.#logUnits = Math.min(LOG_UNITS, batchBytes / BYTES_A_UNIT / 2);
    this.#keyUnits = Math.min(KEY_UNITS, keyBytes / BYTES_A_UNIT, this.#logUnits / 2);
    this.#valueUnits = Math.min(VALUE_UNITS, valueBytes / BYTES_A_UNIT, this.#logUnits / 2);
  }

  #handOver(): void {
    const [keys, log, marks, account] = [this.#keys, this.#log, this.#marks, this.#account];
    if (account === undefined) return;
    this.#keys = [];
    this.#log = [];
    this.#marks = marksOfLog();
    this.#units = 0;
    try {
      const { raw } = account;
      let [from, [text, end]] = [0, joined(keys, log, this.#lengths, 0)];
      while (end < keys.length) {
        raw.log(text, this.#lengths.subarray(2 * from, 2 * end));
        from = end;
        [text, end] = joined(keys, log, this.#lengths, from);
      }
      const [origin = 0, sequence = 0] = raw.handOver(text, this.#lengths.subarray(2 * from, 2 * end), this.#bits, this.#now);
      for (const mark of [marks[0], marks[1]]) {
        mark.origin = origin;
        mark.sequence = sequence;
      }
    } catch (cause) {
      this.forget(null);
      this.#host.lost(cause);
    }
  }
}

/**
 * The keys and values of a log joined, from `at` on, as far as one crossing takes them, and where that ends; and their lengths. It
 * names nothing of one replica, so that what the engine makes of it outlives every replica.
 */
function joined(keys: readonly string[], log: readonly Copy[], lengths: Uint32Array, at: number): [text: string, end: number] {
  const texts: string[] = [];
  let [end, units] = [at, 0];
  while (end < keys.length && units < TEXT_UNITS) {
    const key = keys[end] as string;
    const { value, mark } = log[end] as { value: string; mark: Mark };
    texts.push(key, value);
    lengths[2 * end] = key.length;
    lengths[2 * end + 1] = (value.length << 2) | mark.kind;
    units += key.length + value.length;
    end += 1;
  }
  return [texts.join(''), end];
}

/** The marks of a log, by the kind of its copies. */
const marksOfLog = () => ({ 0: new Mark(0), 1: new Mark(1), 3: new Mark(3) }) as const;
