/**
 * A link: the peers that one transport brings, each a duplex of messages, joined to the core.
 *
 * Invariant: the queue to a peer is bounded; what does not fit is dropped, because the protocol heals loss and memory does
 * not heal. A link knows messages as bytes alone.
 */
import type { Driver, Sink } from './driver.js';
import { EdgeSessionError, aborted, fromCore, invalid } from './errors.js';
import { dispose, platform } from './platform.js';
import type { AbortSignalLike, Duplex, Link, LinkState, Transport } from './types/plug.js';

// One message beyond it is always taken, so that every message can get through.
const QUEUE_BYTES = 8 << 20;
const QUEUE_MESSAGES = 1024;

export class LinkHandle implements Link {
  readonly ready: Promise<void>;
  readonly #driver: Driver;
  readonly #transport: Transport;
  readonly #peers = new Set<Peer>();
  readonly #control = new (platform().AbortController)();
  readonly #counts = { sent: 0, received: 0, dropped: 0 };
  readonly #onClosed: () => void;
  #settle!: { resolve: () => void; reject: (error: unknown) => void };
  #state: LinkState = 'connecting';

  /** Opens the transport. `onClosed` is called once, when the link has ended; it ends with the replica. */
  constructor(driver: Driver, transport: Transport, signal: AbortSignalLike | undefined, onClosed: (link: LinkHandle) => void) {
    if (typeof transport?.open !== 'function') throw invalid('a transport has a method open');
    this.#driver = driver;
    this.#transport = transport;
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.ready.catch(() => {}); // told through 'error' as well; nobody has to wait for it
    const close = () => this.#close(aborted(signal?.reason));
    signal?.addEventListener('abort', close);
    driver.closers.add(close);
    this.#onClosed = () => {
      signal?.removeEventListener('abort', close);
      driver.closers.delete(close);
      onClosed(this);
    };
    if (signal?.aborted) close();
    else void this.#open();
  }

  get state(): LinkState {
    return this.#state;
  }

  close(): void {
    this.#close(aborted('the link was closed'));
  }

  [dispose](): void {
    this.close();
  }

  inspect() {
    return { kind: this.#transport.kind, state: this.#state, peers: this.#peers.size, ...this.#counts };
  }

  async #open(): Promise<void> {
    const { signal } = this.#control;
    try {
      await this.#transport.open({ replica: this.#driver.id, signal }, (duplex) => this.#join(duplex));
      if (this.#state === 'connecting') this.#state = 'open';
      this.#settle.resolve();
    } catch (cause) {
      if (this.#state === 'closed') return;
      const error = fromCore(cause) ?? invalid(`the transport '${this.#transport.kind}' could not be opened`, cause);
      this.#close(error);
      this.#driver.error(error);
    }
  }

  #join(duplex: Duplex): void {
    if (this.#state === 'closed' || this.#driver.over !== undefined) return;
    this.#state = 'open';
    const peer: Peer = new Peer(this.#driver, duplex, this.#counts, () => this.#peers.delete(peer));
    this.#peers.add(peer);
    peer.run();
  }

  #close(reason: EdgeSessionError): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#settle.reject(reason);
    for (const peer of [...this.#peers]) peer.end();
    this.#control.abort(reason);
    this.#onClosed();
  }
}

class Peer implements Sink {
  readonly #driver: Driver;
  readonly #reader: ReturnType<Duplex['readable']['getReader']>;
  readonly #writer: ReturnType<Duplex['writable']['getWriter']>;
  readonly #counts: { sent: number; received: number; dropped: number };
  readonly #onEnd: () => void;
  readonly #backlog: () => number;
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  #writing = false;
  #ended = false;
  #link = 0;

  constructor(driver: Driver, duplex: Duplex, counts: { sent: number; received: number; dropped: number }, onEnd: () => void) {
    this.#driver = driver;
    this.#reader = duplex.readable.getReader();
    this.#writer = duplex.writable.getWriter();
    this.#counts = counts;
    this.#onEnd = onEnd;
    this.#backlog = () => duplex.backlog?.() ?? 0;
  }

  run(): void {
    this.#link = this.#driver.attach(this);
    try {
      this.#driver.call((core, now) => core.linkUp(this.#link, now));
    } catch (error) {
      this.end();
      return this.#driver.error(error as EdgeSessionError);
    }
    void this.#read();
  }

  send(bytes: Uint8Array): void {
    const waiting = this.#queued + this.#backlog();
    if (this.#queue.length >= QUEUE_MESSAGES || (waiting > 0 && waiting + bytes.byteLength > QUEUE_BYTES)) {
      this.#counts.dropped += 1;
      return;
    }
    this.#queue.push(bytes);
    this.#queued += bytes.byteLength;
    if (!this.#writing) void this.#write();
  }

  /** The replica is over, and so is this peer. */
  fail(): void {
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue.length = 0;
    this.#driver.detach(this.#link);
    this.#onEnd();
    // The other side may be gone already; there is nobody to tell.
    this.#reader.cancel().catch(() => {});
    this.#writer.abort().catch(() => {});
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done || this.#ended) break;
        this.#counts.received += 1;
        this.#receive(value);
      }
    } catch {
      // A broken stream is a peer that is gone.
    }
    this.end();
  }

  #receive(bytes: Uint8Array): void {
    try {
      this.#driver.call((core, now) => core.receive(this.#link, bytes, now));
    } catch (error) {
      // The message was dropped and nothing changed; the link goes on, and the protocol heals.
      if (this.#driver.over === undefined) this.#driver.error(error as EdgeSessionError);
    }
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      for (let bytes = this.#queue.shift(); bytes !== undefined; bytes = this.#queue.shift()) {
        this.#queued -= bytes.byteLength;
        await this.#writer.ready;
        if (this.#ended) return;
        await this.#writer.write(bytes);
        this.#counts.sent += 1;
      }
      this.#writing = false;
    } catch {
      this.end();
    }
  }
}
