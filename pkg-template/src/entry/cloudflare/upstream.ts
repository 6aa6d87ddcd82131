/**
 * A link to a replica that answers requests: each message is a request, and the other end's messages are its response.
 *
 * Objects sync with each other this way, because it survives eviction: the constructor recreates everything that it
 * keeps in memory, and the core decides when to send, by deadlines that are in the object's alarm. (A WebSocket that an
 * object has opened ends when the object is evicted, and keeps it from hibernating until then.)
 *
 * Invariants:
 * - One request is under way at a time; messages that come up meanwhile wait in a bounded queue.
 * - After a failed request nothing is assumed of the other end, and the link begins anew after a growing pause.
 * - A request of an earlier link is not awaited beyond that link.
 */
import type { Driver, Sink } from '../../driver.js';
import { EdgeSessionError } from '../../errors.js';
import type { Timer } from '../../platform.js';
import { CONTENT_TYPE } from '../../transport/admit.js';

/** A replica that answers the requests of this one: the stub of another object, or any `{ fetch }`. */
export interface Upstream {
  fetch(request: Request): Promise<Response>;
}

const QUEUE = 64;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;
const PATIENCE = 30_000;
// The core's number for this end of a link.
const REQUESTER = 2;
// The address of a stub's request does not matter.
const ADDRESS = 'https://replica.invalid/sync';

export class UpstreamLink implements Sink {
  readonly #driver: Driver;
  readonly #upstream: Upstream;
  #link = 0;
  /** Aborted when the link ends. */
  #ending = new AbortController();
  #queue: Uint8Array[] = [];
  #busy: Promise<void> | undefined;
  #pause: Timer | undefined;
  #failures = 0;

  constructor(driver: Driver, upstream: Upstream) {
    this.#driver = driver;
    this.#upstream = upstream;
    driver.closers.add(() => this.#pause?.cancel());
    this.#begin();
  }

  /** Resolves when no request is under way. */
  async idle(): Promise<void> {
    await this.#busy;
  }

  send(bytes: Uint8Array): void {
    if (this.#queue.length < QUEUE) this.#queue.push(bytes);
    this.#busy ??= this.#talk(this.#ending.signal);
  }

  /** The replica has ended, or does not trust the other end for now. */
  fail(error: EdgeSessionError): void {
    this.#rest(error);
    if (this.#driver.over !== undefined) this.#pause?.cancel();
  }

  #begin(): void {
    if (this.#driver.over !== undefined) return;
    this.#ending = new AbortController();
    this.#link = this.#driver.attach(this);
    this.#driver.call((core, now) => core.linkProve(this.#link, REQUESTER, undefined, now));
  }

  async #talk(ending: AbortSignal): Promise<void> {
    const link = this.#link;
    try {
      for (let bytes = this.#queue.shift(); bytes !== undefined; bytes = this.#queue.shift()) {
        const reply = await this.#ask(bytes, ending);
        if (this.#driver.over !== undefined) return;
        this.#driver.call((core, now) => core.receive(link, reply, now));
        if (ending.aborted) return;
        this.#failures = 0;
      }
      // Synchronously after the last look at the queue: a later message begins a request of its own.
      this.#busy = undefined;
    } catch (cause) {
      if (!ending.aborted) this.#rest(cause);
    }
  }

  /** Sends one request. Gives up with the signal, because the other end may ignore it and never settle. */
  async #ask(body: Uint8Array, ending: AbortSignal): Promise<Uint8Array> {
    const headers = new Headers({ 'Content-Type': CONTENT_TYPE });
    const signal = AbortSignal.any([ending, AbortSignal.timeout(PATIENCE)]);
    const over = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    return Promise.race([over, this.#fetch(new Request(ADDRESS, { method: 'POST', headers, body, signal }))]);
  }

  async #fetch(request: Request): Promise<Uint8Array> {
    const response = await this.#upstream.fetch(request);
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`the other replica answered with the status ${response.status}`);
    }
    return new Uint8Array(await response.arrayBuffer());
  }

  #rest(cause: unknown): void {
    this.#ending.abort();
    this.#busy = undefined;
    this.#queue = [];
    this.#driver.detach(this.#link);
    this.#link = 0;
    if (this.#driver.over !== undefined) return;
    // Reported once, not for every attempt.
    if (this.#failures === 0) this.#driver.error(EdgeSessionError.is(cause) ? cause : new EdgeSessionError('TIMEOUT', 'another replica could not be reached, and is tried again', { cause }));
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE);
    this.#failures += 1;
    this.#pause = this.#driver.timer(() => this.#begin(), pause);
    this.#pause.hold(false);
  }
}
