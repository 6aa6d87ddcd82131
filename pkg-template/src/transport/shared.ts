/**
 * One connection for all tabs: the tabs sync with each other over a channel, and one of them, the leader, with the
 * server.
 *
 * The leader holds a Web Lock for as long as it leads.
 *
 * Invariants:
 * - A page that is put aside (frozen, or in the bfcache) neither leads nor waits, because it could get the lead without
 *   running. When it returns, it goes to the end of the queue.
 * - A leader that holds the lock but does not respond loses it to a waiting tab.
 */
import { invalid } from '../errors.js';
import { report } from '../platform.js';
import type { Duplex, Hello, Transport } from '../types/plug.js';
import { whileAside } from './aside.js';
import { channel } from './channel.js';
import { Presence } from './presence.js';

type OnPeer = Parameters<Transport['open']>[1];

/**
 * Joins all tabs of the origin that open the same `name`, as {@link channel} does, and lets one of them at a time open
 * `upstream`: one socket for all tabs. When that tab is closed, frozen or put into the bfcache, another takes over at
 * once. If it disappears without notice (as the worker of a frozen page does), a foreground tab takes over within a
 * quarter of a minute.
 *
 * Without Web Locks each tab opens `upstream` itself. Throws `ARGUMENT_INVALID` for an invalid name or transport.
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

/** A tab that waits for the lead, or has it. */
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

  /** Queues for the lead, at the end; with `steal` it takes the lead from the present leader at once. */
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
      // The turn was given up before it came.
      if (this.#turn !== turn) return;
      // Another tab has taken the lead, because this one had not answered.
      if ((error as Error).name === 'AbortError') return this.#queue();
      this.#fail(error);
    });
  }

  /** Holds the connection until the turn ends or it cannot be opened. */
  async #lead(signal: AbortSignal): Promise<void> {
    // Does not wait for `open` alone: one that never opens must not keep the lead after its turn.
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
    // A long turn must not accumulate listeners of past connections. Readers always cancel in the end.
    const cancel = () => (signal.removeEventListener('abort', leave), reader.cancel());
    return { read: () => reader.read(), cancel };
  };
  return { ...peer, readable: { getReader }, writable: peer.writable };
}
