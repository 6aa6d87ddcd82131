/**
 * A link joins the peers of one transport to the core. Each peer is a duplex of messages.
 *
 * Invariant: the queue to a peer is bounded (`channel.ts`), because the protocol recovers from lost messages but
 * nothing recovers lost memory. Messages are opaque bytes here.
 */
import { type Channel, channel } from './channel.js';
import type { Driver, Sink } from './driver.js';
import { EdgeSessionError, aborted, fromCore, invalid } from './errors.js';
import { type Control, dispose, platform } from './platform.js';
import type { AbortSignalLike, Duplex, Hello, Link, LinkState, Transport } from './types/plug.js';
import { isBytes } from './value.js';

// In the order of the core's numbers.
const PROVING_ENDS = ['caller', 'callee', 'requester'];

export class LinkHandle implements Link {
  readonly #driver: Driver;
  readonly #transport: Transport;
  readonly #peers = new Set<Peer>();
  readonly #counts = { sent: 0, received: 0, dropped: 0 };
  readonly #onClosed: () => void;
  #ready = pending();
  #state: LinkState = 'connecting';
  #error: EdgeSessionError | null = null;
  /** Ends the current opening of the transport; whatever earlier ones still report is ignored. */
  #opening: Control | undefined;

  /** Opens the transport. `onClosed` is called once, when the link has ended, at the latest with the replica. */
  constructor(driver: Driver, transport: Transport, signal: AbortSignalLike | undefined, onClosed: (link: LinkHandle) => void) {
    if (typeof transport?.open !== 'function') throw invalid('a transport has a method open');
    this.#driver = driver;
    this.#transport = transport;
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

  get error(): EdgeSessionError | null {
    return this.#error;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  reconnect(): void {
    if (this.#state === 'closed') return;
    this.#letGo(aborted('the link connects anew'));
    // Whoever awaits the previous promise gets the outcome of the new one.
    const before = this.#ready;
    this.#ready = pending();
    this.#ready.promise.then(before.resolve, before.reject);
    this.#become('connecting', null);
    void this.#open();
  }

  close(): void {
    this.#close(aborted('the link was closed'));
  }

  [dispose](): void {
    this.close();
  }

  inspect() {
    return { kind: this.#transport.kind, state: this.#state, error: this.#error?.code ?? null, peers: this.#peers.size, ...this.#counts };
  }

  async #open(): Promise<void> {
    const opening = new (platform().AbortController)();
    this.#opening = opening;
    const current = () => this.#opening === opening;
    const tell: Hello['tell'] = (state, error) => current() && this.#tell(state, error);
    try {
      await this.#transport.open({ replica: this.#driver.id, keyed: this.#driver.keyed, signal: opening.signal, tell }, (duplex) => current() && this.#join(duplex));
      if (current() && this.#state === 'connecting') this.#tell('open');
    } catch (cause) {
      if (current()) this.#tell('closed', fromCore(cause) ?? failed(this.#transport.kind, cause));
    }
  }

  #tell(state: Exclude<LinkState, 'connecting'>, error?: EdgeSessionError): void {
    const reason = state === 'open' ? null : (error ?? failed(this.#transport.kind));
    if (state === 'closed') {
      this.#close(reason as EdgeSessionError);
      return this.#driver.error(reason as EdgeSessionError);
    }
    const news = state !== this.#state;
    this.#become(state, reason);
    if (state === 'open') this.#ready.resolve();
    if (state !== 'unauthorized' || !news) return;
    const refused = this.#ready;
    this.#ready = pending();
    refused.reject(reason);
    this.#driver.error(reason as EdgeSessionError);
  }

  #become(state: LinkState, error: EdgeSessionError | null): void {
    const news = state !== this.#state;
    this.#state = state;
    this.#error = error;
    if (news) this.#driver.events.emit('link', () => ({ kind: this.#transport.kind, state, error }));
  }

  #join(duplex: Duplex): void {
    if (this.#driver.over !== undefined) return;
    const peer: Peer = new Peer(this.#driver, duplex, this.#counts, () => this.#peers.delete(peer));
    this.#peers.add(peer);
    peer.run();
  }

  #letGo(reason: EdgeSessionError): void {
    const opening = this.#opening;
    this.#opening = undefined;
    for (const peer of [...this.#peers]) peer.end();
    opening?.abort(reason);
  }

  #close(reason: EdgeSessionError): void {
    if (this.#state === 'closed') return;
    this.#ready.reject(reason);
    this.#letGo(reason);
    this.#onClosed();
    this.#become('closed', reason);
  }
}

/** A promise with its resolvers. Its rejection is reported in other ways as well, so nobody has to handle it. */
function pending() {
  let settle!: { resolve: () => void; reject: (error: unknown) => void };
  const promise = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
  promise.catch(() => {});
  return { promise, ...settle };
}

function failed(kind: string, cause?: unknown): EdgeSessionError {
  return new EdgeSessionError('TRANSPORT_FAILED', `the transport '${kind}' has no connection`, { cause });
}

class Peer implements Sink {
  readonly #driver: Driver;
  readonly #channel: Channel;
  readonly #counts: { sent: number; received: number; dropped: number };
  readonly #onEnd: () => void;
  readonly #duplex: Duplex;
  #ended = false;
  #link = 0;

  constructor(driver: Driver, duplex: Duplex, counts: { sent: number; received: number; dropped: number }, onEnd: () => void) {
    this.#driver = driver;
    this.#counts = counts;
    this.#onEnd = onEnd;
    this.#duplex = duplex;
    this.#channel = channel(duplex, {
      message: (bytes) => this.#receive(bytes),
      sent: () => (counts.sent += 1),
      end: () => this.end(),
    });
  }

  run(): void {
    this.#link = this.#driver.attach(this);
    try {
      const { heartbeat, pass, proof } = this.#duplex;
      this.#driver.call((core, now) => {
        if (pass !== undefined) this.#driver.admit(core, this.#link, pass, undefined, now);
        else if (proof !== undefined) core.linkProve(this.#link, PROVING_ENDS.indexOf(proof), heartbeat, now);
        else if (heartbeat === undefined) core.linkUp(this.#link, now);
        else core.linkUpEvery(this.#link, heartbeat, now);
      });
    } catch (error) {
      this.fail(error as EdgeSessionError);
      return this.#driver.error(error as EdgeSessionError);
    }
    this.#channel.start();
  }

  send(bytes: Uint8Array): void {
    if (!this.#channel.send(bytes)) this.#counts.dropped += 1;
  }

  /** The replica has ended, or the core has closed this link. */
  fail(error: EdgeSessionError): void {
    if (!this.#ended) this.#duplex.refuse?.(error);
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#driver.detach(this.#link);
    this.#onEnd();
    this.#channel.close();
  }

  #receive(bytes: Uint8Array): void {
    this.#counts.received += 1;
    try {
      // Checked here, because a transport may deliver anything and an exception in wasm would end the replica.
      if (!isBytes(bytes)) throw new EdgeSessionError('MESSAGE_MALFORMED', 'a transport hands over each message as a Uint8Array');
      this.#driver.call((core, now) => core.receive(this.#link, bytes, now));
    } catch (error) {
      // The message was dropped and nothing changed. The link goes on, and the protocol recovers.
      if (this.#driver.over === undefined) this.#driver.error(error as EdgeSessionError);
    }
  }
}
