/**
 * What a page does before it may disappear. `visibilitychange` and `pagehide` are the last events that are sure to
 * come.
 */
import { invalid } from '../errors.js';
import type { Replica } from '../types/replica.js';

/**
 * Waits for durability whenever the page is hidden or left, because it may then be discarded without notice. Call it
 * once after opening a replica; it returns a function that stops it. Flushes do not overlap.
 *
 * Storage receives each write in the turn in which it is made; this function only waits for it, as long as the browser
 * lets the page run. A failed flush is tried again at the next event; the replica's `error` event reports the cause.
 *
 * @example
 * ```ts
 * const stop = flushOnHide(db);
 * ```
 */
export function flushOnHide(replica: Pick<Replica, 'flush'>): () => void {
  if (typeof replica?.flush !== 'function') throw invalid('flushOnHide takes a replica');
  let flushing: Promise<void> | undefined;
  const flush = () => {
    flushing ??= replica
      .flush()
      .catch(() => {})
      .finally(() => (flushing = undefined));
  };
  const hidden = () => {
    if (document.visibilityState === 'hidden') flush();
  };
  document.addEventListener('visibilitychange', hidden);
  addEventListener('pagehide', flush);
  return () => {
    document.removeEventListener('visibilitychange', hidden);
    removeEventListener('pagehide', flush);
  };
}
