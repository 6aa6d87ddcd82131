/**
 * The rows of a slot's database, and the checks that they are complete. Knows no transactions.
 *
 * `state` has two rows: `slot` (the owner, and where the log begins) and `snapshot`. `log` has groups of records under
 * consecutive numbers, each record with its checksum.
 *
 * Invariant: a missing or altered row is an error that names it; nothing is skipped.
 */
import { EdgeSessionError } from '../../errors.js';

export const FORMAT = 1;

/** The row `slot`. */
export interface SlotRow {
  readonly format: number;
  /** The name of the database for which this row was written; in another database it is a copy. */
  readonly home: string;
  /** Identifies who may write; made anew by each load. */
  readonly owner: string;
  /** The number of the log's first group. */
  readonly base: number;
  /** The snapshot's checksum; null if there is none. */
  readonly snapshot: number | null;
  /** When it was last loaded, in milliseconds since 1970. */
  readonly used: number;
  /** The number of the first group that no other replica has taken over yet. */
  readonly absorbed: number;
  /** Why the slot must not be used any more. */
  readonly damaged?: string;
}

/** The records of one append, concatenated. */
export interface GroupRow {
  readonly body: Uint8Array;
  readonly lengths: readonly number[];
  readonly sums: readonly number[];
}

/** Everything that was read from a database. */
export interface Rows {
  readonly row: SlotRow | undefined;
  readonly snapshot: unknown;
  readonly numbers: readonly unknown[];
  readonly groups: readonly unknown[];
}

/** The state in the rows. `next` is the number of the next group. */
export interface SlotState {
  readonly snapshot: Uint8Array | null;
  readonly records: readonly Uint8Array[];
  readonly next: number;
}

/** The row of a new slot. */
export const newRow = (home: string): SlotRow => ({ format: FORMAT, home, owner: '', base: 1, snapshot: null, used: 0, absorbed: 1 });

/** A row with copies of the records, whose memory may then be reused. */
export function toGroup(records: readonly Uint8Array[]): GroupRow {
  const body = new Uint8Array(records.reduce((sum, record) => sum + record.byteLength, 0));
  let at = 0;
  for (const record of records) {
    body.set(record, at);
    at += record.byteLength;
  }
  return { body, lengths: records.map((record) => record.byteLength), sums: records.map(checksum) };
}

/** Parses the rows. Throws `STORAGE_FAILED`, naming the database and the row, if one is missing or altered. */
export function toState(database: string, { row, snapshot, numbers, groups }: Rows): SlotState {
  const damaged = (what: string, record?: number) => damage(database, what, record);
  if (row === undefined) {
    if (snapshot !== undefined || numbers.length > 0) throw damaged("the row 'slot' is missing");
    return { snapshot: null, records: [], next: 1 };
  }
  if (row.format !== FORMAT) throw damaged(`its format is ${String(row.format)}, and this version of the package reads ${FORMAT}`);
  if ((snapshot !== undefined) !== (row.snapshot !== null)) throw damaged(snapshot === undefined ? 'the snapshot is missing' : 'the snapshot belongs to another log');
  if (snapshot !== undefined && !(snapshot instanceof Uint8Array && checksum(snapshot) === row.snapshot)) throw damaged('the snapshot is damaged');
  const records: Uint8Array[] = [];
  groups.forEach((group, index) => {
    if (numbers[index] !== row.base + index) throw damaged(`record ${records.length} since the snapshot is missing`, records.length);
    for (const record of toRecords(group)) {
      if (record === undefined) throw damaged(`record ${records.length} since the snapshot is damaged`, records.length);
      records.push(record);
    }
  });
  return { snapshot: snapshot instanceof Uint8Array ? snapshot : null, records, next: row.base + groups.length };
}

/** Whether there is anything that no other replica has taken over yet. */
export function hasNews({ row, groups }: Rows): boolean {
  if (row === undefined) return false;
  const written = (group: unknown, index: number) => row.base + index >= row.absorbed && (group as GroupRow).lengths.length > 0;
  return row.base > row.absorbed || groups.some(written);
}

/** The records of a row, with undefined for each altered one. */
function toRecords(value: unknown): (Uint8Array | undefined)[] {
  const { body, lengths, sums } = (value ?? {}) as Partial<GroupRow>;
  if (!(body instanceof Uint8Array) || !Array.isArray(lengths) || !Array.isArray(sums) || lengths.length !== sums.length) return [undefined];
  let at = 0;
  return lengths.map((length: number, index) => {
    const record = body.subarray(at, at + length);
    at += length;
    return record.byteLength === length && checksum(record) === sums[index] ? record : undefined;
  });
}

/** `STORAGE_FAILED` for an unusable database. */
export function damage(database: string, what: string, record?: number): EdgeSessionError {
  const details = { storage: 'idb', database, ...(record === undefined ? {} : { record }) };
  return new EdgeSessionError('STORAGE_FAILED', `the IndexedDB database '${database}' cannot be used: ${what}`, { details });
}

let table: Uint32Array | undefined;

/** CRC-32 (ISO 3309, as in gzip). */
export function checksum(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? 0xedb88320 ^ (sum >>> 1) : sum >>> 1;
    return sum;
  });
  let sum = 0xffffffff;
  for (let at = 0; at < bytes.length; at += 1) sum = (table[(sum ^ (bytes[at] as number)) & 0xff] as number) ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}
