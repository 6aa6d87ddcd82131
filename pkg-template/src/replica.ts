/**
 * The replica as its owner sees it: sessions, links, events, inspection, closing. The run loop is `driver.ts`.
 */
import type { Driver } from './driver.js';
import { optional } from './duration.js';
import { EdgeSessionError, invalid } from './errors.js';
import { AdminHandle } from './admin.js';
import { Calls, ask } from './calls.js';
import { exchange } from './exchange.js';
import { INIT, optionsOf, signalOf } from './form.js';
import { LinkHandle } from './link.js';
import { asyncDispose } from './platform.js';
import { verified } from './query.js';
import { SessionHandle, toBegin, toInit } from './session.js';
import { begins } from './shapes.js';
import { PATIENCE, named, toTerms } from './terms.js';
import type { Token, TokenInfo } from './types/data.js';
import type { AbortSignalLike, Link, Transport } from './types/plug.js';
import type { Events, Inspection, Joining, Replica, ReplicaOptions, Status } from './types/replica.js';
import type { Admin } from './types/service.js';
import type { Session, SessionInit, Wait } from './types/session.js';
import { isBytes, wellFormed } from './value.js';

// Checking a password is slow, and logins wait for those before them.
const LOGIN_MS = 10_000;

/** What the host does itself. */
export type Hooks = Pick<ReplicaOptions, 'authenticate' | 'execute'>;

export class ReplicaHandle<M> implements Replica<M> {
  readonly #driver: Driver;
  readonly admin: Admin;
  readonly #hooks: Hooks;
  readonly #links = new Set<LinkHandle>();

  constructor(driver: Driver, hooks: Hooks = {}) {
    this.#driver = driver;
    this.#hooks = hooks;
    this.admin = new AdminHandle(driver);
    if (driver.keyed) driver.calls = new Calls(this, driver);
  }

  get id(): string {
    return this.#driver.id;
  }

  get status(): Status {
    return this.#driver.status;
  }

  session(init?: Token | string | null | SessionInit): Session<M> {
    begins();
    return new SessionHandle<M>(this.#driver, toBegin(init), this.#hooks.execute, typeof init === 'string' ? init : undefined);
  }

  /** Resumes the session of a token in a space that the token's bearer asks for. */
  visit(token: string, visit: string): Session<M> {
    begins();
    return new SessionHandle<M>(this.#driver, (core, now) => core.session({ token, visit }, now), this.#hooks.execute);
  }

  async login(user: string, password: string, init?: SessionInit): Promise<Session<M>> {
    if (![user, password].every((text) => typeof text === 'string' && wellFormed(text))) throw invalid('user and password are well-formed strings');
    const raw = toInit({ ...optionsOf(init, INIT), token: undefined, user: undefined });
    const { execute } = this.#hooks;
    const authenticate = this.#hooks.authenticate === 'accounts' ? undefined : this.#hooks.authenticate;
    if (!this.#driver.keyed && authenticate === undefined) {
      const token = await ask<string>(this.#driver, this, 'login', [user, password], '', { timeout: LOGIN_MS });
      return new SessionHandle<M>(this.#driver, toBegin({ ...init, token, user: undefined }), execute);
    }
    if (authenticate === undefined) {
      for (;;) {
        const hash = this.#driver.call((core, now) => core.loginHash(user, now));
        const right = await verified(password, hash ?? null);
        // If the password was changed or removed meanwhile, the old one must not open a session.
        const same = () => this.#driver.call((core, now) => core.loginHash(user, now)) === hash;
        if (!same()) continue;
        return new SessionHandle<M>(this.#driver, (core, now) => core.login(user, right, raw, now), execute);
      }
    }
    if ((await authenticate(user, password)) !== true) throw new EdgeSessionError('BAD_CREDENTIALS', 'wrong user or password');
    return new SessionHandle<M>(this.#driver, (core, now) => core.session({ ...raw, user }, now), execute);
  }

  connect(transport: Transport, options?: { signal?: AbortSignalLike | undefined }): Link {
    this.#driver.check();
    const link = new LinkHandle(this.#driver, transport, signalOf(optionsOf(options, { signal: 1 }).signal), (closed) => this.#links.delete(closed));
    if (link.state !== 'closed') this.#links.add(link);
    return link;
  }

  exchange(message: Uint8Array, options?: Pick<Wait, 'signal' | 'timeout'> & Joining): Promise<Uint8Array> {
    return exchange(this.#driver, message, options);
  }

  async flush(options?: Pick<Wait, 'signal' | 'timeout'>): Promise<void> {
    const { timeout, signal } = toTerms(options, PATIENCE);
    await this.#driver.operate<unknown>(this, (core, now) => core.flush(timeout, now) || undefined, signal);
  }

  async synced(options?: Pick<Wait, 'signal' | 'timeout'>): Promise<void> {
    const { timeout, signal } = toTerms(options, PATIENCE);
    await this.#driver.operate<unknown>(this, (core, now) => core.synced(timeout, now) || undefined, signal);
  }

  on<E extends keyof Events>(type: E, listener: (event: Events[E]) => void, options?: { signal?: AbortSignalLike | undefined }): () => void {
    this.#driver.check();
    return this.#driver.events.on(type, listener, signalOf(optionsOf(options, { signal: 1 }).signal));
  }

  inspect(): Inspection {
    const { persisted: _, sessions, ...core } = this.#driver.call((own) => own.inspect());
    const { persisted, pending } = this.#driver.status;
    return {
      ...core,
      sessions: sessions.map(named),
      links: [...this.#links].map((link) => link.inspect()),
      storage: { kind: this.#driver.storage.kind, persisted, pending },
    };
  }

  inspectToken(token: Token | string): TokenInfo {
    if (typeof token !== 'string') throw invalid('a token is a string');
    return named(this.#driver.call((core) => core.inspectToken(token)));
  }

  admits(tokens: Token | string): boolean | undefined {
    if (typeof tokens !== 'string') throw invalid('a token is a string');
    return this.#driver.call((core, now) => core.admits(tokens, now)) ?? undefined;
  }

  snapshot(): Uint8Array {
    return this.#driver.call((core) => core.snapshot());
  }

  async restore(snapshot: Uint8Array): Promise<void> {
    if (!isBytes(snapshot)) throw invalid('a snapshot is a Uint8Array');
    this.#driver.call((core, now) => core.restore(snapshot, now));
    await this.flush();
  }

  async close(options?: Pick<Wait, 'signal' | 'timeout'>): Promise<void> {
    const { timeout, signal } = optionsOf(options, { timeout: 1, signal: 1 });
    return this.#driver.close(optional(timeout, 'timeout'), signalOf(signal));
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }
}
