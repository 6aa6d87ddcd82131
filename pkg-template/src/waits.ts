/**
 * The pending operations, and the alarm that the core asks for.
 *
 * Invariants:
 * - A wait ends exactly once: by its answer, by its signal, or with its session or replica. It leaves no listener on
 *   the signal.
 * - A wait keeps its owner alive.
 * - The alarm keeps the process alive while somebody waits, but not for heartbeats alone.
 */
import { aborted } from './errors.js';
import type { Timer, Timers } from './platform.js';
import type { AbortSignalLike } from './types/plug.js';

export interface Waiter {
  readonly owner: object;
  resolve(answer: unknown): void;
  fail(error: unknown): void;
}

/** Settles like `work`, unless the signal or the timer of `alarm` ends the wait first. The work itself goes on. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignalLike | undefined, alarm?: (fail: (error: unknown) => void) => Timer): Promise<T> {
  let free = () => {};
  return new Promise<T>((resolve, fail) => {
    const abort = () => fail(aborted(signal?.reason));
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    const late = alarm?.(fail);
    free = () => {
      signal?.removeEventListener('abort', abort);
      late?.cancel();
    };
    work.then(resolve, fail);
  }).finally(() => free());
}

export class Waits {
  readonly #waiters = new Map<number, Waiter>();
  readonly #cancel: (id: number) => void;
  readonly #timer: Timers;
  #alarm: Timer | undefined;
  /** The time for which the alarm is set. */
  #rings = 0;
  #held = false;
  /** Whether it was set while somebody waited, whose deadline it may be. Then a later time replaces it. */
  #awaited = false;

  /** `cancel` is called for a wait that ends without its answer. */
  constructor(cancel: (id: number) => void, timer: Timers) {
    this.#cancel = cancel;
    this.#timer = timer;
  }

  /** Whether anybody waits. */
  get any(): boolean {
    return this.#waiters.size > 0;
  }

  add(id: number, waiter: Waiter, signal: AbortSignalLike | undefined): void {
    const abort = () => {
      const own = this.#take(id);
      if (own === undefined) return;
      this.#cancel(id);
      own.fail(aborted(signal?.reason));
    };
    const free = () => signal?.removeEventListener('abort', abort);
    signal?.addEventListener('abort', abort);
    this.#waiters.set(id, {
      owner: waiter.owner,
      resolve: (answer) => (free(), waiter.resolve(answer)),
      fail: (error) => (free(), waiter.fail(error)),
    });
    this.#hold();
  }

  /** Ends a wait with what `answer` returns or throws. */
  settle(id: number, answer: () => unknown): void {
    const waiter = this.#take(id);
    if (waiter === undefined) return;
    try {
      waiter.resolve(answer());
    } catch (error) {
      waiter.fail(error);
    }
  }

  /**
   * Runs `due` at a time, replacing the previous alarm; null cancels it. It may run early; the core then names the next
   * time. So an alarm that would only be postponed stays as it is, because nearly every message postpones it. The
   * exception is an alarm that was set while somebody waited: where alarms outlive requests, a request must leave none
   * behind.
   */
  alarm(at: number | null, now: number, due: () => void): void {
    if (this.#alarm !== undefined && at !== null && at >= this.#rings && !this.#awaited) return;
    this.#alarm?.cancel();
    this.#alarm = undefined;
    if (at === null) return;
    this.#rings = at;
    this.#held = true;
    this.#awaited = this.#waiters.size > 0;
    this.#alarm = this.#timer(() => {
      this.#alarm = undefined;
      due();
    }, at - now);
    this.#hold();
  }

  /** Ends all waits, or those of one owner; cancels them in the core. */
  end(error: unknown, owner?: object): void {
    for (const [id, waiter] of [...this.#waiters]) {
      if (owner !== undefined && waiter.owner !== owner) continue;
      this.#cancel(id);
      this.#take(id)?.fail(error);
    }
    if (owner === undefined) this.alarm(null, 0, () => {});
  }

  #take(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id);
    if (this.#waiters.delete(id)) this.#hold();
    return waiter;
  }

  /** Makes the alarm keep the process alive if somebody waits. A new timer does so by default. */
  #hold(): void {
    const held = this.#waiters.size > 0;
    if (held === this.#held || this.#alarm === undefined) return;
    this.#held = held;
    this.#alarm.hold(held);
  }
}
