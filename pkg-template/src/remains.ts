/**
 * Takes over what other replicas of the same place have left behind (the slots of closed tabs): joins it into this
 * replica, which then sends it on.
 *
 * Invariant: a slot counts as taken over only once this replica has stored its contents; until then it stays as it is.
 * States are opaque bytes here.
 */
import type { Driver } from './driver.js';
import { EdgeSessionError, fromCore } from './errors.js';
import type { Remains } from './types/plug.js';

// Lets the page do first what its user waits for. In a profile that is being restored, tabs have claimed their slots by
// then.
const CALM = 3_000;
const PATIENCE = 30_000;

/** Takes over what there is after a short delay. Nobody waits for it; failures are reported as `error` events. */
export function takeOver(driver: Driver): void {
  const { storage } = driver;
  if (storage.remains === undefined) return;
  const later = driver.timer(() => {
    driver.closers.delete(cancel);
    void all(driver, storage.remains?.());
  }, CALM);
  const cancel = () => later.cancel();
  later.hold(false);
  driver.closers.add(cancel);
}

async function all(driver: Driver, remains: AsyncIterable<Remains> | undefined): Promise<void> {
  let name: string | undefined;
  try {
    for await (const left of remains ?? []) {
      if (driver.over !== undefined) return;
      ({ name } = left);
      await one(driver, left).catch((cause: unknown) => tell(driver, name, cause));
    }
  } catch (cause) {
    tell(driver, name, cause);
  }
}

async function one(driver: Driver, left: Remains): Promise<void> {
  const frames = await left.read();
  if (frames.length === 0) return;
  for (const bytes of frames) driver.call((core, now) => core.absorb(bytes, now));
  await driver.operate<unknown>(left, (core, now) => core.flush(PATIENCE, now) || undefined);
  await left.taken();
}

function tell(driver: Driver, name: string | undefined, cause: unknown): void {
  if (driver.over !== undefined) return;
  const details = { storage: driver.storage.kind, database: name };
  driver.error(new EdgeSessionError('STORAGE_FAILED', 'what another replica has left behind could not be taken over', { cause: fromCore(cause) ?? cause, details }));
}
