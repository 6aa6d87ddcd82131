/**
 * The life of one session of the core's: from the call that began it until its handle is let go of.
 *
 * Invariant: after `release` no call reaches it; each throws `SESSION_NOT_FOUND` (or why the replica is over).
 */
import type { CoreReplica, CoreSession, CoreSessionInfo } from './binding.js';
import type { Driver } from './driver.js';
import { EdgeSessionError } from './errors.js';
import { Account, type Copy, type Front } from './front.js';
import type { AbortSignalLike } from './types/plug.js';

export class Handle {
  readonly driver: Driver;
  info: CoreSessionInfo;
  readonly front: Front;
  readonly account: Account;
  /** The copies of the session's space. */
  copies: Map<string, Copy>;
  /** Until when it operates here; a later token may put it off. */
  expiresAt: number;
  readonly clock: () => number;
  /** Goes up when what the core has allowed this session must be asked for again. */
  asked = 0;
  #raw: CoreSession | undefined;

  constructor(driver: Driver, begin: (core: CoreReplica, now: number) => CoreSession) {
    this.driver = driver;
    const raw = driver.call(begin);
    this.#raw = raw;
    driver.adopt(this, raw);
    this.info = driver.call(() => raw.info());
    this.front = driver.front;
    this.account = new Account(raw, driver.front);
    this.copies = driver.front.copies(this.info.space);
    this.expiresAt = this.info.expiresAt ?? Number.POSITIVE_INFINITY;
    this.clock = driver.clock;
  }

  /** Goes up when what the core has allowed must be asked for again. */
  get epoch(): number {
    return this.asked + this.front.revoked;
  }

  /** Looks again at what a statement may have changed. */
  refresh(): void {
    if (this.#raw === undefined || this.driver.over !== undefined) return;
    const { space } = this.info;
    this.info = this.call((raw) => raw.info());
    if (this.info.space === space) return;
    this.asked += 1;
    this.copies = this.front.copies(this.info.space);
  }

  /** The core's session. Throws where it was let go of. */
  get raw(): CoreSession {
    this.driver.check();
    if (this.#raw === undefined) throw released();
    return this.#raw;
  }

  /** Asks the core anew until when the session operates here. */
  renew(): void {
    this.expiresAt = this.call((raw) => raw.info()).expiresAt ?? Number.POSITIVE_INFINITY;
  }

  /** Whether the session's time is not over. */
  alive(): boolean {
    return this.clock() < this.expiresAt;
  }

  call<T>(run: (raw: CoreSession, now: number) => T, keep?: (answer: T) => void): T {
    const { raw } = this;
    return this.driver.call((_, now) => run(raw, now), keep);
  }

  operate<T>(run: (raw: CoreSession, now: number) => T | number, signal?: AbortSignalLike): Promise<T> {
    const { raw } = this;
    return this.driver.operate(this, (_, now) => run(raw, now), signal);
  }

  release(): void {
    const raw = this.#raw;
    if (raw === undefined) return;
    // What it has written is the core's before it goes; no copy is answered any more.
    this.asked += 1;
    this.driver.settle();
    this.#raw = undefined;
    this.account.drop();
    this.driver.release(this, raw, released());
  }
}

function released(): EdgeSessionError {
  return new EdgeSessionError('SESSION_NOT_FOUND', 'this handle of the session was let go of; begin one with its token');
}
