/**
 * Storage in a directory: a journal to which is only ever appended, and a snapshot.
 *
 * `snapshot` names the generation whose journal goes on from it; without one the generation is 0. So one rename moves from one
 * state to the next, and every crash leaves the old one or the new one. Invariants: an append resolves when `fdatasync` has;
 * what failed is cut off before anything else is written; what is damaged and not the tail is told, with its place, and no file is
 * removed that holds what another one lacks. The journal names its own file, by inode and birth: one that finds itself in another file was
 * copied or put back, and says so; so does one that has a torn tail, for nobody knows whether that had been durable.
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
 * Keeps a replica in a directory, which is made if need be. For Node, Deno and Bun; one directory is one replica, and a second
 * process is refused.
 *
 * A write is acknowledged when it is on the disk. After a crash, `kill -9` included, everything that was acknowledged is there. A
 * directory that was copied, or put back from a backup, goes on under a new replica id.
 *
 * `openReplica` rejects with `STORAGE_FAILED` where the directory cannot be used, is in use, or holds a file that is damaged;
 * its `cause` names the file, the place in it and the record. Throws `ARGUMENT_INVALID` for a directory that is no path.
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
  /** Bytes of it that are durable; what lies behind them is to be cut off. */
  length: number;
  torn: boolean;
}

class FileStorage implements StorageAdapter {
  readonly kind = 'file';
  readonly #directory: string;
  #log: Log | undefined;
  /** The journal was written to another file than it is in, or has a torn tail: it goes on in a file that is written anew. */
  #foreign = false;
  /** The directory has not yet confirmed that each file keeps its name: not since one was moved, by this process or by one before. */
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
      // What was read may be in the system's memory alone: who wrote it may have died before it was durable.
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
      // Refused is not stored. Where this fails as well, it is done before the next append.
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
    // The journal has its name before the snapshot that names it, and the old one goes after.
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
    // From the snapshot's rename on, the new state is what a restart finds. Nothing is appended to it before the directory has
    // confirmed it, so that a power failure which brings the old one back loses nothing.
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

  /** The first journal of a new place. A snapshot without its journal is not new, nor is a journal without its snapshot: somebody removed it. */
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

  /** A journal in a file of its own, which begins with these groups. */
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
   * Moves a journal that was copied, put back or torn into a file that it names, with the group that is added. In one step: without
   * that group, which says who writes from now on, it would pass for its own.
   */
  async #settleIn(log: Log, added: Uint8Array): Promise<void> {
    const bytes = await readFile(this.#path(nameOf(log.generation)));
    const { records } = readJournal(bytes.subarray(0, log.length));
    const next = await this.#journal(log.generation, log.mark, records.length === 0 ? [added] : [group(log.mark, records), added]);
    const { length } = next;
    // Refused is not stored: should the directory not confirm the file, the next append writes it without this group.
    next.length -= added.length;
    this.#log = next;
    await log.file.close().catch(() => {});
    await this.#confirm();
    next.length = length;
    this.#foreign = false;
  }

  /** Cuts off what a failure has left behind what is durable. Anything else that is not as it was left, somebody else has done. */
  async #mend(log: Log): Promise<void> {
    // At once: it is in memory, and to wait for it would take a tenth of an append where the disk is fast.
    const { size, nlink } = fstatSync(log.file.fd);
    const name = this.#path(nameOf(log.generation));
    // What is written to it would be gone with this process.
    if (nlink === 0) throw failed(`${name} was removed, or replaced, under this process`);
    if (size < log.length || (size > log.length && !log.torn)) throw failed(`somebody else has written to ${name}`);
    if (size > log.length) {
      await log.file.truncate(log.length);
      await log.file.datasync();
    }
    log.torn = false;
  }

  /** Writes a file beside its place and moves it there, open, when its bytes are durable; its name is when `#confirm` says so. */
  async #replace(name: string, write: (file: FileHandle) => Promise<void>): Promise<FileHandle> {
    const beside = this.#path(`${name}.new`);
    const file = await open(beside, 'w+', 0o600);
    try {
      await write(file);
      await file.sync();
      await rename(beside, this.#path(name));
    } catch (cause) {
      await file.close();
      await unlink(beside).catch(() => {}); // on a full disk it would take the room that is missing
      throw cause;
    }
    this.#unconfirmed = true;
    return file;
  }

  /** Names are durable when their directory is. Windows has no such thing, and keeps names by itself. */
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

  /** Removes what crashes have left: files half written, journals of other generations. */
  async #sweep(current: bigint): Promise<void> {
    for (const generation of await this.#journals()) {
      if (generation === current) continue;
      const name = nameOf(generation);
      // One that was made for a snapshot that did not come has nothing in it yet.
      const { size } = await stat(this.#path(name));
      if (generation > current && size > JOURNAL_HEADER) throw this.#failure(name, new Damage('it goes on from a snapshot that is not there', 0));
      await unlink(this.#path(name));
    }
    for (const name of await readdir(this.#directory)) if (/^(journal\.\d+|snapshot)\.new$/.test(name)) await unlink(this.#path(name));
  }

  /** The generations of which there is a journal. */
  async #journals(): Promise<bigint[]> {
    const found = (await readdir(this.#directory)).map((name) => /^journal\.(\d+)$/.exec(name)?.[1]);
    return found.filter((number) => number !== undefined).map(BigInt);
  }

  /** A file's contents; undefined where there is no such file. */
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

/** What tells a file from its copy. The birth is 0 where the file system does not know it. */
async function bornAt(file: FileHandle): Promise<{ inode: bigint; birth: bigint }> {
  const { ino, birthtimeNs } = await file.stat({ bigint: true });
  return { inode: BigInt.asUintN(64, ino), birth: birthtimeNs > 0n ? birthtimeNs : 0n };
}

/** A write may be cut short; what is left is written then. */
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
