/**
 * Connects all peers on one BroadcastChannel: tabs of an origin, threads of a process.
 *
 * Everyone receives everything; messages carry an address, and each pair of peers has a duplex. A peer that joins sends
 * `hello`, those present answer `welcome`, and one that leaves sends `bye`.
 *
 * Invariant: in whatever order these arrive, or if some are lost, two living peers lack a duplex for at most one
 * message: whoever receives data from a stranger sends it `hello`.
 */
import { invalid } from '../errors.js';
import { type ByteController, type MessageChannelLike, type Timer, platform, timer } from '../platform.js';
import type { Transport } from '../types/plug.js';
import { whileAside } from './aside.js';

// A peer that is silent for so long has gone without `bye`: heartbeats are far more frequent, even in throttled tabs.
const SILENCE = 5 * 60_000;
// The most bytes that wait for a busy replica; further messages are dropped, and the protocol recovers.
const WAITING = 16 << 20;

interface Letter {
  readonly edgeSession: 1;
  readonly kind: 'hello' | 'welcome' | 'data' | 'bye';
  readonly from: string;
  readonly to?: string;
  readonly bytes?: Uint8Array;
}

/**
 * A transport among all replicas that open a channel of the same name: tabs and workers of one origin in browsers, and
 * threads in Node, Deno and Bun. An open channel keeps a Node process alive until its link is closed.
 *
 * The link's `ready` rejects with `ARGUMENT_INVALID` on a platform that has no BroadcastChannel.
 */
export function channel(name: string): Transport {
  if (typeof name !== 'string' || name === '') throw invalid('the name of a channel is a string that is not empty');
  return {
    kind: 'channel',
    open({ replica, signal }, onPeer) {
      const { BroadcastChannel } = platform();
      if (BroadcastChannel === undefined) throw invalid('this platform has no BroadcastChannel');
      const station = new Station(() => new BroadcastChannel(`edge-session/${name}`), replica, onPeer);
      signal.addEventListener('abort', () => station.close());
    },
  };
}

class Station {
  readonly #tune: () => MessageChannelLike;
  readonly #own: string;
  readonly #onPeer: Parameters<Transport['open']>[1];
  readonly #peers = new Map<string, Correspondent>();
  readonly #stop: () => void;
  #air: MessageChannelLike | undefined;

  constructor(tune: () => MessageChannelLike, replica: string, onPeer: Parameters<Transport['open']>[1]) {
    this.#tune = tune;
    // Two tabs may hold the same replica for a moment, but addresses are unique.
    this.#own = `${replica}/${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
    this.#onPeer = onPeer;
    // A page that is put aside receives nothing: browsers discard one that is sent messages, and others take it for
    // gone.
    this.#stop = whileAside(
      () => this.#depart(),
      () => this.#arrive(),
    );
    this.#arrive();
  }

  close(): void {
    this.#stop();
    this.#depart();
  }

  #arrive(): void {
    this.#air = this.#tune();
    this.#air.onmessage = ({ data }) => this.#hear(data as Partial<Letter> | null);
    this.#say({ kind: 'hello' });
  }

  #depart(): void {
    if (this.#air === undefined) return;
    this.#say({ kind: 'bye' });
    for (const peer of [...this.#peers.values()]) peer.end();
    this.#air.onmessage = null;
    this.#air.close();
    this.#air = undefined;
  }

  #hear(letter: Partial<Letter> | null): void {
    if (typeof letter !== 'object' || letter?.edgeSession !== 1 || typeof letter.from !== 'string') return;
    const { kind, from, to, bytes } = letter;
    if (from === this.#own || (to !== undefined && to !== this.#own)) return;
    switch (kind) {
      case 'hello':
        this.#peers.get(from)?.end();
        this.#say({ kind: 'welcome', to: from });
        return this.#meet(from);
      case 'welcome':
        return this.#peers.has(from) ? undefined : this.#meet(from);
      case 'data':
        if (!(bytes instanceof Uint8Array)) return;
        if (!this.#peers.has(from)) return this.#say({ kind: 'hello', to: from });
        return this.#peers.get(from)?.hear(bytes);
      case 'bye':
        return this.#peers.get(from)?.end();
      case undefined:
        return;
    }
  }

  #meet(from: string): void {
    const peer = new Correspondent(
      (bytes) => this.#say({ kind: 'data', to: from, bytes }),
      () => this.#peers.get(from) === peer && this.#peers.delete(from),
    );
    this.#peers.set(from, peer);
    this.#onPeer(peer);
  }

  #say(letter: Omit<Letter, 'edgeSession' | 'from'>): void {
    this.#air?.postMessage({ edgeSession: 1, from: this.#own, ...letter } satisfies Letter);
  }
}

/** The duplex to one peer. */
class Correspondent {
  readonly readable;
  readonly writable;
  readonly #onEnd: () => void;
  #incoming: ByteController | undefined;
  #silence: Timer | undefined;

  constructor(say: (bytes: Uint8Array) => void, onEnd: () => void) {
    this.#onEnd = onEnd;
    const { ReadableStream, WritableStream } = platform();
    const end = () => this.end();
    this.readable = new ReadableStream({ start: (controller) => void (this.#incoming = controller), cancel: end }, { highWaterMark: WAITING, size: (message) => message.byteLength });
    this.writable = new WritableStream({ write: say, abort: end });
    this.#listen();
  }

  hear(bytes: Uint8Array): void {
    this.#listen();
    if ((this.#incoming?.desiredSize ?? 0) > 0) this.#incoming?.enqueue(bytes);
  }

  end(): void {
    if (this.#incoming === undefined) return;
    this.#silence?.cancel();
    const incoming = this.#incoming;
    this.#incoming = undefined;
    this.#onEnd();
    try {
      incoming.close();
    } catch {
      // The reader has cancelled it already.
    }
  }

  #listen(): void {
    this.#silence?.cancel();
    this.#silence = timer(() => this.end(), SILENCE);
    this.#silence.hold(false);
  }
}
