/**
 * Opens a replica in this order: options, storage, module, instance, stored state, links.
 *
 * Invariants:
 * - If a step fails, everything that earlier steps took is released.
 * - If no storage is available, the replica lives in memory under a new id and reports that. If storage holds data that
 *   cannot be read, the replica does not open.
 */
import { load } from '#wasm';
import type { CoreModule, CoreReplica } from './binding.js';
import { Driver, type Parts } from './driver.js';
import { EdgeSessionError, aborted, fromCore } from './errors.js';
import { signalOf } from './form.js';
import { weight } from './journal.js';
import { type Opening, toOpening } from './options.js';
import { type Timers, timer } from './platform.js';
import { takeOver } from './remains.js';
import { ReplicaHandle } from './replica.js';
import { memory } from './storage/memory.js';
import type { Frozen, KeyMap } from './types/data.js';
import type { AbortSignalLike, StorageAdapter } from './types/plug.js';
import type { Replica, ReplicaOptions } from './types/replica.js';
import { unavailable } from './unavailable.js';
import { unlessAborted } from './waits.js';
import { instantiate } from './wasm/glue.js';

/**
 * Opens a replica: loads what its storage holds and begins to serve sessions. Works offline; what `connect` names joins
 * when it can.
 *
 * Rejects with `ARGUMENT_INVALID` for an option that is not of the documented form, `STORAGE_FAILED` where storage is
 * in use by someone else or holds what cannot be read, `WASM_UNAVAILABLE`, `ABORTED`. Then nothing is left open; after
 * `ABORTED` as soon as storage has answered what it was asked. Where there is no storage to be had at all (a private
 * window, no quota), it runs from memory: `status.persisted` is false and an `error` event tells why.
 *
 * @example
 * ```ts
 * await using replica = await openReplica({ id: 'fra1', secret: { kid: '2026-11', key } });
 * const session = replica.session({ user: 'ann' });
 * await session.set('theme', 'dark');
 * ```
 */
export async function openReplica<M = KeyMap>(options: ReplicaOptions & { values: 'frozen' }): Promise<Replica<Frozen<M>>>;
export async function openReplica<M = KeyMap>(options?: ReplicaOptions): Promise<Replica<M>>;
export async function openReplica<M = KeyMap>(options: ReplicaOptions = {}): Promise<Replica<M>> {
  const signal = signalOf((options as ReplicaOptions | null)?.signal);
  // If the signal ends the wait, the opening releases everything itself, at its next step.
  return (await unlessAborted(open<M>(options, timer, ACK_PAUSE), signal)).replica;
}

// Longer than an answer takes on one machine, and small compared with a round trip between two.
const ACK_PAUSE = 5;

/**
 * The same with the timers of the place where the replica is to live; also returns its run loop. Within a conversation,
 * acknowledgements wait `ackPause` milliseconds for a message to travel with. It is 0 where each timer costs a write.
 */
export async function open<M>(options: ReplicaOptions, timers: Timers, ackPause = 0): Promise<{ replica: Replica<M>; driver: Driver }> {
  const opening = toOpening(options);
  opening.config.ackPause = ackPause;
  const { signal } = options;
  heed(signal);
  let hold = await claim(opening.storage);
  let driver: Driver | undefined;
  try {
    heed(signal);
    const module = await instance();
    heed(signal);
    let begun: Begun;
    try {
      begun = await begin(opening, module, hold.storage);
    } catch (cause) {
      if (EdgeSessionError.is(cause)) throw cause;
      // Storage that cannot be read may fail to close, too; the reason is reported already.
      await release(hold).catch(() => {});
      hold = nowhere(cause);
      begun = await begin(opening, module, hold.storage);
    }
    const { core, keyed, logged, snapshot } = begun;
    const { storage, unlock } = hold;
    const { clock } = opening;
    const idle = opening.config.session?.idleTimeout;
    driver = new Driver({ core, keyed, logged, snapshot, storage, unlock, clock, ownClock: options.clock !== undefined, timer: timers, roleOf: options.roleOf, idle, frozen: opening.frozen });
    heed(signal);
    const { refusal } = hold;
    // Later, when the caller has had time to add a listener.
    if (refusal !== undefined) timers(() => driver?.error(refusal), 0);
    if (begun.renamed) driver.settle();
    const replica = new ReplicaHandle<M>(driver, options);
    const { closers, error } = driver;
    const end = () => void replica.close().catch(error);
    signal?.addEventListener('abort', end);
    closers.add(() => signal?.removeEventListener('abort', end));
    for (const transport of opening.transports) replica.connect(transport);
    takeOver(driver);
    return { replica, driver };
  } catch (error) {
    // The caller gets the reason why it does not open; storage that cannot be read may fail to close, too.
    if (driver === undefined) await release(hold).catch(() => {});
    await driver?.close().catch(() => {});
    throw error;
  }
}

/** Storage that belongs to this replica alone. `refusal` says why it is memory instead of what was asked for. */
interface Hold extends Pick<Parts, 'storage' | 'unlock'> {
  readonly refusal?: EdgeSessionError;
}

/** A core that has loaded what storage holds. */
interface Begun extends Pick<Parts, 'core' | 'keyed' | 'logged' | 'snapshot'> {
  readonly renamed: boolean;
}

function heed(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted) throw aborted(signal.reason);
}

async function claim(storage: StorageAdapter): Promise<Hold> {
  let unlock: (() => void) | null | undefined;
  try {
    unlock = await storage.lock();
  } catch (cause) {
    await Promise.resolve(storage.close?.()).catch(() => {}); // what cannot be locked may not close either
    if (EdgeSessionError.is(cause)) throw failed(`storage '${storage.kind}' could not be locked: ${cause.message}`, cause);
    return nowhere(cause);
  }
  // An adapter without a return value has locked nothing.
  if (typeof unlock !== 'function') throw failed(`storage '${storage.kind}' is in use by another replica`);
  return { storage, unlock };
}

/** No storage is available: the replica lives as long as its process. */
function nowhere(cause: unknown): Hold {
  return { storage: memory(), unlock: () => {}, refusal: failed('there is no storage to be had; the replica runs from memory', cause) };
}

async function release({ storage, unlock }: Hold): Promise<void> {
  try {
    await storage.close?.();
  } finally {
    unlock();
  }
}

async function instance(): Promise<CoreModule> {
  try {
    return instantiate(await load()) as unknown as CoreModule;
  } catch (cause) {
    throw unavailable(cause);
  }
}

/**
 * Makes the core and loads the stored state. An exception of storage that is not one of ours means that it is
 * unavailable.
 */
async function begin({ config, clock }: Opening, module: CoreModule, storage: StorageAdapter): Promise<Begun> {
  let core: CoreReplica;
  // Outside of the `try`, so that a failing clock is not taken for failing storage.
  const now = clock();
  try {
    core = new module.Replica({ ...config, durable: storage.durable !== false }, undefined, now);
  } catch (thrown) {
    throw fromCore(thrown) ?? new EdgeSessionError('WASM_UNAVAILABLE', 'the wasm instance could not begin', { cause: thrown });
  }
  let [logged, record] = [0, 0];
  try {
    const { snapshot, records, doubtful } = await storage.load();
    let last: Uint8Array | null = snapshot;
    if (snapshot !== null) taken('the snapshot', () => core.load(snapshot, now));
    const take = (bytes: Uint8Array) => {
      taken(`record ${record}`, () => core.load(bytes, now), { record });
      record += 1;
      logged += weight(bytes);
      last = bytes;
    };
    // Awaiting each record of a synchronous source takes longer than reading it.
    if (Symbol.iterator in records) for (const bytes of records) take(bytes);
    else for await (const bytes of records) take(bytes);
    // Restoring what is there already changes only the id: writes that are missing here may bear the old one.
    const renamed = doubtful === true && last !== null;
    if (renamed) taken('the state', () => core.restore(last as Uint8Array, now));
    return { core, keyed: config.keys !== undefined, logged, snapshot: snapshot?.byteLength ?? 0, renamed };
  } catch (cause) {
    throw EdgeSessionError.is(cause) ? failed(`storage '${storage.kind}' could not be read: ${cause.message}`, cause.cause ?? cause, cause.details) : cause;
  }
}

/** Runs a step of the core with data from storage. */
function taken(what: string, step: () => void, details?: Record<string, unknown>): void {
  try {
    step();
  } catch (thrown) {
    throw failed(`${what} is damaged`, fromCore(thrown) ?? thrown, details);
  }
}

function failed(what: string, cause?: unknown, details?: Readonly<Record<string, unknown>>): EdgeSessionError {
  return new EdgeSessionError('STORAGE_FAILED', what, { cause, details });
}
