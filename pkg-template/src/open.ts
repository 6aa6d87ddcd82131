/**
 * Opening a replica: options, storage, module, instance, what storage holds, links, in this order.
 *
 * Invariant: when a step fails, what the steps before it took is let go of, and nothing is left open.
 */
import { load } from '#wasm';
import type { CoreModule } from './binding.js';
import { Driver, type Parts } from './driver.js';
import { EdgeSessionError, aborted, fromCore } from './errors.js';
import { type Opening, toOpening } from './options.js';
import { type Timers, timer } from './platform.js';
import { ReplicaHandle } from './replica.js';
import type { KeyMap } from './types/data.js';
import type { AbortSignalLike } from './types/plug.js';
import type { Replica, ReplicaOptions } from './types/replica.js';
import { instantiate } from './wasm/glue.js';

/**
 * Opens a replica: loads what its storage holds and begins to serve sessions. Works offline; what `connect` names joins when it can.
 *
 * Rejects with `ARGUMENT_INVALID` for an option that is not of the documented form, `STORAGE_FAILED` where storage is in use
 * by someone else or cannot be read, `WASM_UNAVAILABLE`, `ABORTED`. Then nothing is left open.
 *
 * @example
 * ```ts
 * await using replica = await openReplica({ id: 'fra1', secret: { kid: '2026-11', key } });
 * const session = replica.session({ user: 'ann' });
 * await session.set('theme', 'dark');
 * ```
 */
export async function openReplica<M = KeyMap>(options: ReplicaOptions = {}): Promise<Replica<M>> {
  return (await open<M>(options, timer)).replica;
}

/** The same with the alarm clocks of the place where the replica is to live, and with its run loop in hand. */
export async function open<M>(options: ReplicaOptions, timers: Timers): Promise<{ replica: Replica<M>; driver: Driver }> {
  const opening = toOpening(options);
  const { signal } = options;
  heed(signal);
  const unlock = await lock(opening);
  let driver: Driver | undefined;
  try {
    heed(signal);
    const module = await instance();
    heed(signal);
    driver = new Driver(await begin(opening, module, { unlock, timer: timers }));
    heed(signal);
    const replica = new ReplicaHandle<M>(driver);
    signal?.addEventListener('abort', () => void replica.close());
    for (const transport of opening.transports) replica.connect(transport);
    return { replica, driver };
  } catch (error) {
    if (driver === undefined) {
      await opening.storage.close?.();
      unlock();
    }
    await driver?.close();
    throw error;
  }
}

function heed(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted) throw aborted(signal.reason);
}

async function lock({ storage }: Opening): Promise<() => void> {
  let unlock: (() => void) | null;
  try {
    unlock = await storage.lock();
  } catch (cause) {
    throw failed(`storage '${storage.kind}' could not be locked`, cause);
  }
  if (unlock === null) throw failed(`storage '${storage.kind}' is in use by another replica`);
  return unlock;
}

async function instance(): Promise<CoreModule> {
  try {
    return instantiate(await load()) as unknown as CoreModule;
  } catch (cause) {
    throw new EdgeSessionError('WASM_UNAVAILABLE', 'the wasm module cannot be loaded here', { cause });
  }
}

/** Makes the core and hands it what storage holds. */
async function begin({ config, storage, clock }: Opening, module: CoreModule, place: Pick<Parts, 'unlock' | 'timer'>): Promise<Parts> {
  let [logged, bytes] = [0, 0];
  let core: InstanceType<CoreModule['Replica']>;
  try {
    core = new module.Replica(config, undefined, clock());
  } catch (thrown) {
    throw fromCore(thrown) ?? new EdgeSessionError('WASM_UNAVAILABLE', 'the wasm instance could not begin', { cause: thrown });
  }
  try {
    const { snapshot, records } = await storage.load();
    if (snapshot !== null) core.load(snapshot, clock());
    bytes = snapshot?.byteLength ?? 0;
    for await (const record of records) {
      core.load(record, clock());
      logged += record.byteLength;
    }
  } catch (cause) {
    throw failed(`storage '${storage.kind}' could not be read`, fromCore(cause) ?? cause);
  }
  return { ...place, core, clock, storage, logged, snapshot: bytes };
}

function failed(what: string, cause?: unknown): EdgeSessionError {
  return new EdgeSessionError('STORAGE_FAILED', what, { cause });
}
