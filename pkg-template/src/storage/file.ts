/**
 * Storage in a directory: a journal to which is only ever appended, and a snapshot.
 *
 * `snapshot` names the generation whose journal goes on from it; without one the generation is 0. So one rename moves from one
 * state to the next, and every crash leaves the old one or the new one. Invariants: an append resolves when `fdatasync` has;
 * what failed is cut off before anything else is written; what is damaged and not the tail is told, with its place. The journal
 * names its own file, by inode and birth: a journal that finds itself in another file was copied or put back, and says so.
 */
import { type FileHandle, mkdir, open, readFile, readdir, rename, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EdgeSessionError, invalid } from '../errors.js';
import type { StorageAdapter, Stored } from '../types/plug.js';
import { Damage, type JournalContents, group, journalHeader, newMark, readJournal, readSnapshot, snapshotFile } from './file/format.js';
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
  /** The journal was written to another file than it is in: it is written anew before it goes on. */
  #foreign = false;
  /** A file was moved to its place, and the directory has not yet confirmed that it keeps the name. */
  #unconfirmed = false;

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
      this.#log = { file, mark: journal.mark, generation, length: journal.length, torn: true };
      const own = await bornAt(file);
      this.#foreign = own.inode !== journal.inode || (own.birth !== 0n && journal.birth !== 0n && own.birth !== journal.birth);
      await this.#mend(this.#log);
      await this.#sweep(name);
    } catch (cause) {
      throw this.#failure(name, cause);
    }
    return { snapshot: found?.snapshot ?? null, records: journal.records, doubtful: this.#foreign };
  }

  async append(records: readonly Uint8Array[]): Promise<void> {
    const before = this.#opened();
    const bytes = group(before.mark, records);
    if (this.#foreign) await this.#settleIn(before);
    if (this.#unconfirmed) await this.#confirm();
    const log = this.#opened();
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

  /** The first journal of a new place. A snapshot without its journal is not new: somebody removed it. */
  async #begin(generation: bigint, follows: boolean): Promise<JournalContents> {
    const name = nameOf(generation);
    if (follows) throw this.#failure(name, new Damage('it is missing, and the snapshot names it', 0));
    try {
      const { file } = await this.#journal(generation, newMark());
      await file.close();
      await this.#confirm();
    } catch (cause) {
      throw this.#failure(name, cause);
    }
    return (await this.#read(name, readJournal)) as JournalContents;
  }

  /** A journal in a file of its own, which has `before` as its first group. */
  async #journal(generation: bigint, mark: Uint8Array, before: readonly Uint8Array[] = []): Promise<Log> {
    let length = 0;
    const file = await this.#replace(nameOf(generation), async (made) => {
      const header = journalHeader({ generation, mark, ...(await bornAt(made)) });
      for (const part of before.length === 0 ? [header] : [header, group(mark, before)]) {
        await writeAll(made, part, length);
        length += part.length;
      }
    });
    return { file, mark, generation, length, torn: false };
  }

  /** Moves a journal that was copied or put back into a file that it names. */
  async #settleIn(log: Log): Promise<void> {
    await this.#mend(log);
    const { records } = readJournal(await readFile(this.#path(nameOf(log.generation))));
    this.#log = await this.#journal(log.generation, log.mark, records);
    this.#foreign = false;
    await log.file.close().catch(() => {});
  }

  /** Cuts off what a crash or a failure has left behind what is durable. */
  async #mend(log: Log): Promise<void> {
    if (!log.torn) return;
    if ((await log.file.stat()).size > log.length) {
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
  async #sweep(current: string): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      const over = /^(journal\.\d+|snapshot)\.new$/.test(name) || (/^journal\.\d+$/.test(name) && name !== current);
      if (over) await unlink(this.#path(name));
    }
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
    done += bytesWritten;
  }
}

function failed(what: string, cause?: unknown, details?: Record<string, unknown>): EdgeSessionError {
  return new EdgeSessionError('STORAGE_FAILED', what, { cause, ...(details && { details }) });
}
