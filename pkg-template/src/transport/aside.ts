/**
 * Tells when a page is put aside and when it returns: the bfcache, and frozen tabs in the background.
 *
 * Uses only `pagehide`, `pageshow`, `freeze` and `resume`, because a page that listens for unload events is never kept
 * in the bfcache. Outside of a page nothing ever happens.
 */
import { platform } from '../platform.js';

/**
 * Calls `leave` when the page is put aside and `back` when it returns, alternately. Returns a function that stops it.
 */
export function whileAside(leave: () => void, back: () => void): () => void {
  const { document } = platform();
  let aside = false;
  const go = () => {
    if (!aside) leave();
    aside = true;
  };
  const come = () => {
    if (aside) back();
    aside = false;
  };
  platform().addEventListener?.('pagehide', go);
  platform().addEventListener?.('pageshow', come);
  document?.addEventListener('freeze', go);
  document?.addEventListener('resume', come);
  return () => {
    platform().removeEventListener?.('pagehide', go);
    platform().removeEventListener?.('pageshow', come);
    document?.removeEventListener('freeze', go);
    document?.removeEventListener('resume', come);
  };
}
