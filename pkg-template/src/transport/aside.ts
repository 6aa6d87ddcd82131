/**
 * When a page is put aside, and when it is back: the bfcache, and the freezing of tabs in the background.
 *
 * Only `pagehide`, `pageshow`, `freeze` and `resume`: a page that listens for its unloading is never kept in the bfcache. Where there
 * is no page nothing ever happens.
 */
import { platform } from '../platform.js';

/** Calls `leave` when the page is put aside and `back` when it returns, in turns. Answers how to stop. */
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
