/**
 * Storage of a page: a pool of slots, one for each replica that is open at the same time, so that every tab has its
 * own.
 *
 * Invariants:
 * - A slot is claimed with a Web Lock before it is opened. The slot that a tab had is remembered in its sessionStorage,
 *   but only as a preference, because a duplicated tab has the same one.
 * - The lock is released when the page is put aside (into the bfcache), and requested again when the page returns.
 *   Until the page has it again, nothing is written, and the replica knows that its id is in doubt.
 */
import { EdgeSessionError, invalid } from '../errors.js';
import { optionsOf } from '../form.js';
import type { Remains, StorageAdapter, StorageHolder } from '../types/plug.js';
import { type Durability, Dispossessed, Slot } from './idb/slot.js';
import { claim, isReload, recall, remember } from './idb/claim.js';

// How long a tab waits for its previous slot: a page that is being left releases its lock within milliseconds.
const PATIENCE_OF_A_RELOAD = 2_000;
const PATIENCE = 200;
// A slot is deleted if everything in it was taken over and nobody has opened it for so long.
const IDLE = 30 * 24 * 60 * 60_000;

/** Options of {@link idb}. */
export interface IdbOptions {
  /**
   * What a commit waits for: `'strict'` (the default) for the disk, `'relaxed'` for the operating system, which is
   * faster and loses the last writes when the machine loses power. The replica then calls durable what is not, and may
   * give their dots once more.
   */
  durability?: Durability | undefined;
  /**
   * Asks the browser to keep the origin's data when space is short. It may ask the user; by default nobody is asked.
   */
  requestPersist?: boolean | undefined;
  /**
   * One replica for all tabs: the first that opens has it, and for the others opening rejects with `STORAGE_FAILED`. By
   * default every tab has a replica of its own.
   */
  exclusive?: boolean | undefined;
}

/**
 * Keeps a replica's data in IndexedDB. Every tab that is open at the same time has a *slot* of its own, a database
 * named `edge-session/<name>/<n>`: a reload gets its own back, a duplicated or restored tab never gets that of another,
 * and a slot whose tab is gone is used again. What such a tab has left unsent is taken over by the next replica that
 * opens.
 *
 * Where a page cannot have it (no Web Locks or IndexedDB, private mode, no space) the replica runs from memory, under a
 * new id and with `status.persisted` false. Damage is never skipped: opening rejects with `STORAGE_FAILED`, which names
 * the database; the next opening begins in another slot.
 *
 * @example
 * ```ts
 * const db = await openReplica({ storage: idb('shop'), connect: channel('shop') });
 * ```
 */
export function idb(name = 'default', options: IdbOptions = {}): StorageAdapter {
  if (typeof name !== 'string' || name === '' || name.includes('/')) throw invalid('the name of a database is a string that is not empty and has no /');
  const { durability = 'strict', requestPersist = false, exclusive = false } = optionsOf(options, { durability: 1, requestPersist: 1, exclusive: 1 });
  if (durability !== 'strict' && durability !== 'relaxed') throw invalid("durability is 'strict' or 'relaxed'");
  return new Pool(`edge-session/${name}`, { durability, requestPersist, exclusive });
}

interface Claim {
  readonly slot: Slot;
  readonly unlock: () => void;
}

type Settings = { readonly durability: Durability; readonly requestPersist: boolean; readonly exclusive: boolean };
type Aside = { readonly over: Promise<void>; readonly end: (failed?: Promise<never>) => void };

class Pool implements StorageAdapter {
  readonly kind = 'idb';
  readonly #name: string;
  readonly #options: Settings;
  #claim: Claim | undefined;
  #claiming = false;
  #holder: StorageHolder | undefined;
  #restarts = 0;
  /** Set while the page is put aside; resolves when the replica may write again. */
  #aside: Aside | undefined;

  constructor(name: string, options: Settings) {
    this.#name = name;
    this.#options = options;
  }

  async lock(): Promise<(() => void) | null> {
    if (this.#claim !== undefined || this.#claiming) return null;
    if (globalThis.indexedDB === undefined) throw new Error('there is no IndexedDB here');
    if (globalThis.navigator?.locks === undefined) throw new Error('there are no Web Locks here (they need a secure context)');
    this.#claiming = true;
    try {
      const claimed = this.#options.exclusive ? await this.#try(this.#name, 0) : await this.#any(false);
      if (claimed === undefined) return null;
      this.#claim = claimed;
    } finally {
      this.#claiming = false;
    }
    globalThis.addEventListener?.('pagehide', this.#leave);
    globalThis.addEventListener?.('pageshow', this.#return);
    if (this.#options.requestPersist) void navigator.storage?.persist?.().catch(() => false);
    return () => this.#letGo();
  }

  async load() {
    return this.#held().slot.load();
  }

  append(records: readonly Uint8Array[]): Promise<void> {
    if (this.#aside === undefined) return this.#guarded(this.#held().slot.append(records));
    const kept = records.map((record) => record.slice());
    return this.#back().then(() => this.append(kept));
  }

  async compact(snapshot: Uint8Array): Promise<void> {
    await this.#back();
    return this.#guarded(this.#held().slot.compact(snapshot));
  }

  attend(holder: StorageHolder): void {
    this.#holder = holder;
  }

  /** Slots that nobody holds: yields those with something to take over, deletes those that are of no more use. */
  async *remains(): AsyncIterable<Remains> {
    if (this.#options.exclusive) return;
    const databases = (await indexedDB.databases?.()) ?? [];
    for (const { name } of databases) {
      if (name === undefined || !this.#isSlot(name)) continue;
      const unlock = await claim(name, 0);
      if (unlock === null) continue;
      const slot = new Slot(name, this.#options.durability);
      try {
        const row = await slot.row().catch(unread);
        if (row === null || row?.damaged !== undefined) continue;
        let next = 0;
        yield {
          name,
          async read() {
            const state = await slot.remains();
            next = state?.next ?? 0;
            if (state === undefined) return [];
            return state.snapshot === null ? state.records : [state.snapshot, ...state.records];
          },
          taken: () => slot.absorbed(next),
        };
        if ((row?.used ?? 0) < Date.now() - IDLE && (await slot.remains()) === undefined) await slot.remove();
      } finally {
        slot.close();
        unlock();
      }
    }
  }

  close(): void {
    globalThis.removeEventListener?.('pagehide', this.#leave);
    globalThis.removeEventListener?.('pageshow', this.#return);
    this.#claim?.slot.close();
    this.#aside?.end();
    this.#aside = undefined;
  }

  /** Claims the preferred slot, else the free one with the lowest number, so that the pool stays small. */
  async #any(vacant: boolean): Promise<Claim> {
    const wish = vacant ? undefined : recall(this.#name);
    const wished = wish !== undefined && this.#isSlot(wish) ? await this.#try(wish, isReload() ? PATIENCE_OF_A_RELOAD : PATIENCE) : undefined;
    if (wished !== undefined) return wished;
    // A tab is told of unreadable slots once, before it has a preference. Later they count as taken.
    const told = vacant || wish !== undefined;
    for (let number = 0; ; number += 1) {
      const trying = this.#try(`${this.#name}/${number}`, 0, vacant);
      const claimed = await (told ? trying.catch(unread) : trying);
      if (!claimed) continue;
      remember(this.#name, claimed.slot.name);
      return claimed;
    }
  }

  /** Claims one slot; undefined if it is taken or unusable: damaged, or not vacant though it must be. */
  async #try(name: string, patience: number, vacant = false): Promise<Claim | undefined> {
    const unlock = await claim(name, patience);
    if (unlock === null) return undefined;
    const slot = new Slot(name, this.#options.durability);
    try {
      const row = await slot.row();
      if (this.#options.exclusive || (row?.damaged === undefined && (row === undefined || !vacant))) return { slot, unlock };
    } catch (error) {
      slot.close();
      unlock();
      // An unreadable slot cannot be marked as damaged, so this tab prefers another one next time.
      if (EdgeSessionError.is(error) && !this.#options.exclusive) remember(this.#name, `${this.#name}/${Number(name.slice(this.#name.length + 1)) + 1}`);
      throw error;
    }
    slot.close();
    unlock();
    return undefined;
  }

  #isSlot(name: string): boolean {
    return name.startsWith(`${this.#name}/`) && /^\d{1,9}$/.test(name.slice(this.#name.length + 1));
  }

  #held(): Claim {
    if (this.#claim === undefined) throw new Error('the storage is not locked');
    return this.#claim;
  }

  #letGo(): void {
    this.close();
    this.#claim?.unlock();
    this.#claim = undefined;
    this.#holder = undefined;
  }

  /**
   * Releases the lock when the page is put aside: that may last long, and the page that replaces it needs a slot. While
   * something is still being written, the lock is kept.
   */
  readonly #leave = (): void => {
    if (this.#claim === undefined || this.#aside !== undefined || !this.#claim.slot.idle) return;
    let end = (_?: Promise<never>) => {};
    this.#aside = { over: new Promise((resolve) => (end = resolve)), end };
    this.#aside.over.catch(() => {});
    this.#holder?.doubtful();
    this.#claim.unlock();
  };

  readonly #return = (): void => {
    const [aside, left] = [this.#aside, this.#claim];
    if (aside !== undefined && left !== undefined) void this.#reclaim(left, aside);
  };

  async #reclaim(left: Claim, aside: Aside): Promise<void> {
    const { name } = left.slot;
    let unlock: (() => void) | null = null;
    try {
      unlock = await claim(name, PATIENCE);
      const possession = unlock === null ? 'taken' : await left.slot.possession();
      if (unlock !== null && possession !== 'taken') {
        this.#claim = { slot: left.slot, unlock };
        if (possession === 'gone') await this.#restart();
        else this.#holder?.kept();
      } else {
        unlock?.();
        left.slot.close();
        this.#claim = await this.#any(true);
        await this.#restart();
      }
      if (this.#aside !== aside) return this.#letGo(); // closed meanwhile
      this.#aside = undefined;
      aside.end();
    } catch (error) {
      unlock?.();
      this.#holder?.lost(error);
      // Pending writes must neither wait for ever nor happen.
      aside.end(Promise.reject(error));
    }
  }

  /** Waits until the page is back; rejects if it has another slot then. */
  async #back(): Promise<void> {
    const before = this.#restarts;
    await this.#aside?.over;
    if (before !== this.#restarts) throw new Error('the storage was lost while the page was put aside, and begins anew');
  }

  /** The slot is empty: everything that the replica has must be stored anew. */
  async #restart(): Promise<void> {
    await this.#held().slot.load();
    this.#restarts += 1;
    this.#holder?.moved();
  }

  async #guarded(writing: Promise<void>): Promise<void> {
    try {
      await writing;
    } catch (error) {
      if (error instanceof Dispossessed && error.taken) this.#holder?.lost(error);
      else if (error instanceof Dispossessed) await this.#restart();
      throw error;
    }
  }
}

/** Replaces a damage error by null: the slot is skipped. */
function unread(error: unknown): null {
  if (EdgeSessionError.is(error)) return null;
  throw error;
}
