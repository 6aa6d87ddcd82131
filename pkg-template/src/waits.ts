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

export class Waits {
  readonly #waiters = new Map<number, Waiter>();
  readonly #cancel: (id: number) => void;
  readonly #timer: Timers;
  #alarm: Timer | undefined;

  /** `cancel` is told of a wait that its signal ended. */
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

  /** Runs `due` in `ms` milliseconds, in place of what was asked for before; `null`: not at all. */
  alarm(ms: number | null, due: () => void): void {
    this.#alarm?.cancel();
    this.#alarm = ms === null ? undefined : this.#timer(due, ms);
    this.#hold();
  }

  /** Ends every wait, or those of one owner; the core has forgotten them. */
  end(error: unknown, owner?: object): void {
    for (const [id, waiter] of [...this.#waiters]) if (owner === undefined || waiter.owner === owner) this.#take(id)?.fail(error);
    if (owner === undefined) this.alarm(null, () => {});
  }

  #take(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id);
    if (this.#waiters.delete(id)) this.#hold();
    return waiter;
  }

  #hold(): void {
    this.#alarm?.hold(this.#waiters.size > 0);
  }
}
