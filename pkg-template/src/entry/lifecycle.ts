/**
 * What a page does before it may be gone: `visibilitychange` and `pagehide` are the last events that are sure to come.
 */
import type { Replica } from '../types/replica.js';

/**
 * Stores what was written, and sends it, whenever the page is hidden or left: from then on it may be discarded without a word.
 * Call it once after opening a replica, and the answer to stop. As often as the events come, it does the work once.
 *
 * Storage needs no help to store what was written before; this is for what is under way: it waits for storage and then for the
 * peers' acknowledgement, for as long as the browser lets the page run. What fails is tried again at the next event, and told by
 * the replica's `error`.
 *
 * @example
 * ```ts
 * const stop = flushOnHide(db);
 * ```
 */
export function flushOnHide(replica: Pick<Replica, 'flush'>): () => void {
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
