/**
 * A slot: an IndexedDB database that holds one replica's state. Its caller holds the lock.
 *
 * Invariants:
 * - No two pages write one history, not even if a lock was lost. Groups, snapshots and loads are added under
 *   consecutive numbers, which fails if the number is taken, so an overtaken page fails with its next write
 *   (`Dispossessed`). The number of a load stays taken.
 * - A write is requested, and its commit, within the turn of the call: a page that is being closed has no later turn.
 */
import { type IDBPDatabase, type IDBPTransaction, deleteDB, openDB } from 'idb';
import { EdgeSessionError } from '../../errors.js';
import { type Rows, type SlotRow, type SlotState, checksum, damage, hasNews, newRow, toGroup, toState } from './rows.js';

const VERSION = 1;
const STATE = 'state';
const LOG = 'log';
const SLOT = 'slot';
const SNAPSHOT = 'snapshot';

export type Durability = 'strict' | 'relaxed';
type Transaction = IDBPTransaction<unknown, string[], 'readwrite'>;

/** The requests of a write, and the state of the slot after it. */
interface Filled {
  readonly requests: readonly Promise<unknown>[];
  readonly row: SlotRow;
  readonly next: number;
}

/** A write was rolled back because the slot no longer belongs to this page. */
export class Dispossessed extends Error {
  /** True if another page has the slot, false if it is empty. */
  readonly taken: boolean;

  constructor(database: string, taken: boolean) {
    super(taken ? `another page took over the IndexedDB database '${database}'` : `the IndexedDB database '${database}' was deleted under its owner`);
    this.taken = taken;
  }
}

export class Slot {
  readonly name: string;
  readonly #durability: Durability;
  #db: IDBPDatabase | undefined;
  /** Rejecters of the writes that wait for this connection, in case it is lost. */
  #waiting = new Set<(error: Error) => void>();
  #row: SlotRow | undefined;
  /** The number that the last load took. */
  #mark = 0;
  #next = 1;
  #writing = 0;
  #refused = false;

  constructor(name: string, durability: Durability) {
    this.name = name;
    this.#durability = durability;
  }

  /** Whether everything that was handed in is stored. */
  get idle(): boolean {
    return this.#writing === 0 && !this.#refused;
  }

  /** The slot's row; undefined if nothing was ever loaded. */
  async row(): Promise<SlotRow | undefined> {
    return (await this.#connected()).get(STATE, SLOT) as Promise<SlotRow | undefined>;
  }

  /** Takes possession of the slot and returns its state. Damage is recorded in the slot, and thrown. */
  async load(): Promise<SlotState & { readonly doubtful: boolean }> {
    // Until the load has succeeded, this page owns nothing.
    this.#row = undefined;
    const { tx, rows, state } = await this.#read();
    const before = rows.row ?? newRow(this.name);
    const row: SlotRow = { ...before, owner: crypto.randomUUID(), used: Date.now() };
    quietly(tx.objectStore(STATE).put(row, SLOT));
    quietly(tx.objectStore(LOG).add(toGroup([]), state.next));
    await tx.done;
    this.#row = row;
    this.#mark = state.next;
    this.#next = state.next + 1;
    this.#refused = false;
    return { ...state, doubtful: before.home !== this.name };
  }

  append(records: readonly Uint8Array[]): Promise<void> {
    const group = toGroup(records);
    return this.#write((tx, before) => {
      const requests = [quietly(tx.objectStore(LOG).add(group, this.#next))];
      // With its first write a copy becomes a slot of its own.
      const row = before.home === this.name ? before : { ...before, home: this.name };
      if (row !== before) requests.push(quietly(tx.objectStore(STATE).put(row, SLOT)));
      return { requests, row, next: this.#next + 1 };
    });
  }

  compact(snapshot: Uint8Array): Promise<void> {
    const bytes = snapshot.slice();
    return this.#write((tx, before) => {
      const row: SlotRow = { ...before, home: this.name, base: this.#next, snapshot: checksum(bytes) };
      const [state, log] = [tx.objectStore(STATE), tx.objectStore(LOG)];
      // A compaction takes a number, too; otherwise an overtaken page could undo what came after.
      const requests = [quietly(log.add(toGroup([]), this.#next))];
      requests.push(quietly(state.put(bytes, SNAPSHOT)), quietly(state.put(row, SLOT)), quietly(log.delete(IDBKeyRange.upperBound(this.#mark, true))));
      if (this.#next > this.#mark + 1) requests.push(quietly(log.delete(IDBKeyRange.bound(this.#mark, this.#next, true, true))));
      return { requests, row, next: this.#next + 1 };
    });
  }

  /** Whether the slot still belongs to this page: `'gone'` if it is empty, `'taken'` if another page has it. */
  async possession(): Promise<'own' | 'gone' | 'taken'> {
    const row = await this.row();
    if (row === undefined) return 'gone';
    return row.owner === this.#row?.owner ? 'own' : 'taken';
  }

  /** The state for another replica to take over; undefined if that was done already. Damage is recorded, and thrown. */
  async remains(): Promise<SlotState | undefined> {
    const { tx, rows, state } = await this.#read();
    await tx.done;
    return hasNews(rows) ? state : undefined;
  }

  /** Records that another replica has durably taken over everything before the group `next`. */
  async absorbed(next: number): Promise<void> {
    const tx = begin(await this.#connected(), this.#durability);
    const row = (await tx.objectStore(STATE).get(SLOT)) as SlotRow | undefined;
    if (row !== undefined) quietly(tx.objectStore(STATE).put({ ...row, absorbed: next } satisfies SlotRow, SLOT));
    await tx.done;
  }

  /** Deletes the database. */
  async remove(): Promise<void> {
    this.close();
    await deleteDB(this.name);
  }

  close(): void {
    this.#db?.close();
    this.#db = undefined;
  }

  async #write(fill: (tx: Transaction, row: SlotRow) => Filled): Promise<void> {
    this.#writing += 1;
    this.#refused = true;
    try {
      const tx = this.#now() ?? (await this.#later());
      const row = this.#row;
      if (row === undefined) throw new Dispossessed(this.name, false);
      const seen = tx.objectStore(STATE).get(SLOT) as Promise<SlotRow | undefined>;
      quietly(seen);
      const { requests, ...after } = whole(tx, () => fill(tx, row));
      // The error of a request says why; that of the transaction only that it was rolled back.
      await this.#settled(Promise.all([...requests, tx.done])).catch((error: unknown) => {
        throw (error as { name?: unknown } | null)?.name === 'ConstraintError' ? new Dispossessed(this.name, true) : error;
      });
      if ((await seen)?.owner !== row.owner) throw new Dispossessed(this.name, true);
      [this.#row, this.#next, this.#refused] = [after.row, after.next, false];
    } finally {
      this.#writing -= 1;
    }
  }

  /**
   * Waits for a transaction, but only as long as its connection exists: Chromium never settles a transaction whose
   * commit was requested when the site's data is cleared. The next write learns its outcome from the numbers.
   */
  async #settled(work: Promise<unknown>): Promise<void> {
    const waiting = this.#waiting;
    let lose = (_: Error) => {};
    const lost = new Promise<never>((_, reject) => (lose = reject));
    waiting.add(lose);
    await Promise.race([work, lost]).finally(() => waiting.delete(lose));
  }

  /** A transaction within this turn; undefined if the connection is gone. */
  #now(): Transaction | undefined {
    try {
      return this.#db && begin(this.#db, this.#durability);
    } catch (error) {
      if ((error as { name?: unknown }).name !== 'InvalidStateError') throw error;
      this.close();
      return undefined;
    }
  }

  /**
   * A transaction over a new connection. The database may be a new, empty one by now. If it is the same, what was being
   * written when the connection was lost may be stored after all.
   */
  async #later(): Promise<Transaction> {
    const db = await this.#connected();
    const tx = db.transaction([STATE, LOG]);
    const [row, last] = await Promise.all([tx.objectStore(STATE).get(SLOT) as Promise<SlotRow | undefined>, tx.objectStore(LOG).openKeyCursor(null, 'prev')]);
    if (row === undefined || row.owner !== this.#row?.owner) throw new Dispossessed(this.name, row !== undefined);
    this.#row = row;
    if (last !== null) this.#next = Number(last.key) + 1;
    return begin(db, this.#durability);
  }

  /** Reads everything. If it is damaged, or the browser cannot read it, that is recorded in the slot, and thrown. */
  async #read(again = true): Promise<{ tx: Transaction; rows: Rows; state: SlotState }> {
    const tx = begin(await this.#connected(), this.#durability);
    try {
      const rows = await read(tx);
      return { tx, rows, state: toState(this.name, rows) };
    } catch (error) {
      const { name, message } = error as Error;
      // Browsers keep large values in files beside the database, which can be lost separately.
      const unreadable = /^(Data|NotReadable|Unknown)Error$/.test(name);
      // A lost connection is reported by the same errors, so it is tried twice.
      if (unreadable && again) return this.#read(false);
      const lost = unreadable ? damage(this.name, `the browser cannot read what is in it: ${message}`) : error;
      // If that cannot be recorded, the next read reports it again.
      if (EdgeSessionError.is(lost)) await this.#note(lost.message).catch(() => {});
      throw lost;
    }
  }

  /** Records why the slot must not be used any more. */
  async #note(damaged: string): Promise<void> {
    const row = (await this.row()) ?? newRow(this.name);
    const tx = begin(await this.#connected(), this.#durability);
    quietly(tx.objectStore(STATE).put({ ...row, damaged } satisfies SlotRow, SLOT));
    await tx.done;
  }

  async #connected(): Promise<IDBPDatabase> {
    if (this.#db !== undefined) return this.#db;
    const waiting = new Set<(error: Error) => void>();
    const db = await openDB(this.name, VERSION, {
      upgrade(fresh) {
        fresh.createObjectStore(STATE);
        fresh.createObjectStore(LOG);
      },
      // Somebody deletes or upgrades the database and must not wait for this page.
      blocking: () => this.close(),
      terminated: () => {
        this.close();
        for (const lose of waiting) lose(new Error(`the connection to the IndexedDB database '${this.name}' was lost`));
      },
    }).catch((error: unknown) => {
      throw (error as { name?: unknown } | null)?.name === 'VersionError' ? damage(this.name, 'a later version of the package has written it') : error;
    });
    this.#waiting = waiting;
    return (this.#db = db);
  }
}

const begin = (db: IDBPDatabase, durability: Durability): Transaction => {
  const tx = db.transaction([STATE, LOG], 'readwrite', { durability });
  quietly(tx.done);
  return tx;
};

/**
 * Requests all parts of a write and its commit, or none. If a value cannot be copied, for lack of memory, the engine
 * throws at once, and would otherwise commit the earlier requests.
 */
function whole<T>(tx: Transaction, fill: () => T): T {
  try {
    const filled = fill();
    tx.commit();
    return filled;
  } catch (error) {
    try {
      tx.abort();
    } catch {
      // It has ended already.
    }
    throw error;
  }
}

/** Ignores a request's rejection: the transaction, which is awaited, fails with it. */
function quietly(request: Promise<unknown>): Promise<unknown> {
  request.catch(() => {});
  return request;
}

async function read(tx: Transaction): Promise<Rows> {
  const state = tx.objectStore(STATE);
  const row = (await state.get(SLOT)) as SlotRow | undefined;
  // Rows before the beginning of the log are numbers that stay taken, or writes that came too late.
  const since = row === undefined ? null : IDBKeyRange.lowerBound(row.base);
  const log = tx.objectStore(LOG);
  const [snapshot, numbers, groups] = await Promise.all([state.get(SNAPSHOT), log.getAllKeys(since), log.getAll(since)]);
  return { row, snapshot, numbers, groups };
}
