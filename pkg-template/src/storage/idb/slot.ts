/**
 * One slot: an IndexedDB database in which one replica's state lives.
 *
 * Invariant: no two pages write one history, not even when a lock was lost. Groups of records are added under consecutive
 * numbers, which fails where the number is taken; so is a snapshot; each load takes a number of its own, which stays taken, so whoever was there
 * before fails with the next write (`Dispossessed`). What is written is sent in the turn of the call and commits without
 * another: a page that is about to go has no other. Locks are its caller's.
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

/** What a write asks for, and how the slot stands after it. */
interface Filled {
  readonly requests: readonly Promise<unknown>[];
  readonly row: SlotRow;
  readonly next: number;
}

/** A write was undone, because the slot is not its owner's any more. */
export class Dispossessed extends Error {
  /** Whether somebody else has it, or nobody: it is empty. */
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
  /** What ends the writes that wait for this connection, should it be lost. */
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

  /** The row of the slot; undefined where nothing was ever loaded. */
  async row(): Promise<SlotRow | undefined> {
    return (await this.#connected()).get(STATE, SLOT) as Promise<SlotRow | undefined>;
  }

  /** Takes possession and answers what is there. Damage is noted in the slot, and thrown. */
  async load(): Promise<SlotState & { readonly doubtful: boolean }> {
    // Until it has succeeded nothing is this page's.
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
      // A copy has a life of its own from now on.
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
      // It takes a number too, or who was overtaken would undo what came after.
      const requests = [quietly(log.add(toGroup([]), this.#next))];
      requests.push(quietly(state.put(bytes, SNAPSHOT)), quietly(state.put(row, SLOT)), quietly(log.delete(IDBKeyRange.upperBound(this.#mark, true))));
      if (this.#next > this.#mark + 1) requests.push(quietly(log.delete(IDBKeyRange.bound(this.#mark, this.#next, true, true))));
      return { requests, row, next: this.#next + 1 };
    });
  }

  /** Whether the slot is still in its owner's possession: `'gone'` where it is empty, `'taken'` where somebody else has it. */
  async possession(): Promise<'own' | 'gone' | 'taken'> {
    const row = await this.row();
    if (row === undefined) return 'gone';
    return row.owner === this.#row?.owner ? 'own' : 'taken';
  }

  /** What is there for somebody else to take over; undefined where they have it already. Damage is noted, and thrown. */
  async remains(): Promise<SlotState | undefined> {
    const { tx, rows, state } = await this.#read();
    await tx.done;
    return hasNews(rows) ? state : undefined;
  }

  /** Somebody else has durably taken over everything before the group `next`. */
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
      // A request's error says why; the transaction's, that it was undone.
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
   * Waits for a transaction as long as there is its connection: Chromium never ends one whose commit was asked for when the
   * site's data is cleared. What has become of it the next write sees, by the numbers.
   */
  async #settled(work: Promise<unknown>): Promise<void> {
    const waiting = this.#waiting;
    let lose = (_: Error) => {};
    const lost = new Promise<never>((_, reject) => (lose = reject));
    waiting.add(lose);
    await Promise.race([work, lost]).finally(() => waiting.delete(lose));
  }

  /** A transaction in this turn; undefined where the connection is gone. */
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
   * The same over a new connection. The database may be another one by now: an empty one. Where it is the same, what was being written
   * when the connection was lost may be stored after all.
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

  /** What is there. Where it is damaged, or the browser cannot read it any more, that is noted, and thrown. */
  async #read(again = true): Promise<{ tx: Transaction; rows: Rows; state: SlotState }> {
    const tx = begin(await this.#connected(), this.#durability);
    try {
      const rows = await read(tx);
      return { tx, rows, state: toState(this.name, rows) };
    } catch (error) {
      const { name, message } = error as Error;
      // Large values lie in files beside the database, which are lost by themselves.
      const unreadable = /^(Data|NotReadable|Unknown)Error$/.test(name);
      // A connection that was lost is told in the same words.
      if (unreadable && again) return this.#read(false);
      const lost = unreadable ? damage(this.name, `the browser cannot read what is in it: ${message}`) : error;
      // Where that cannot be noted it is told once more.
      if (EdgeSessionError.is(lost)) await this.#note(lost.message).catch(() => {});
      throw lost;
    }
  }

  /** Why the slot is not to be used any more. */
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
      // Somebody deletes the database or brings a new version: they must not wait for this page.
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
 * Asks for all of a write, and for its commit, or for none of it: what the engine cannot copy, for want of memory, it refuses at once, and would
 * store what was asked for before.
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
      // It has ended by itself.
    }
    throw error;
  }
}

/** The request's failure is the transaction's, which is what is waited for. */
function quietly(request: Promise<unknown>): Promise<unknown> {
  request.catch(() => {});
  return request;
}

async function read(tx: Transaction): Promise<Rows> {
  const state = tx.objectStore(STATE);
  const row = (await state.get(SLOT)) as SlotRow | undefined;
  // What lies before the log's beginning is a number that stays taken, or a write that came too late.
  const since = row === undefined ? null : IDBKeyRange.lowerBound(row.base);
  const log = tx.objectStore(LOG);
  const [snapshot, numbers, groups] = await Promise.all([state.get(SNAPSHOT), log.getAllKeys(since), log.getAll(since)]);
  return { row, snapshot, numbers, groups };
}
