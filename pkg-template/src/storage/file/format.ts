/**
 * The format of the journal and of the snapshot file. No I/O.
 *
 * ```text
 * journal  = "esjournl", version, checksum, generation, mark, inode, birth, group…     48 bytes, then groups
 * group    = mark, length, checksum, (length, record)…                                 16 bytes, then records
 * snapshot = "essnapsh", version, checksum, generation, the snapshot                   24 bytes, then the wire's bytes
 * ```
 *
 * Numbers are little-endian. Versions, lengths and checksums (CRC-32) have 32 bits, the others 64. A group is what one
 * append has written. Its mark is 64 random bits that identify the journal and occur nowhere else. A group is begun
 * only when the previous one is durable, so an invalid group is a torn tail if no mark follows it, and damage
 * otherwise.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const JOURNAL = Buffer.from('esjournl');
const SNAPSHOT = Buffer.from('essnapsh');
const VERSION = 1;
/** The length of a journal's header; a journal of this length is empty. */
export const JOURNAL_HEADER = 48;
const SNAPSHOT_HEADER = 24;
const GROUP_HEADER = 16;

/** The header of a journal. `inode` and `birth` are those of the file for which it was written. */
export interface JournalHeader {
  readonly generation: bigint;
  readonly mark: Uint8Array;
  readonly inode: bigint;
  readonly birth: bigint;
}

/** A parsed journal: its records, the length of its valid bytes, and whether more bytes follow them. */
export interface JournalContents extends JournalHeader {
  readonly records: readonly Uint8Array[];
  readonly length: number;
  readonly torn: boolean;
}

/** What is wrong with a file, and where. */
export class Damage extends Error {
  readonly offset: number;
  readonly record: number | undefined;

  constructor(what: string, offset: number, record?: number) {
    super(what);
    this.offset = offset;
    this.record = record;
  }
}

/** A mark that no other journal has. */
export const newMark = (): Uint8Array => randomBytes(8);

export function journalHeader({ generation, mark, inode, birth }: JournalHeader): Buffer {
  const header = Buffer.alloc(JOURNAL_HEADER);
  header.set(JOURNAL, 0);
  header.writeUInt32LE(VERSION, 8);
  header.writeBigUInt64LE(generation, 16);
  header.set(mark, 24);
  header.writeBigUInt64LE(inode, 32);
  header.writeBigUInt64LE(birth, 40);
  header.writeUInt32LE(checksum(header.subarray(16)), 12);
  return header;
}

export function group(mark: Uint8Array, records: readonly Uint8Array[]): Buffer {
  const length = records.reduce((sum, record) => sum + 4 + record.byteLength, 0);
  const bytes = Buffer.allocUnsafe(GROUP_HEADER + length);
  bytes.set(mark, 0);
  bytes.writeUInt32LE(length, 8);
  let at = GROUP_HEADER;
  for (const record of records) {
    bytes.writeUInt32LE(record.byteLength, at);
    bytes.set(record, at + 4);
    at += 4 + record.byteLength;
  }
  bytes.writeUInt32LE(groupChecksum(bytes), 12);
  return bytes;
}

export function snapshotFile(generation: bigint, snapshot: Uint8Array): [header: Buffer, body: Uint8Array] {
  const header = Buffer.alloc(SNAPSHOT_HEADER);
  header.set(SNAPSHOT, 0);
  header.writeUInt32LE(VERSION, 8);
  header.writeBigUInt64LE(generation, 16);
  header.writeUInt32LE(checksum(header.subarray(16), snapshot), 12);
  return [header, snapshot];
}

/** Parses a journal. Throws {@link Damage} for anything invalid that is not a torn tail. */
export function readJournal(bytes: Buffer): JournalContents {
  const header = readJournalHeader(bytes);
  const records: Uint8Array[] = [];
  let at = JOURNAL_HEADER;
  while (at < bytes.length) {
    const end = groupEnd(bytes, at, header.mark);
    if (end === undefined) {
      if (bytes.indexOf(header.mark, at + 1) >= 0) throw new Damage('a record is damaged, and good ones follow it', at, records.length);
      break;
    }
    for (let from = at + GROUP_HEADER; from < end; ) {
      const length = bytes.readUInt32LE(from);
      records.push(bytes.subarray(from + 4, from + 4 + length));
      from += 4 + length;
    }
    at = end;
  }
  return { ...header, records, length: at, torn: at < bytes.length };
}

export function readSnapshot(bytes: Buffer): { generation: bigint; snapshot: Uint8Array } {
  if (bytes.length < SNAPSHOT_HEADER || !bytes.subarray(0, 8).equals(SNAPSHOT)) throw new Damage('it is no snapshot', 0);
  version(bytes);
  const snapshot = bytes.subarray(SNAPSHOT_HEADER);
  if (bytes.readUInt32LE(12) !== checksum(bytes.subarray(16, SNAPSHOT_HEADER), snapshot)) throw new Damage('the checksum of the snapshot is another one', SNAPSHOT_HEADER);
  return { generation: bytes.readBigUInt64LE(16), snapshot };
}

function readJournalHeader(bytes: Buffer): JournalHeader {
  if (bytes.length < JOURNAL_HEADER || !bytes.subarray(0, 8).equals(JOURNAL)) throw new Damage('it is no journal', 0);
  version(bytes);
  if (bytes.readUInt32LE(12) !== checksum(bytes.subarray(16, JOURNAL_HEADER))) throw new Damage('its header is damaged', 0);
  return {
    generation: bytes.readBigUInt64LE(16),
    mark: Uint8Array.prototype.slice.call(bytes, 24, 32),
    inode: bytes.readBigUInt64LE(32),
    birth: bytes.readBigUInt64LE(40),
  };
}

function version(bytes: Buffer): void {
  const found = bytes.readUInt32LE(8);
  if (found !== VERSION) throw new Damage(`its version is ${found}; this release reads ${VERSION}`, 8);
}

/** The end of the group that begins at `at`; undefined if there is no valid group. */
function groupEnd(bytes: Buffer, at: number, mark: Uint8Array): number | undefined {
  if (at + GROUP_HEADER > bytes.length || !bytes.subarray(at, at + 8).equals(mark)) return undefined;
  const end = at + GROUP_HEADER + bytes.readUInt32LE(at + 8);
  if (end > bytes.length) return undefined;
  return bytes.readUInt32LE(at + 12) === groupChecksum(bytes.subarray(at, end)) ? end : undefined;
}

function groupChecksum(bytes: Buffer): number {
  return checksum(bytes.subarray(0, 12), bytes.subarray(GROUP_HEADER));
}

function checksum(...parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => crc32(part, sum), 0);
}
