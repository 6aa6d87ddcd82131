/**
 * A link to a replica that answers requests: each message is one, and the other's words are its response.
 *
 * It is how objects sync with each other, because it survives what happens to them: nothing of it is in memory that the
 * constructor does not make again, and when to speak is the core's to say, whose next deadline stands in the object's alarm.
 * (A WebSocket that an object has opened itself ends with its stay in memory, and keeps it from hibernating until then.)
 *
 * Invariants: one request is under way at a time; what comes in between waits in a bounded queue. After a request that
 * failed nothing is believed of the other side, and the link begins anew after a pause that grows. What an earlier link has asked is
 * waited for no longer than that link, whatever becomes of it.
 */
import type { Driver, Sink } from '../../driver.js';
import { EdgeSessionError } from '../../errors.js';
import type { Timer } from '../../platform.js';
import { CONTENT_TYPE } from '../../transport/admit.js';

/** A replica that answers the requests of this one: the stub of another object, or any `{ fetch }` of yours. */
export interface Upstream {
  fetch(request: Request): Promise<Response>;
}

const QUEUE = 64;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;
const PATIENCE = 30_000;
// As the core numbers the ends of a link.
const REQUESTER = 2;
// Nobody looks at the address of a stub's request.
const ADDRESS = 'https://replica.invalid/sync';

export class UpstreamLink implements Sink {
  readonly #driver: Driver;
  readonly #upstream: Upstream;
  #link = 0;
  /** Aborts with the link. */
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

  /** The replica is over, or does not believe the other one for now. */
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
      // In the turn of the last look into the queue: what comes now begins a request of its own.
      this.#busy = undefined;
    } catch (cause) {
      if (!ending.aborted) this.#rest(cause);
    }
  }

  /** Whoever answers may heed the signal, or never settle. */
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
    // Told once, not at every attempt.
    if (this.#failures === 0) this.#driver.error(EdgeSessionError.is(cause) ? cause : new EdgeSessionError('TIMEOUT', 'another replica could not be reached, and is tried again', { cause }));
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE);
    this.#failures += 1;
    this.#pause = this.#driver.timer(() => this.#begin(), pause);
    this.#pause.hold(false);
  }
}
