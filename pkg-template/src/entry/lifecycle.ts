/**
 * What a page does before it may be gone: `visibilitychange` and `pagehide` are the last events that are sure to come.
 */
import { invalid } from '../errors.js';
import type { Replica } from '../types/replica.js';

/**
 * Makes what was written durable whenever the page is hidden or left: from then on it may be discarded without a word. Call it once
 * after opening a replica, and the answer to stop. While a flush is under way no other begins.
 *
 * Storage is handed each write in the turn in which it is made; what this adds is to wait for it, as long as the browser lets the
 * page run. A flush that fails is tried again at the next event, and the replica's `error` has told why.
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
