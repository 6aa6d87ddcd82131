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

/** A write as the core names it: a number that it gave to a replica, and a sequence. */
type Dot = readonly [origin: number, sequence: number];

/** What a key's copy has as its sequence while its write is in the log: one less than minus its place there. */
const IN_LOG = -1;

/**
 * The values of a space that may be answered until they are to be forgotten. A key has a slot, by which the rest of it is found:
 * an object for each copy would be most of what a write costs.
 */
export class Copies {
  readonly slots = new Map<string, number>();
  /** Strings, or JSON text. */
  readonly values: string[] = [];
  /** The replica of each's write, shifted left by one, and 1 for JSON text. */
  readonly origins: number[] = [];
  readonly sequences: number[] = [];
  readonly #free: number[] = [];

  put(key: string, kind: 0 | 1, value: string, origin: number, sequence: number): number {
    let slot = this.slots.get(key);
    if (slot === undefined) this.slots.set(key, (slot = this.#free.pop() ?? this.values.length));
    this.values[slot] = value;
    this.origins[slot] = (origin << 1) | kind;
    this.sequences[slot] = sequence;
    return slot;
  }

  delete(key: string): void {
    const slot = this.slots.get(key);
    if (slot === undefined) return;
    this.slots.delete(key);
    this.values[slot] = '';
    this.#free.push(slot);
  }

  clear(): void {
    this.slots.clear();
    this.values.length = this.#free.length = 0;
  }
}

/** The most keys in the log: as many as a batch may have, unless the limits say less. */
const LOG_WRITES = 1_000;
/** The most UTF-16 units of text in the log; and in one crossing, because larger strings cost twice as much. */
const LOG_UNITS = 160_000;
const TEXT_UNITS = 48_000;
/** How long the log stays open while the application never lets go of the thread: its writes share one stamp. */
const LOG_MS = 20;
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
  /** A write was read that is in the log. */
  #pending = false;
  #open = false;

  constructor(raw: CoreSession, front: Front) {
    this.raw = raw;
    this.#front = front;
  }

  note(origin: number, sequence: number): void {
    if (sequence < 0) this.#pending = true;
    else if (sequence > (this.#reads[origin] ?? 0)) this.#reads[origin] = sequence;
    else return;
    if (this.#open) return;
    this.#open = true;
    this.#front.owe(this);
  }

  /** Tells the core. The log is empty: its writes have had the dot `handed`. */
  settle(handed: Dot | undefined): void {
    this.#open = false;
    if (this.#pending && handed !== undefined) {
      const [origin, sequence] = handed;
      this.#reads[origin] = Math.max(this.#reads[origin] ?? 0, sequence);
    }
    this.#pending = false;
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
  readonly #spaces = new Map<string, Copies>();
  readonly #owing = new Set<Account>();
  readonly #lengths = new Uint32Array(2 * LOG_WRITES);
  /** The slot of each write in the log; none for a deletion. */
  readonly #places = new Int32Array(LOG_WRITES);
  #texts: string[] = [];
  #units = 0;
  #account: Account | undefined;
  #bits = 0;
  #now = 0;
  /** Of the space that the log is of. */
  #copies: Copies | undefined;
  /** The write that the last log has become. */
  #handed: Dot | undefined;
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
  copies(space: string): Copies {
    let copies = this.#spaces.get(space);
    if (copies === undefined) this.#spaces.set(space, (copies = new Copies()));
    return copies;
  }

  /** How many copies of neighbours the core is asked for now. */
  ahead(): number {
    return this.#over ? 0 : this.#ahead;
  }

  /** Keeps what the core lets be kept of a read. A copy that is there already is as true. */
  keep(copies: Copies, key: string, [kind, value, origin, sequence, text, numbers]: Glance): void {
    if (this.#over || origin === undefined || sequence === undefined || kind === 2) return;
    copies.put(key, kind, value as string, origin, sequence);
    this.#ahead = Math.min(AHEAD, 2 * this.#ahead + 1);
    if (text === undefined || numbers === undefined) return;
    for (let at = 0, from = 0; at < numbers.length; at += 4) {
      const [lengthOfKey, packed] = [numbers[at] as number, numbers[at + 1] as number];
      const until = from + lengthOfKey;
      const [name, end] = [text.slice(from, until), until + (packed >>> 2)];
      if (!copies.slots.has(name)) copies.put(name, (packed & 3) as 0 | 1, text.slice(until, end), numbers[at + 2] as number, numbers[at + 3] as number);
      from = end;
    }
  }

  /**
   * Accepts a write at `now` (true), or refuses (false): then the core must be asked. `kind` 3 deletes. Undefined where the core
   * was told or asked something meanwhile: what has followed from that, listeners included, decides whether it may be tried again.
   */
  write(account: Account, copies: Copies, bits: number, key: string, kind: 0 | 1 | 3, value: string, now: number): boolean | undefined {
    if (this.#over || key.length === 0 || this.#host.listening()) return false;
    const slot = copies.slots.get(key);
    if (slot !== undefined && kind !== 3 && this.#rewrite(account, copies, slot, bits, kind, value, now)) return true;
    const units = key.length + value.length;
    const { length } = this.#texts;
    if (length > 0 && (length >= 2 * this.#logWrites || this.#units + units > this.#logUnits || now - this.#now >= LOG_MS || this.#account !== account || this.#bits !== bits)) {
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
      [this.#account, this.#copies, this.#bits, this.#now] = [account, copies, bits, now];
      this.#host.soon();
    }
    this.#texts.push(key, value);
    this.#lengths[length] = key.length;
    this.#lengths[length + 1] = (value.length << 2) | kind;
    this.#units += units;
    this.#keysLeft -= 1;
    this.#bytesLeft -= bytes;
    if (kind === 3) copies.delete(key);
    this.#places[length >> 1] = kind === 3 ? -1 : copies.put(key, kind, value, 0, IN_LOG - length);
    return true;
  }

  /** Puts a value in the place of one that is still in the log; false where it is not, or does not fit there. */
  #rewrite(account: Account, copies: Copies, slot: number, bits: number, kind: 0 | 1, value: string, now: number): boolean {
    const at = IN_LOG - (copies.sequences[slot] as number);
    if (at < 0 || this.#account !== account || this.#bits !== bits) return false;
    const more = value.length - (copies.values[slot] as string).length;
    const [units, bytes] = [this.#units + more, this.#bytesLeft - more * BYTES_A_UNIT];
    if (units > this.#logUnits || bytes < 0 || value.length > this.#valueUnits || now - this.#now >= LOG_MS) return false;
    [this.#units, this.#bytesLeft] = [units, bytes];
    this.#texts[at + 1] = value;
    this.#lengths[at + 1] = (value.length << 2) | kind;
    copies.values[slot] = value;
    copies.origins[slot] = kind;
    return true;
  }

  /** Tells the core everything: the writes in their order, then the reads. Before any call of the core's. */
  settle(): void {
    // Whatever the core is asked now may take room: what is left is asked for anew.
    this.#keysLeft = 0;
    if (this.#texts.length > 0) this.#handOver();
    if (this.#owing.size === 0) return;
    for (const account of this.#owing) account.settle(this.#handed);
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
    // Half of what a batch may hold, so that a value that grows in its place never makes it more than that.
    this.#logUnits = Math.min(LOG_UNITS, batchBytes / BYTES_A_UNIT / 2);
    this.#keyUnits = Math.min(KEY_UNITS, keyBytes / BYTES_A_UNIT, this.#logUnits / 2);
    this.#valueUnits = Math.min(VALUE_UNITS, valueBytes / BYTES_A_UNIT, this.#logUnits / 2);
  }

  #handOver(): void {
    const [texts, account, copies] = [this.#texts, this.#account, this.#copies];
    this.#handed = undefined;
    if (texts.length === 0 || account === undefined) return;
    this.#texts = [];
    this.#units = 0;
    try {
      let from = 0;
      for (let [at, units] = [0, 0]; at < texts.length; at += 2) {
        units += (texts[at] as string).length + (texts[at + 1] as string).length;
        if (units < TEXT_UNITS || at + 2 === texts.length) continue;
        account.raw.log(texts.slice(from, at + 2).join(''), this.#lengths.subarray(from, at + 2));
        [from, units] = [at + 2, 0];
      }
      const [origin = 0, sequence = 0] = account.raw.handOver(texts.slice(from).join(''), this.#lengths.subarray(from, texts.length), this.#bits, this.#now);
      this.#handed = [origin, sequence];
      // A slot that is free meanwhile says nothing.
      for (const slot of this.#places.subarray(0, texts.length >> 1)) {
        if (slot < 0 || copies === undefined) continue;
        copies.origins[slot] = (origin << 1) | ((copies.origins[slot] as number) & 1);
        copies.sequences[slot] = sequence;
      }
    } catch (cause) {
      this.forget(null);
      this.#host.lost(cause);
    }
  }
}
