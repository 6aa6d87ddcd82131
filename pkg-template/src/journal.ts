/**
 * Writes the core's records to storage: in order, in groups, one append at a time, and sometimes a snapshot that
 * replaces a long log. If storage fails, it retries with growing pauses; the core lets nothing out meanwhile.
 *
 * Invariant: it reports `persisted(n)` only after every record up to `n` is durable. Records are opaque bytes.
 */
import type { Timer, Timers } from './platform.js';
import type { StorageAdapter } from './types/plug.js';

/** The maker of the records. */
export interface JournalHost {
  /** Every record up to `n` is durable. */
  persisted(n: number): void;
  /** Storage has begun to fail (`cause`), or works again. */
  health(well: boolean, cause?: unknown): void;
  /** Storage refused a snapshot; the log continues. */
  uncompacted(cause: unknown): void;
  /** A snapshot that covers all records up to `n`; undefined if there is none. */
  compaction(): { readonly n: number; readonly bytes: Uint8Array } | undefined;
}

/**
 * Where the records go, and what storage holds already: records of total weight `logged`, and a snapshot of `snapshot`
 * bytes.
 */
export interface JournalPlace {
  readonly storage: StorageAdapter;
  readonly timer: Timers;
  readonly logged: number;
  readonly snapshot: number;
}

interface Record {
  readonly n: number;
  readonly bytes: Uint8Array;
}

// A log of this weight loads in some milliseconds; below it a snapshot costs more than it saves.
const SMALLEST_BOUND = 1 << 20;
// Loading a record takes as long as loading 512 bytes of a snapshot, which are about seven entries.
const EACH = 512;
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 30_000;

/** What a record adds to the time of the next opening, in bytes of a snapshot. */
export const weight = (record: Uint8Array): number => record.byteLength + EACH;

export class Journal {
  readonly #storage: StorageAdapter;
  readonly #timer: Timers;
  readonly #host: JournalHost;
  #queue: Record[] = [];
  #busy = false;
  #writing: Promise<void> | undefined;
  #pause: { readonly timer: Timer; readonly end: () => void } | undefined;
  #closing = false;
  /** Storage is empty, so a snapshot must come first. */
  #anew = false;
  #logged: number;
  #bound: number;

  constructor(place: JournalPlace, host: JournalHost) {
    this.#storage = place.storage;
    this.#timer = place.timer;
    this.#host = host;
    this.#logged = place.logged;
    this.#bound = Math.max(SMALLEST_BOUND, 2 * place.snapshot);
  }

  /** The number of records that are not durable yet. */
  get pending(): number {
    return this.#queue.length;
  }

  push(n: number, bytes: Uint8Array): void {
    this.#queue.push({ n, bytes });
  }

  /**
   * Starts to write what was pushed, unless a write is under way, which then continues with it. If storage answers
   * synchronously, everything that follows has happened when this returns.
   */
  pump(): void {
    if (this.#busy || (this.#queue.length === 0 && !this.#anew)) return;
    this.#busy = true;
    this.#writing = this.#write();
  }

  /** Storage has become empty: the next `pump` stores everything anew, beginning with a snapshot. */
  restart(): void {
    this.#anew = true;
  }

  /** Resolves when everything is stored, or when storage has failed once more. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#pause?.end();
    this.pump();
    await this.#writing;
  }

  async #write(): Promise<void> {
    let pause = 0;
    try {
      while (this.#queue.length > 0 || this.#anew) {
        const group = this.#queue.slice();
        const anew = this.#anew;
        try {
          if (anew) await this.#restore();
          const stored = anew ? undefined : this.#storage.append(group.map((record) => record.bytes));
          if (stored !== undefined) await stored;
        } catch (cause) {
          if (this.#anew && !anew) continue;
          if (pause === 0) this.#host.health(false, cause);
          if (this.#closing) return;
          pause = Math.min(2 * pause || FIRST_PAUSE, LONGEST_PAUSE);
          await this.#rest(pause);
          continue;
        }
        if (pause > 0) this.#host.health(true);
        pause = 0;
        if (anew) continue;
        this.#logged += group.reduce((sum, record) => sum + weight(record.bytes), 0);
        this.#stored(group.reduce((last, record) => Math.max(last, record.n), 0));
        if (this.#logged > this.#bound) await this.#compact();
      }
    } finally {
      // Synchronously after the last look at the queue: a later push starts a write of its own.
      this.#busy = false;
    }
  }

  async #compact(): Promise<void> {
    try {
      await this.#replace();
    } catch (cause) {
      this.#bound *= 2;
      if (!this.#anew) this.#host.uncompacted(cause);
    }
  }

  /** Stores everything in an empty storage. */
  async #restore(): Promise<void> {
    this.#anew = false;
    try {
      // Without a snapshot, the records alone could not be loaded again.
      if (!(await this.#replace())) throw new Error('there is no snapshot to begin with');
    } catch (cause) {
      this.#anew = true;
      throw cause;
    }
  }

  /** Replaces all records by a snapshot; false if there is none. */
  async #replace(): Promise<boolean> {
    const snapshot = this.#host.compaction();
    if (snapshot === undefined) return false;
    await this.#storage.compact(snapshot.bytes);
    this.#logged = 0;
    this.#bound = Math.max(SMALLEST_BOUND, 2 * snapshot.bytes.byteLength);
    this.#stored(snapshot.n);
    return true;
  }

  #stored(n: number): void {
    this.#queue = this.#queue.filter((record) => record.n > n);
    this.#host.persisted(n);
  }

  /** A pause that `close` ends early and that does not keep the process alive. */
  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        this.#pause?.timer.cancel();
        this.#pause = undefined;
        resolve();
      };
      this.#pause = { timer: this.#timer(end, ms), end };
      this.#pause.timer.hold(false);
    });
  }
}
