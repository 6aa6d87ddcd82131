/**
 * Two connected transports in one process, for tests and for replicas side by side.
 */
import { invalid } from '../errors.js';
import { platform } from '../platform.js';
import type { AbortSignalLike, Duplex, Transport } from '../types/plug.js';

// The bytes that each half of a direction buffers before the writer waits; a message is always taken while it is empty.
const IN_FLIGHT = 4 << 20;

interface End {
  readonly signal: AbortSignalLike;
  readonly onPeer: (peer: Duplex) => void;
}

/**
 * Returns two transports; the replicas that open them are peers while both are open. An end whose link was closed may
 * be opened again, which makes and heals a partition.
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

/** Gives both ends a duplex. Ending either breaks both directions. */
function join(left: End, right: End): void {
  const room = { highWaterMark: IN_FLIGHT, size: (message: Uint8Array) => message.byteLength };
  const direction = () => new (platform().TransformStream)({}, room, room);
  const [there, back] = [direction(), direction()];
  left.onPeer({ readable: back.readable, writable: there.writable });
  right.onPeer({ readable: there.readable, writable: back.writable });
}
