/**
 * The way of the records to storage: in order, in groups, one append at a time, and now and then a snapshot in place of a
 * long log.
 *
 * Invariant: `persisted(n)` is told only after every record up to `n` is durable. It knows records as bytes alone.
 */
import type { StorageAdapter } from './types/plug.js';

/** What the journal tells, and asks of, whoever makes the records. */
export interface JournalHost {
  /** Every record up to `n` is durable. */
  persisted(n: number): void;
  /** Storage refused records: none that is not yet durable will be, and the journal takes no more. */
  failed(cause: unknown): void;
  /** Storage refused a snapshot; the log goes on. */
  uncompacted(cause: unknown): void;
  /** All that is durable, or undefined where it cannot be told now. */
  snapshot(): Uint8Array | undefined;
}

// A log of this size loads in some milliseconds; below it a snapshot costs more than it saves.
const SMALLEST_BOUND = 1 << 20;

export class Journal {
  readonly #storage: StorageAdapter;
  readonly #host: JournalHost;
  #queue: { readonly n: number; readonly bytes: Uint8Array }[] = [];
  #inFlight = 0;
  #writing: Promise<void> | undefined;
  #failed = false;
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
    return this.#queue.length + this.#inFlight;
  }

  push(n: number, bytes: Uint8Array): void {
    if (!this.#failed) this.#queue.push({ n, bytes });
  }

  /** Begins to write in this turn what was pushed, unless a write is under way, which then goes on with it. */
  pump(): void {
    if (this.#writing !== undefined || this.#queue.length === 0) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
      this.pump();
    });
  }

  /** Resolves when nothing is on its way any more. */
  async settled(): Promise<void> {
    this.pump();
    while (this.#writing !== undefined) await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#queue;
      this.#queue = [];
      this.#inFlight = group.length;
      try {
        await this.#storage.append(group.map((record) => record.bytes));
      } catch (cause) {
        this.#failed = true;
        this.#queue = [];
        this.#inFlight = 0;
        return this.#host.failed(cause);
      }
      this.#inFlight = 0;
      this.#logged += group.reduce((sum, record) => sum + record.bytes.byteLength, 0);
      this.#host.persisted(group.reduce((last, record) => Math.max(last, record.n), 0));
      if (this.#logged > this.#bound) await this.#compact();
    }
  }

  async #compact(): Promise<void> {
    const snapshot = this.#host.snapshot();
    if (snapshot === undefined) return;
    try {
      await this.#storage.compact(snapshot);
      this.#logged = 0;
      this.#bound = Math.max(SMALLEST_BOUND, 2 * snapshot.byteLength);
    } catch (cause) {
      this.#bound *= 2;
      this.#host.uncompacted(cause);
    }
  }
}
