/**
 * The way of the records to storage: in order, in groups, one append at a time, and now and then a snapshot in place of a
 * long log. Storage that fails is tried again, ever more slowly; the core lets nothing out meanwhile.
 *
 * Invariant: `persisted(n)` is told only after every record up to `n` is durable. It knows records as bytes alone.
 */
import { type Timer, timer } from './platform.js';
import type { StorageAdapter } from './types/plug.js';

/** What the journal tells, and asks of, whoever makes the records. */
export interface JournalHost {
  /** Every record up to `n` is durable. */
  persisted(n: number): void;
  /** Storage began to refuse (`cause`), or takes records again. */
  health(well: boolean, cause?: unknown): void;
  /** Storage refused a snapshot; the log goes on. */
  uncompacted(cause: unknown): void;
  /** A snapshot that covers all records up to `n`, or undefined where there is none to be had. */
  compaction(): { readonly n: number; readonly bytes: Uint8Array } | undefined;
}

interface Record {
  readonly n: number;
  readonly bytes: Uint8Array;
}

// A log of this size loads in some milliseconds; below it a snapshot costs more than it saves.
const SMALLEST_BOUND = 1 << 20;
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 30_000;

export class Journal {
  readonly #storage: StorageAdapter;
  readonly #host: JournalHost;
  #queue: Record[] = [];
  #writing: Promise<void> | undefined;
  #pause: { readonly timer: Timer; readonly end: () => void } | undefined;
  #closing = false;
  #logged: number;
  #bound: number;

  /** `logged` and `snapshot` are the bytes that storage holds already. */
  constructor(storage: StorageAdapter, host: JournalHost, logged: number, snapshot: number) {
    this.#storage = storage;
    this.#host = host;
    this.#logged = logged;
    this.#bound = Math.max(SMALLEST_BOUND, 2 * snapshot);
  }

  /** Records that are not durable yet. */
  get pending(): number {
    return this.#queue.length;
  }

  push(n: number, bytes: Uint8Array): void {
    this.#queue.push({ n, bytes });
  }

  /** Begins to write in this turn what was pushed, unless a write is under way, which then goes on with it. */
  pump(): void {
    if (this.#writing !== undefined || this.#queue.length === 0) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
      // What was pushed after the last look into the queue; at the end storage has been asked for the last time.
      if (!this.#closing) this.pump();
    });
  }

  /** Resolves when everything is stored, or storage has refused once more. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#pause?.end();
    this.pump();
    await this.#writing;
  }

  async #write(): Promise<void> {
    let pause = 0;
    while (this.#queue.length > 0) {
      const group = this.#queue.slice();
      try {
        await this.#storage.append(group.map((record) => record.bytes));
      } catch (cause) {
        if (pause === 0) this.#host.health(false, cause);
        if (this.#closing) return;
        pause = Math.min(2 * pause || FIRST_PAUSE, LONGEST_PAUSE);
        await this.#rest(pause);
        continue;
      }
      if (pause > 0) this.#host.health(true);
      pause = 0;
      this.#logged += group.reduce((sum, record) => sum + record.bytes.byteLength, 0);
      this.#stored(group.reduce((last, record) => Math.max(last, record.n), 0));
      if (this.#logged > this.#bound) await this.#compact();
    }
  }

  async #compact(): Promise<void> {
    const snapshot = this.#host.compaction();
    if (snapshot === undefined) return;
    try {
      await this.#storage.compact(snapshot.bytes);
    } catch (cause) {
      this.#bound *= 2;
      return this.#host.uncompacted(cause);
    }
    this.#logged = 0;
    this.#bound = Math.max(SMALLEST_BOUND, 2 * snapshot.bytes.byteLength);
    this.#stored(snapshot.n);
  }

  #stored(n: number): void {
    this.#queue = this.#queue.filter((record) => record.n > n);
    this.#host.persisted(n);
  }

  /** A pause that close ends, and that keeps no process alive. */
  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        this.#pause?.timer.cancel();
        this.#pause = undefined;
        resolve();
      };
      this.#pause = { timer: timer(end, ms), end };
      this.#pause.timer.hold(false);
    });
  }
}
