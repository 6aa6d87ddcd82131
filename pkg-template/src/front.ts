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

/** Whose write a copy is: a number that the core gave to a replica, and a sequence; 0 while the write is in the log. */
interface Mark {
  origin: number;
  sequence: number;
}

/** A value that may be answered until it is to be forgotten: a string (kind 0) or JSON text (kind 1). */
export interface Copy {
  readonly kind: 0 | 1;
  readonly value: string;
  readonly mark: Mark;
}

/** Writes are handed over at so many, or at so many UTF-16 units of text: larger strings cost twice as much. */
const LOG_WRITES = 512;
const LOG_UNITS = 48_000;
/** No character takes more bytes of UTF-8 for one UTF-16 unit. */
const BYTES_A_UNIT = 3;
/** What the limits count for an entry beside its key and value, in bytes. */
const OVERHEAD = 64;
/** The most copies that are fetched with one read. */
const AHEAD = 64;
/** What is longer is handed over by itself: joining it to others would cost more than it saves. */
const KEY_UNITS = 256;
const VALUE_UNITS = 4_096;

/** What one session has read from copies since the core was told. */
export class Account {
  readonly raw: CoreSession;
  readonly #front: Front;
  /** The greatest sequence read of each origin. */
  #reads: number[] = [];
  /** A write that was read before it was handed over. */
  #pending: Mark | undefined;
  #open = false;

  constructor(raw: CoreSession, front: Front) {
    this.raw = raw;
    this.#front = front;
  }

  note(mark: Mark): void {
    if (mark.sequence === 0) this.#pending = mark;
    else if (mark.sequence > (this.#reads[mark.origin] ?? 0)) this.#reads[mark.origin] = mark.sequence;
    else return;
    if (this.#open) return;
    this.#open = true;
    this.#front.owe(this);
  }

  /** Tells the core. The log is empty, so that every write has its dot. */
  settle(): void {
    this.#open = false;
    if (this.#pending !== undefined) {
      const { origin, sequence } = this.#pending;
      this.#reads[origin] = Math.max(this.#reads[origin] ?? 0, sequence);
      this.#pending = undefined;
    }
    const dots: number[] = [];
    this.#reads.forEach((sequence, origin) => {
      if (sequence > 0) dots.push(origin, sequence);
    });
    this.#reads = [];
    if (dots.length > 0) this.raw.recordReads(new Float64Array(dots));
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
  /** Whether somebody listens to changes: they are told before the write returns. */
  listening(): boolean;
  /** What the store has place for (keys, bytes), and its limits: bytes of a key, of a value, keys and bytes of a batch. */
  room(): Float64Array;
  /** Calls `settle` now, and performs what follows from it. */
  settle(): void;
  /** The same, after the current task. */
  soon(): void;
  /** Writes that were accepted could not be applied. */
  lost(cause: unknown): void;
}

export class Front {
  /** Goes up when whatever the core has allowed must be asked for again. */
  revoked = 0;
  readonly #host: Host;
  readonly #spaces = new Map<string, Map<string, Copy>>();
  readonly #owing = new Set<Account>();
  readonly #lengths = new Uint32Array(2 * LOG_WRITES);
  #texts: string[] = [];
  #units = 0;
  #account: Account | undefined;
  #bits = 0;
  #now = 0;
  #mark: Mark = { origin: 0, sequence: 0 };
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

  constructor(host: Host) {
    this.#host = host;
    this.#over = !host.enabled;
  }

  /** False where nothing may be answered or accepted here. */
  get open(): boolean {
    return !this.#over;
  }

  /** The copies of a space. */
  copies(space: string): Map<string, Copy> {
    let copies = this.#spaces.get(space);
    if (copies === undefined) this.#spaces.set(space, (copies = new Map()));
    return copies;
  }

  /** How many copies of neighbours the core is asked for now. */
  ahead(): number {
    return this.#over ? 0 : this.#ahead;
  }

  /** Keeps what the core lets be kept of a read. A copy that is there already is as true. */
  keep(copies: Map<string, Copy>, key: string, [kind, value, origin, sequence, text, numbers]: Glance): void {
    if (this.#over || origin === undefined || sequence === undefined || kind === 2) return;
    copies.set(key, { kind, value: value as string, mark: { origin, sequence } });
    this.#ahead = Math.min(AHEAD, 2 * this.#ahead + 1);
    if (text === undefined || numbers === undefined) return;
    for (let at = 0, from = 0; at < numbers.length; at += 4) {
      const [lengthOfKey, packed] = [numbers[at] as number, numbers[at + 1] as number];
      const until = from + lengthOfKey;
      const [name, end] = [text.slice(from, until), until + (packed >>> 2)];
      if (!copies.has(name)) {
        const mark = { origin: numbers[at + 2] as number, sequence: numbers[at + 3] as number };
        copies.set(name, { kind: (packed & 3) as 0 | 1, value: text.slice(until, end), mark });
      }
      from = end;
    }
  }

  /** Accepts a write at `now`, or refuses: then the core must be asked. `kind` 3 deletes. */
  write(account: Account, bits: number, key: string, kind: 0 | 1 | 3, value: string, now: number): Mark | undefined {
    if (this.#over || key.length === 0 || this.#host.listening()) return undefined;
    const units = key.length + value.length;
    const bytes = units * BYTES_A_UNIT + OVERHEAD;
    if (this.#keysLeft < 1 || this.#bytesLeft < bytes) this.#ask();
    // Listeners run meanwhile, and may write themselves: what counts is what stands in the log afterwards.
    while (this.#texts.length > 0 && (this.#account !== account || this.#bits !== bits)) this.#host.settle();
    if (this.#keysLeft < 1 || this.#bytesLeft < bytes || key.length > this.#keyUnits || value.length > this.#valueUnits) return undefined;
    if (this.#texts.length === 0) {
      [this.#account, this.#bits, this.#now, this.#mark] = [account, bits, now, { origin: 0, sequence: 0 }];
      this.#host.soon();
    }
    const { length } = this.#texts;
    this.#texts.push(key, value);
    this.#lengths[length] = key.length;
    this.#lengths[length + 1] = (value.length << 2) | kind;
    this.#units += units;
    this.#keysLeft -= 1;
    this.#bytesLeft -= bytes;
    const mark = this.#mark;
    if (length + 2 >= 2 * this.#logWrites || this.#units >= this.#logUnits) this.#host.settle();
    return mark;
  }

  /** Tells the core everything: the writes in their order, then the reads. Before any call of the core's. */
  settle(): void {
    // Whatever the core is asked now may take room: what is left is asked for anew.
    this.#keysLeft = 0;
    if (this.#texts.length > 0) this.#handOver();
    if (this.#owing.size === 0) return;
    for (const account of this.#owing) account.settle();
    this.#owing.clear();
  }

  /** Whether there is something to tell the core. */
  get owes(): boolean {
    return this.#texts.length > 0 || this.#owing.size > 0;
  }

  owe(account: Account): void {
    this.#owing.add(account);
  }

  forgive(account: Account): void {
    this.#owing.delete(account);
  }

  /** Copies that are no longer true; all of them without a list. */
  forget(keys: readonly (readonly [space: string, key: string])[] | null): void {
    if (keys === null) {
      this.revoked += 1;
      for (const copies of this.#spaces.values()) copies.clear();
    }
    else for (const [space, key] of keys) this.#spaces.get(space)?.delete(key);
  }

  /** Nothing is answered or accepted any more. */
  end(): void {
    this.#over = true;
    this.#texts = [];
    this.#owing.clear();
    this.#spaces.clear();
  }

  /** Learns what the core would take. */
  #ask(): void {
    // First what is under way, and what listeners do on hearing of it; then nothing happens between the answer and its use.
    this.#host.settle();
    const [keys = 0, bytes = 0, keyBytes = 0, valueBytes = 0, batchKeys = 0, batchBytes = 0] = this.#host.room();
    [this.#keysLeft, this.#bytesLeft] = [keys, bytes];
    this.#logWrites = Math.min(LOG_WRITES, batchKeys);
    // A log that is handed over at half of what a batch may hold never holds more than that.
    this.#logUnits = Math.min(LOG_UNITS, batchBytes / BYTES_A_UNIT / 2);
    this.#keyUnits = Math.min(KEY_UNITS, keyBytes / BYTES_A_UNIT, this.#logUnits / 2);
    this.#valueUnits = Math.min(VALUE_UNITS, valueBytes / BYTES_A_UNIT, this.#logUnits / 2);
  }

  #handOver(): void {
    const [texts, account, mark] = [this.#texts, this.#account, this.#mark];
    if (texts.length === 0 || account === undefined) return;
    this.#texts = [];
    this.#units = 0;
    try {
      const [origin = 0, sequence = 0] = account.raw.handOver(texts.join(''), this.#lengths.subarray(0, texts.length), this.#bits, this.#now);
      [mark.origin, mark.sequence] = [origin, sequence];
    } catch (cause) {
      this.forget(null);
      this.#host.lost(cause);
    }
  }
}
