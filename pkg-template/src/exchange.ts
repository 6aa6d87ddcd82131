/**
 * One round trip of the sync protocol: a message in, its reply out, over whatever carries bytes for the caller.
 */
import type { Driver, Sink } from './driver.js';
import { milliseconds } from './duration.js';
import { EdgeSessionError, aborted, invalid } from './errors.js';
import { optionsOf, signalOf } from './form.js';
import type { Timer } from './platform.js';
import type { AbortSignalLike } from './types/plug.js';
import type { Joining } from './types/replica.js';
import type { Wait } from './types/session.js';
import { isBytes } from './value.js';

// A reply waits only for storage; if it takes longer than this, storage will not answer.
const PATIENCE = 10_000;

/** A pending reply. An object without closures: with memory as storage it lives no longer than the call. */
class Reply implements Sink {
  #over = false;
  #link = 0;
  #late: Timer | undefined;
  #abort: (() => void) | undefined;

  constructor(
    readonly driver: Driver,
    readonly resolve: (reply: Uint8Array) => void,
    readonly reject: (error: unknown) => void,
    readonly signal: AbortSignalLike | undefined,
  ) {}

  /** Calls the core. The reply waits at most for storage. */
  begin(message: Uint8Array, token: string | undefined, proof: boolean | undefined, patience: number): void {
    const { driver, signal } = this;
    const link = driver.attach(this);
    this.#link = link;
    try {
      driver.call((core, now) => {
        if (token !== undefined) {
          driver.roles?.say(core, { wanted: () => core.wantedRoles(token) });
          core.exchangeAs(link, token, message, now);
        }
        else if (proof) core.exchangeProved(link, message, now);
        else core.exchange(link, message, now);
      });
    } catch (error) {
      this.fail(error);
    }
    // With memory as storage the reply has arrived already, and needs no timer.
    if (this.#over) return;
    const abort = () => this.fail(aborted(signal?.reason));
    if (signal?.aborted) return abort();
    this.#late = driver.timer(() => {
      this.fail(new EdgeSessionError('TIMEOUT', 'storage did not make the reply durable in time'));
    }, patience);
    this.#abort = abort;
    signal?.addEventListener('abort', abort);
  }

  send(reply: Uint8Array): void {
    this.#end();
    this.resolve(reply);
  }

  fail(error: unknown): void {
    this.#end();
    this.reject(error);
  }

  #end(): void {
    this.#over = true;
    this.#late?.cancel();
    if (this.#abort !== undefined) this.signal?.removeEventListener('abort', this.#abort);
    this.driver.forgo(this.#link);
  }
}

/** Hands `message` to the core and resolves with the reply that it transmits. */
export function exchange(driver: Driver, message: Uint8Array, options?: Pick<Wait, 'signal' | 'timeout'> & Joining): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const { token, proof, timeout, signal: given } = optionsOf(options, { token: 1, proof: 1, timeout: 1, signal: 1 });
    const signal = signalOf(given);
    if (!isBytes(message)) throw invalid('a message is a Uint8Array');
    if (token !== undefined && typeof token !== 'string') throw invalid('a token is a string');
    if (proof !== undefined && typeof proof !== 'boolean') throw invalid('proof is true or false');
    const patience = timeout === undefined ? PATIENCE : milliseconds(timeout, 'timeout');
    if (signal?.aborted) throw aborted(signal.reason);
    new Reply(driver, resolve, reject, signal).begin(message, token, proof, patience);
  });
}
