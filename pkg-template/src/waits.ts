/**
 * Who waits for which operation, and the alarm clock that the core asks for.
 *
 * Invariant: a wait ends exactly once, by its answer, its signal, or the end of its session or replica; nothing of it stays on
 * the signal. Who waits is in use: the wait holds on to its owner. While someone waits, the alarm keeps the process alive; for
 * the sake of heartbeats it does not.
 */
import { aborted } from './errors.js';
import type { Timer, Timers } from './platform.js';
import type { AbortSignalLike } from './types/plug.js';

export interface Waiter {
  readonly owner: object;
  resolve(answer: unknown): void;
  fail(error: unknown): void;
}

/** What comes of `work`, unless a signal or what `alarm` sets ends the wait for it: the work itself goes on. */
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
  /** When it rings. */
  #rings = 0;
  #held = false;
  /** It was set while somebody waited, whose deadline it may be: once nobody does, it is taken back. */
  #awaited = false;

  /** `cancel` is told of a wait that has ended without its answer. */
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

  /** Ends a wait with what `answer` answers or throws. */
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
   * Runs `due` at a time, in place of what was asked for before; `null`: not at all. It may run earlier, and whoever is called then
   * asks anew: an alarm that would only be put off is left as it is, because nearly every message puts it off. Not so one that was
   * set for who waits: where alarms outlive requests, what a request waits for must leave none behind.
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

  /** Ends every wait, or those of one owner, and what others were asked to do for it. */
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

  /** A timer that is set anew holds. */
  #hold(): void {
    const held = this.#waiters.size > 0;
    if (held === this.#held || this.#alarm === undefined) return;
    this.#held = held;
    this.#alarm.hold(held);
  }
}
