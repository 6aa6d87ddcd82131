/**
 * The desk of one conformance case: one place of data, every adapter that was opened on it, and what it should hold.
 *
 * Invariant: whatever a case leaves open is closed when the desk is cleared, also after a failure.
 */
import type { StorageAdapter } from '../types/plug.js';
import { ensure, eventually } from './case.js';

/**
 * What the suite needs from the platform under an adapter. `State` names a place where data lives: a directory, a
 * database's name, a Durable Object's id.
 */
export interface StorageBench<State> {
  /** An empty place that no other case uses. */
  create(): State | Promise<State>;
  /** An adapter on that place, as a process that has just started would make it. */
  open(state: State): StorageAdapter | Promise<StorageAdapter>;
  /**
   * Ends an adapter as a crash does: no `close`, whatever is under way stops at once or never happens, the lock dies.
   * Resolves when the place can be opened again.
   */
  kill(state: State, adapter: StorageAdapter): void | Promise<void>;
  /** Makes `append` and `compact` fail (as a full disk does), or work again. */
  fail?(state: State, adapter: StorageAdapter, failing: boolean): void | Promise<void>;
  /**
   * Cuts off the last `bytes` of the log, at most the length of its last record, as a crash within a write does. No
   * adapter is open.
   */
  tear?(state: State, bytes: number): void | Promise<void>;
  /** Changes one byte within the record with this number, counted from 0. No adapter is open. */
  corrupt?(state: State, record: number): void | Promise<void>;
  /** Copies the place by other means than the adapter's. No adapter is open. */
  copy?(state: State): State | Promise<State>;
  /** Cleans up. */
  remove?(state: State): void | Promise<void>;
}

/** An adapter in use: locked and loaded. */
export interface Use {
  readonly adapter: StorageAdapter;
  readonly unlock: () => void;
  readonly snapshot: Uint8Array | null;
  readonly records: readonly Uint8Array[];
  readonly doubtful: boolean;
}

/** The place of one case, and every adapter that was opened on it. */
export class Desk<State> {
  readonly bench: StorageBench<State>;
  readonly state: State;
  readonly #more: Desk<State>[] = [];
  readonly #open = new Set<Use>();
  readonly #lockless = new Set<StorageAdapter>();

  constructor(bench: StorageBench<State>, state: State) {
    this.bench = bench;
    this.state = state;
  }

  /** Opens, locks (waiting for a lock that is about to be released) and loads. */
  async use(): Promise<Use> {
    const adapter = await this.adapter();
    const unlock = await eventually('the lock', async () => (await adapter.lock()) ?? undefined);
    this.#lockless.delete(adapter);
    try {
      const { snapshot, records, doubtful } = await adapter.load();
      const all: Uint8Array[] = [];
      for await (const record of records) all.push(record.slice());
      const use = { adapter, unlock, snapshot: snapshot && snapshot.slice(), records: all, doubtful: doubtful === true };
      this.#open.add(use);
      return use;
    } catch (error) {
      await adapter.close?.();
      unlock();
      throw error;
    }
  }

  /** An adapter that is not locked yet. */
  async adapter(): Promise<StorageAdapter> {
    const adapter = await this.bench.open(this.state);
    this.#lockless.add(adapter);
    return adapter;
  }

  async close(use: Use): Promise<void> {
    this.#open.delete(use);
    await use.adapter.close?.();
    use.unlock();
  }

  async kill(use: Use): Promise<void> {
    this.#open.delete(use);
    await this.bench.kill(this.state, use.adapter);
  }

  /** What is stored, as found after a restart; nothing stays open. */
  async stored(): Promise<Use> {
    const use = await this.use();
    await this.close(use);
    return use;
  }

  async another(state?: State): Promise<Desk<State>> {
    const desk = new Desk(this.bench, state ?? (await this.bench.create()));
    this.#more.push(desk);
    return desk;
  }

  async clear(): Promise<void> {
    for (const desk of this.#more) await desk.clear();
    for (const use of [...this.#open]) await this.close(use);
    for (const adapter of this.#lockless) await adapter.close?.();
    await this.bench.remove?.(this.state);
  }
}

/** Bytes that are unique to a seed and a length. */
export function bytes(seed: number, length: number): Uint8Array {
  const made = new Uint8Array(length);
  let state = (seed * 2_654_435_761 + length * 40_503 + 1) >>> 0;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    made[at] = state >>> 24;
  }
  return made;
}

/** Throws unless the adapter has returned what it was given, or nothing if it is not durable. */
export function expect(found: Pick<Use, 'snapshot' | 'records'>, adapter: StorageAdapter, snapshot: Uint8Array | null, records: readonly Uint8Array[]): void {
  const nothing = adapter.durable === false;
  const wanted = nothing ? null : snapshot;
  ensure((found.snapshot === null) === (wanted === null), `expected ${wanted ? 'a' : 'no'} snapshot`);
  ensure(wanted === null || alike(found.snapshot as Uint8Array, wanted), 'the snapshot is another one');
  same(found.records, nothing ? [] : records);
}

export function same(found: readonly Uint8Array[], wanted: readonly Uint8Array[]): void {
  const different = wanted.findIndex((record, n) => found[n] === undefined || !alike(found[n], record));
  ensure(different < 0, `record ${different} of ${wanted.length} is missing or another one; ${found.length} came back`);
  ensure(found.length === wanted.length, `${wanted.length} records were expected, ${found.length} came back`);
}

export function alike(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
