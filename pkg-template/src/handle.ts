/**
 * The life of one session of the core's: from the call that began it until its handle is let go of.
 *
 * Invariant: after `release` no call reaches it; each throws `SESSION_NOT_FOUND` (or why the replica is over).
 */
import type { CoreSession, CoreSessionInit } from './binding.js';
import type { Driver } from './driver.js';
import { EdgeSessionError } from './errors.js';
import type { AbortSignalLike } from './types/plug.js';

export class Handle {
  readonly driver: Driver;
  #raw: CoreSession | undefined;

  constructor(driver: Driver, init: CoreSessionInit) {
    this.driver = driver;
    this.#raw = driver.call((core, now) => core.session(init, now));
    driver.adopt(this, this.#raw);
  }

  /** The core's session. Throws where it was let go of. */
  get raw(): CoreSession {
    this.driver.check();
    if (this.#raw === undefined) throw released();
    return this.#raw;
  }

  call<T>(run: (raw: CoreSession, now: number) => T): T {
    const { raw } = this;
    return this.driver.call((_, now) => run(raw, now));
  }

  operate<T>(run: (raw: CoreSession, now: number) => T | number, signal?: AbortSignalLike): Promise<T> {
    const { raw } = this;
    return this.driver.operate(this, (_, now) => run(raw, now), signal);
  }

  release(): void {
    const raw = this.#raw;
    this.#raw = undefined;
    if (raw !== undefined) this.driver.release(this, raw, released());
  }
}

function released(): EdgeSessionError {
  return new EdgeSessionError('SESSION_NOT_FOUND', 'this handle of the session was let go of; begin one with its token');
}
