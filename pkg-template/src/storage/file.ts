/**
 * Storage in a directory: an append-only journal and a snapshot.
 *
 * The snapshot names its generation, and with it the journal that continues it; without a snapshot the generation is 0.
 * One rename moves from one state to the next, so every crash leaves the old state or the new one.
 *
 * Invariants:
 * - An append resolves after `fdatasync`.
 * - The remains of a failed append are truncated before anything else is written.
 * - Damage that is not a torn tail is reported with its place, and no file is removed that holds what another one
 *   lacks.
 * - A journal records the inode and the birth time of its file. If it finds itself in another file, it was copied or
 *   restored, and reports that. So does a journal with a torn tail, because the tail may have been durable.
 */
import { fstatSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EdgeSessionError, invalid } from '../errors.js';
import type { StorageAdapter, Stored } from '../types/plug.js';
import { Damage, JOURNAL_HEADER, type JournalContents, group, journalHeader, newMark, readJournal, readSnapshot, snapshotFile } from './file/format.js';
import { lockDirectory } from './file/lock.js';

/**
 * Keeps a replica in a directory, which is made if need be. For Node, Deno and Bun; one directory is one replica, and a
 * second process is refused.
 *
 * A write is acknowledged when it is on the disk. After a crash, `kill -9` included, everything that was acknowledged
 * is there. A directory that was copied, or put back from a backup, goes on under a new replica id.
 *
 * `openReplica` rejects with `STORAGE_FAILED` where the directory cannot be used, is in use, or holds a file that is
 * damaged; its `cause` names the file, the place in it and the record. Throws `ARGUMENT_INVALID` for a directory that
 * is no path.
 *
 * @example
 * ```ts
 * await using db = await openReplica({ id: 'fra1', storage: fileStorage('./data') });
 * ```
 */
export function fileStorage(directory: string | URL): StorageAdapter {
  if (!(directory instanceof URL) && (typeof directory !== 'string' || directory === '')) throw invalid('a directory is a path or a file: URL');
  return new FileStorage(resolve(directory instanceof URL ? fileURLToPath(directory) : directory));
}

/** The journal that is written to. */
interface Log {
  readonly file: FileHandle;
  readonly mark: Uint8Array;
  readonly generation: bigint;
  /** The length of its durable bytes; what follows must be truncated. */
  length: number;
  torn: boolean;
}

class FileStorage implements StorageAdapter {
  readonly kind = 'file';
  readonly #directory: string;
  #log: Log | undefined;
  /** The journal was copied, or has a torn tail: the next append moves it to a new file. */
  #foreign = false;
  /** Whether a file was renamed, by this process or an earlier one, since the directory was last synced. */
  #unconfirmed = true;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async lock(): Promise<(() => void) | null> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      return await lockDirectory(this.#directory);
    } catch (cause) {
      throw failed(`the directory ${this.#directory} cannot be used; it must be a place where this process may write and make a socket`, cause);
    }
  }

  async load(): Promise<Stored> {
    const found = await this.#read('snapshot', readSnapshot);
    const generation = found?.generation ?? 0n;
    const name = nameOf(generation);
    const journal = (await this.#read(name, readJournal)) ?? (await this.#begin(generation, found !== undefined));
    try {
      if (journal.generation !== generation) throw new Damage(`it says that it is the journal of generation ${journal.generation}`, 16);
      const file = await open(this.#path(name), 'r+');
      this.#log = { file, mark: journal.mark, generation, length: journal.length, torn: false };
      const own = await bornAt(file);
      const copied = own.inode !== journal.inode || (own.birth !== 0n && journal.birth !== 0n && own.birth !== journal.birth);
      this.#foreign = copied || journal.torn;
      // What was read may be only in the system's cache: its writer may have died before it was durable.
      await file.datasync();
      if (this.#unconfirmed) await this.#confirm();
      await this.#sweep(generation);
    } catch (cause) {
      throw this.#failure(name, cause);
    }
    return { snapshot: found?.snapshot ?? null, records: journal.records, doubtful: this.#foreign };
  }

  async append(records: readonly Uint8Array[]): Promise<void> {
    const log = this.#opened();
    const bytes = group(log.mark, records);
    if (this.#foreign) return this.#settleIn(log, bytes);
    if (this.#unconfirmed) await this.#confirm();
    await this.#mend(log);
    log.torn = true;
    try {
      await writeAll(log.file, bytes, log.length);
      await log.file.datasync();
    } catch (cause) {
      // A refused append must not remain stored. If this fails, too, the next append does it first.
      await this.#mend(log).catch(() => {});
      throw cause;
    }
    log.length += bytes.length;
    log.torn = false;
  }

  async compact(snapshot: Uint8Array): Promise<void> {
    const log = this.#opened();
    if (!this.#foreign) await this.#mend(log);
    const generation = log.generation + 1n;
    // Order: the new journal's name, then the snapshot that names it, then the removal of the old journal.
    const next = await this.#journal(generation, newMark());
    try {
      await this.#confirm();
      const [header, body] = snapshotFile(generation, snapshot);
      const file = await this.#replace('snapshot', async (made) => {
        await writeAll(made, header, 0);
        await writeAll(made, body, header.length);
      });
      // From here on the snapshot names the next journal.
      await file.close().catch(() => {});
    } catch (cause) {
      await next.file.close().catch(() => {});
      await unlink(this.#path(nameOf(generation))).catch(() => {});
      throw cause;
    }
    // From the rename on, a restart finds the new state. Nothing is appended to it before the directory was synced, so
    // a power failure that brings back the old state loses nothing.
    this.#log = next;
    this.#foreign = false;
    await log.file.close().catch(() => {});
    await this.#confirm();
    await unlink(this.#path(nameOf(log.generation))).catch(() => {});
  }

  async close(): Promise<void> {
    const log = this.#log;
    this.#log = undefined;
    await log?.file.close();
  }

  #opened(): Log {
    if (this.#log === undefined) throw failed('the directory is not open');
    return this.#log;
  }

  /**
   * Makes the first journal of a new directory. A snapshot without its journal, or a journal without its snapshot, is
   * not a new directory: a file was removed.
   */
  async #begin(generation: bigint, follows: boolean): Promise<JournalContents> {
    const name = nameOf(generation);
    if (follows) throw this.#failure(name, new Damage('it is missing, and the snapshot names it', 0));
    try {
      const [left] = await this.#journals();
      if (left !== undefined) throw this.#failure('snapshot', new Damage(`it is missing, and ${nameOf(left)} goes on from it`, 0));
      const { file } = await this.#journal(generation, newMark());
      await file.close();
      await this.#confirm();
    } catch (cause) {
      throw this.#failure(name, cause);
    }
    return (await this.#read(name, readJournal)) as JournalContents;
  }

  /** Makes a journal in a new file, beginning with these groups. */
  async #journal(generation: bigint, mark: Uint8Array, groups: readonly Uint8Array[] = []): Promise<Log> {
    let length = 0;
    const file = await this.#replace(nameOf(generation), async (made) => {
      for (const part of [journalHeader({ generation, mark, ...(await bornAt(made)) }), ...groups]) {
        await writeAll(made, part, length);
        length += part.length;
      }
    });
    return { file, mark, generation, length, torn: false };
  }

  /**
   * Moves a copied, restored or torn journal to a new file, together with the next group, in one step: without that
   * group, which says who writes from now on, the new file would pass for the old replica's own.
   */
  async #settleIn(log: Log, added: Uint8Array): Promise<void> {
    const bytes = await readFile(this.#path(nameOf(log.generation)));
    const { records } = readJournal(bytes.subarray(0, log.length));
    const next = await this.#journal(log.generation, log.mark, records.length === 0 ? [added] : [group(log.mark, records), added]);
    const { length } = next;
    // A refused append must not remain stored: if the sync fails, the next append truncates this group and writes anew.
    next.length -= added.length;
    this.#log = next;
    await log.file.close().catch(() => {});
    await this.#confirm();
    next.length = length;
    this.#foreign = false;
  }

  /** Truncates what a failed append has left. Any other change means that somebody else has written to the file. */
  async #mend(log: Log): Promise<void> {
    // Synchronous: the data is in memory, and awaiting it would take a tenth of an append on a fast disk.
    const { size, nlink } = fstatSync(log.file.fd);
    const name = this.#path(nameOf(log.generation));
    // What is written to an unlinked file would be gone with this process.
    if (nlink === 0) throw failed(`${name} was removed, or replaced, under this process`);
    if (size < log.length || (size > log.length && !log.torn)) throw failed(`somebody else has written to ${name}`);
    if (size > log.length) {
      await log.file.truncate(log.length);
      await log.file.datasync();
    }
    log.torn = false;
  }

  /**
   * Writes a file under a temporary name and renames it when its bytes are durable. The rename is durable after
   * `#confirm`.
   */
  async #replace(name: string, write: (file: FileHandle) => Promise<void>): Promise<FileHandle> {
    const beside = this.#path(`${name}.new`);
    const file = await open(beside, 'w+', 0o600);
    try {
      await write(file);
      await file.sync();
      await rename(beside, this.#path(name));
    } catch (cause) {
      await file.close();
      await unlink(beside).catch(() => {}); // on a full disk it would take up scarce space
      throw cause;
    }
    this.#unconfirmed = true;
    return file;
  }

  /** Syncs the directory, which makes renames durable. Windows has no such call and keeps names by itself. */
  async #confirm(): Promise<void> {
    if (process.platform !== 'win32') {
      const directory = await open(this.#directory, 'r');
      try {
        await directory.sync();
      } finally {
        await directory.close();
      }
    }
    this.#unconfirmed = false;
  }

  /** Removes what crashes have left: partial files and journals of other generations. */
  async #sweep(current: bigint): Promise<void> {
    for (const generation of await this.#journals()) {
      if (generation === current) continue;
      const name = nameOf(generation);
      // A journal that was made for a snapshot that never followed is empty.
      const { size } = await stat(this.#path(name));
      if (generation > current && size > JOURNAL_HEADER) throw this.#failure(name, new Damage('it goes on from a snapshot that is not there', 0));
      await unlink(this.#path(name));
    }
    for (const name of await readdir(this.#directory)) if (/^(journal\.\d+|snapshot)\.new$/.test(name)) await unlink(this.#path(name));
  }

  /** The generations that have a journal. */
  async #journals(): Promise<bigint[]> {
    const found = (await readdir(this.#directory)).map((name) => /^journal\.(\d+)$/.exec(name)?.[1]);
    return found.filter((number) => number !== undefined).map(BigInt);
  }

  /** The parsed contents of a file; undefined if there is no such file. */
  async #read<T>(name: string, parse: (bytes: Buffer) => T): Promise<T | undefined> {
    try {
      return parse(await readFile(this.#path(name)));
    } catch (cause) {
      if ((cause as { code?: unknown }).code === 'ENOENT') return undefined;
      throw this.#failure(name, cause);
    }
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  #failure(name: string, cause: unknown): EdgeSessionError {
    if (EdgeSessionError.is(cause)) return cause;
    const file = this.#path(name);
    if (!(cause instanceof Damage)) return failed(`${file} cannot be read or written`, cause, { file });
    const { offset, record } = cause;
    const at = record === undefined ? `at byte ${offset}` : `at byte ${offset}, in record ${record}`;
    const cure = 'put a backup back, or move the directory away and begin with an empty one';
    return failed(`${file} is damaged ${at}: ${cause.message}; ${cure}`, cause, record === undefined ? { file, offset } : { file, offset, record });
  }
}

const nameOf = (generation: bigint): string => `journal.${generation}`;

/** Identifies a file as opposed to its copy. The birth time is 0 if the file system does not know it. */
async function bornAt(file: FileHandle): Promise<{ inode: bigint; birth: bigint }> {
  const { ino, birthtimeNs } = await file.stat({ bigint: true });
  return { inode: BigInt.asUintN(64, ino), birth: birthtimeNs > 0n ? birthtimeNs : 0n };
}

/** Writes all bytes; a single write may be partial. */
async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done);
    if (bytesWritten === 0) throw new Error('nothing was written');
    done += bytesWritten;
  }
}

function failed(what: string, cause?: unknown, details?: Record<string, unknown>): EdgeSessionError {
  return new EdgeSessionError('STORAGE_FAILED', what, { cause, ...(details && { details }) });
}
