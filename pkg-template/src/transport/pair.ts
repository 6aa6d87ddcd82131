/**
 * Two ends in one process, for tests and for replicas side by side.
 */
import { invalid } from '../errors.js';
import { platform } from '../platform.js';
import type { AbortSignalLike, Duplex, Transport } from '../types/plug.js';

// Bytes that may lie in each half of one direction before the writer has to wait; one message beyond it is always taken.
const IN_FLIGHT = 4 << 20;

interface End {
  readonly signal: AbortSignalLike;
  readonly onPeer: (peer: Duplex) => void;
}

/**
 * Answers two transports; the replicas that open them are each other's peers while both are open. An end whose link was closed
 * may be opened again, which is how to make and to heal a partition.
 *
 * @example
 * ```ts
 * const [left, right] = pair();
 * tokyo.connect(left);
 * paris.connect(right);
 * ```
 */
export function pair(): [Transport, Transport] {
  const ends: [End | undefined, End | undefined] = [undefined, undefined];
  const end = (own: 0 | 1): Transport => ({
    kind: 'pair',
    open({ signal }, onPeer) {
      if (ends[own] !== undefined) throw invalid('this end of the pair is open already');
      const opened = { signal, onPeer };
      ends[own] = opened;
      signal.addEventListener('abort', () => {
        if (ends[own] === opened) ends[own] = undefined;
      });
      if (ends[0] !== undefined && ends[1] !== undefined) join(ends[0], ends[1]);
    },
  });
  return [end(0), end(1)];
}

/** Gives both ends a duplex; either one's end breaks both directions. */
function join(left: End, right: End): void {
  const room = { highWaterMark: IN_FLIGHT, size: (message: Uint8Array) => message.byteLength };
  const direction = () => new (platform().TransformStream)({}, room, room);
  const [there, back] = [direction(), direction()];
  left.onPeer({ readable: back.readable, writable: there.writable });
  right.onPeer({ readable: there.readable, writable: back.writable });
}
