/**
 * Storage in the SQLite database of a Cloudflare Durable Object: a table of records and one of the snapshot.
 *
 * Invariants:
 * - Every call completes synchronously, within the object's turn. The platform lets nothing leave the object before
 *   earlier writes are on disk (the output gate), and ends the object if a write fails.
 * - Records and snapshots are split into rows that SQLite accepts there, each with a checksum. A damaged or missing row
 *   is named.
 * - If the application rolls back or deletes what was stored, that is noticed, and everything is stored anew under
 *   another id.
 */
import { EdgeSessionError, invalid } from '../errors.js';
import type { StorageAdapter, StorageHolder } from '../types/plug.js';
import { crc32 } from './crc32.js';

type Cell = ArrayBuffer | string | number | null;

/** The part of an object's `ctx.storage` that is used; `DurableObjectStorage` fits, if the class uses SQLite. */
export interface DurableStorageLike {
  readonly sql: {
    exec(query: string, ...bindings: any[]): Iterable<Readonly<Record<string, Cell>>> & {
      /** The same rows as arrays of their columns. */
      raw(): Iterable<readonly Cell[]>;
    };
  };
  transactionSync<T>(run: () => T): T;
  /** The application's own transactions; wrapped while a replica uses this storage, to notice when one ends. */
  transaction?(run: any): Promise<any>;
}

const KIND = 'durable-object';
// A row holds 2 MB at most.
const ROW_BYTES = 1 << 20;

const TABLES = `
  CREATE TABLE IF NOT EXISTS edge_session_log
    (id INTEGER PRIMARY KEY, record INTEGER NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL, sum INTEGER NOT NULL, bytes BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS edge_session_snapshot
    (part INTEGER PRIMARY KEY, parts INTEGER NOT NULL, records INTEGER NOT NULL, sum INTEGER NOT NULL, bytes BLOB NOT NULL);
`;

/** A part of a record or of the snapshot, as read. */
interface Row {
  readonly part: number;
  readonly parts: number;
  readonly sum: number;
  readonly bytes: ArrayBuffer;
}

// The number of the last stored record, in the log or in the snapshot.
const END = `
  SELECT coalesce((SELECT record FROM edge_session_log ORDER BY id DESC LIMIT 1), (SELECT records FROM edge_session_snapshot WHERE part = 0), 0)
`;

const taken = /* @__PURE__ */ new WeakSet<object>();

/**
 * Keeps a replica in a Durable Object's SQLite database, for objects that are no `ReplicaObject`. One replica an
 * object.
 *
 * The object's class has to be one of `new_sqlite_classes`. Opening the replica rejects with `STORAGE_FAILED` where it
 * is not, where another replica of the object uses the storage, or where a row is damaged or missing (`cause` names
 * it).
 *
 * @example
 * ```ts
 * const replica = await openReplica({ storage: durableObjectStorage(ctx.storage) });
 * ```
 */
export function durableObjectStorage(storage: DurableStorageLike): StorageAdapter {
  if (typeof storage !== 'object' || storage === null) throw invalid('durableObjectStorage takes the ctx.storage of an object');
  const adapter = new Tables(storage);
  return {
    kind: KIND,
    lock: async () => {
      if (taken.has(storage)) return null;
      taken.add(storage);
      const leave = adapter.follow();
      return () => {
        leave();
        taken.delete(storage);
      };
    },
    load: async () => {
      try {
        return adapter.load();
      } catch (cause) {
        // An object always has storage: if that cannot be read, the replica must not begin anew from memory.
        throw EdgeSessionError.is(cause) ? cause : unusable('its tables cannot be read; the class belongs into new_sqlite_classes', undefined, cause);
      }
    },
    append: (records) => adapter.append(records),
    compact: async (snapshot) => adapter.compact(snapshot),
    attend: (holder) => adapter.attend(holder),
  };
}

class Tables {
  readonly #storage: DurableStorageLike;
  /** The number of the last record, counted from the first one ever written. */
  #last = 0;
  #holder: StorageHolder | undefined;

  constructor(storage: DurableStorageLike) {
    this.#storage = storage;
  }

  load(): { snapshot: Uint8Array | null; records: Iterable<Uint8Array> } {
    const { sql } = this.#storage;
    sql.exec(TABLES);
    const rows = [...sql.exec('SELECT part, parts, records, sum, bytes FROM edge_session_snapshot ORDER BY part')];
    const snapshot = rows.length === 0 ? null : whole(rows as unknown as Row[]);
    this.#last = Number(rows[0]?.['records'] ?? 0);
    return { snapshot, records: this.#records() };
  }

  attend(holder: StorageHolder): void {
    this.#holder = holder;
  }

  /**
   * Checks after each transaction of the application. A transaction that spans several turns may be rolled back when
   * nothing is written any more, and what it rolls back has left by then. Returns a function that stops this.
   */
  follow(): () => void {
    const storage = this.#storage;
    const { transaction } = storage;
    if (transaction === undefined) return () => {};
    const followed = async (run: unknown) => {
      try {
        return await transaction.call(storage, run);
      } finally {
        this.#settled();
      }
    };
    // If the platform does not allow replacing the method, the next append notices.
    Reflect.set(storage, 'transaction', followed);
    return () => void Reflect.set(storage, 'transaction', transaction);
  }

  append(records: readonly Uint8Array[]): void {
    // The check after the previous append came too early if a transaction spanned turns.
    if (!this.#look()) throw new Error('the application has undone or deleted what was stored, and storage begins anew');
    let last = this.#last;
    this.#storage.transactionSync(() => {
      for (const record of records) {
        last += 1;
        const parts = cut(record);
        parts.forEach((bytes, part) => {
          const row = [last, part, parts.length, crc32(bytes), bytes];
          this.#storage.sql.exec('INSERT INTO edge_session_log (record, part, parts, sum, bytes) VALUES (?, ?, ?, ?, ?)', ...row);
        });
      }
    });
    this.#last = last;
    // Before anything leaves: records that were stored within a transaction of the application are rolled back with it.
    Promise.resolve().then(() => this.#settled());
  }

  compact(snapshot: Uint8Array): void {
    const { sql } = this.#storage;
    this.#storage.transactionSync(() => {
      sql.exec('DELETE FROM edge_session_log');
      sql.exec('DELETE FROM edge_session_snapshot');
      const parts = cut(snapshot);
      parts.forEach((bytes, part) => {
        const row = [part, parts.length, this.#last, crc32(bytes), bytes];
        sql.exec('INSERT INTO edge_session_snapshot (part, parts, records, sum, bytes) VALUES (?, ?, ?, ?, ?)', ...row);
      });
    });
  }

  /**
   * Whether what was stored is still there. If it was rolled back, its dots may have left already, and a log with a
   * hole could never be read; so everything is stored anew, under another id.
   */
  #look(): boolean {
    if (this.#end() === this.#last) return true;
    this.#holder?.moved();
    return false;
  }

  #settled(): void {
    try {
      this.#look();
    } catch {
      // If nothing can be read any more, the next append fails.
    }
  }

  #end(): Cell | undefined {
    const read = () => [...this.#storage.sql.exec(END).raw()][0]?.[0];
    try {
      return read();
    } catch {
      // The application has deleted the tables with everything in them.
      this.#storage.sql.exec(TABLES);
      return read();
    }
  }

  *#records(): Generator<Uint8Array> {
    try {
      yield* this.#rows();
    } catch (cause) {
      throw EdgeSessionError.is(cause) ? cause : unusable('its log cannot be read', undefined, cause);
    }
  }

  /** The records of the log one by one, so that a long log is never in memory as a whole. */
  *#rows(): Generator<Uint8Array> {
    const first = this.#last + 1;
    let parts: Row[] = [];
    // As arrays: a log of many small records is read in two thirds of the time that objects take.
    for (const raw of this.#storage.sql.exec('SELECT record, part, parts, sum, bytes FROM edge_session_log ORDER BY id').raw()) {
      const [record, part, count, sum, bytes] = raw as readonly [number, number, number, number, ArrayBuffer];
      if (record !== this.#last + 1) throw unusable(`record ${this.#last + 1 - first} of the log is missing`, this.#last + 1 - first);
      parts.push({ part, parts: count, sum, bytes });
      if (parts.length < count) continue;
      const read = whole(parts, record - first);
      parts = [];
      this.#last = record;
      yield read;
    }
    if (parts.length > 0) whole(parts, this.#last + 1 - first);
  }
}

/** The bytes in pieces that fit into a row; at least one. */
function cut(bytes: Uint8Array): Uint8Array[] {
  const parts = Math.max(1, Math.ceil(bytes.byteLength / ROW_BYTES));
  return Array.from({ length: parts }, (_, part) => bytes.subarray(part * ROW_BYTES, (part + 1) * ROW_BYTES));
}

/** Joins the parts of a record of the log, counted from 0, or of the snapshot. */
function whole(parts: readonly Row[], record?: number): Uint8Array {
  const pieces = parts.map((row) => new Uint8Array(row.bytes));
  const count = parts[0]?.parts ?? 0;
  for (let part = 0; part < count; part += 1) {
    const [row, piece] = [parts[part], pieces[part]];
    if (row?.part !== part || piece === undefined) throw unusable(`${name(record)}: part ${part + 1} of ${count} is missing`, record);
    if (crc32(piece) !== row.sum) throw unusable(`${name(record)} is damaged: the checksum of part ${part + 1} of ${count} is not that of its bytes`, record);
  }
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let end = 0;
  for (const piece of pieces) {
    bytes.set(piece, end);
    end += piece.byteLength;
  }
  return bytes;
}

const name = (record: number | undefined): string => (record === undefined ? 'the snapshot' : `record ${record} of the log`);

function unusable(what: string, record?: number, cause?: unknown): EdgeSessionError {
  const details = record === undefined ? { storage: KIND } : { storage: KIND, record };
  return new EdgeSessionError('STORAGE_FAILED', `storage '${KIND}': ${what}`, { cause, details });
}
