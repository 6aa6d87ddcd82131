/**
 * One connection for all tabs: they sync with each other over a channel, and one of them, the leader, with the server.
 *
 * The leader holds a Web Lock for as long as it leads. Invariant: a page that is put aside (frozen, or in the bfcache) neither leads
 * nor stands in line, for it would lead without being there; when it is back it goes to the end of the line. Who holds the lock and
 * is not there all the same loses it to one who waits.
 */
import { invalid } from '../errors.js';
import { report } from '../platform.js';
import type { Duplex, Hello, Transport } from '../types/plug.js';
import { whileAside } from './aside.js';
import { channel } from './channel.js';
import { Presence } from './presence.js';

type OnPeer = Parameters<Transport['open']>[1];

/**
 * Joins all tabs of the origin that open the same `name`, as {@link channel} does, and lets one of them at a time open `upstream`: one
 * socket for all tabs. When that tab is closed, frozen or put into the bfcache, another takes over at once; when it is gone without a
 * word (a worker of a frozen page is), within a quarter of a minute of one in front.
 *
 * Where there are no Web Locks each tab opens `upstream` itself. Throws `ARGUMENT_INVALID` for what is no name or no transport.
 *
 * @example
 * ```ts
 * await openReplica({ storage: idb('shop'), connect: shared('shop', webSocket('/sync')) });
 * ```
 */
export function shared(name: string, upstream: Transport): Transport {
  if (typeof upstream?.open !== 'function') throw invalid('the second argument of shared is a transport');
  const tabs = channel(name);
  return {
    kind: `shared ${upstream.kind}`,
    async open(hello, onPeer) {
      await tabs.open(hello, onPeer);
      if (hello.signal.aborted) return;
      const candidate = new Candidate(`edge-session/${name}/leader`, upstream, hello, onPeer);
      hello.signal.addEventListener('abort', () => candidate.close());
    },
  };
}

/** One tab, in line for the lead or leading. */
class Candidate {
  readonly #lock: string;
  readonly #upstream: Transport;
  readonly #hello: Hello;
  readonly #onPeer: OnPeer;
  readonly #stop: () => void;
  #turn: AbortController | undefined;

  constructor(lock: string, upstream: Transport, hello: Hello, onPeer: OnPeer) {
    this.#lock = lock;
    this.#upstream = upstream;
    this.#hello = hello;
    this.#onPeer = onPeer;
    this.#stop = whileAside(
      () => this.#leave(),
      () => this.#queue(),
    );
    this.#queue();
  }

  close(): void {
    this.#stop();
    this.#leave();
  }

  #leave(): void {
    this.#turn?.abort();
    this.#turn = undefined;
  }

  /** Stands in line anew, at its end; or, to `steal`, goes before all and ends the turn of who leads. */
  #queue(steal = false): void {
    this.#leave();
    const turn = new AbortController();
    this.#turn = turn;
    const { signal } = turn;
    const { locks } = globalThis.navigator ?? {};
    if (locks === undefined) return void this.#lead(signal);
    const presence = new Presence(this.#lock, () => this.#queue(true));
    signal.addEventListener('abort', () => presence.close());
    const lead = () => {
      if (signal.aborted) return;
      presence.lead();
      return this.#lead(signal);
    };
    locks.request(this.#lock, steal ? { steal } : { signal }, lead).catch((error: unknown) => {
      // Where the turn was given up before it came, that is no news.
      if (this.#turn !== turn) return;
      // Somebody took the lead, because no answer had come from here.
      if ((error as Error).name === 'AbortError') return this.#queue();
      this.#fail(error);
    });
  }

  /** Holds the connection until the turn ends, or it cannot be opened. */
  async #lead(signal: AbortSignal): Promise<void> {
    // Not until it is open: one that is never opened must not keep the lead when the turn is over.
    const over = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    try {
      await Promise.race([over, this.#upstream.open({ ...this.#hello, signal }, (peer) => this.#onPeer(until(signal, peer)))]);
      await over;
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    report('edge-session: the shared transport could not be opened, and the lead goes to another tab', error);
    this.#leave();
  }
}

/** A duplex that ends with the turn, whatever its transport does. */
function until(signal: AbortSignal, peer: Duplex): Duplex {
  const getReader = () => {
    const reader = peer.readable.getReader();
    const leave = () => void reader.cancel().catch(() => {});
    signal.addEventListener('abort', leave);
    // Of the connections of a long turn nothing is left on it: who reads cancels in the end, whatever has ended it.
    const cancel = () => (signal.removeEventListener('abort', leave), reader.cancel());
    return { read: () => reader.read(), cancel };
  };
  return { ...peer, readable: { getReader }, writable: peer.writable };
}
