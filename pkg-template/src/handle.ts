/**
 * The life of one session of the core's: from the call that began it until its handle is let go of.
 *
 * Invariant: after `release` no call reaches it; each throws `SESSION_NOT_FOUND` (or why the replica is over).
 */
import type { CoreReplica, CoreSession, CoreSessionInfo } from './binding.js';
import { bearer } from './claims.js';
import type { Copies } from './copies.js';
import type { Driver } from './driver.js';
import { EdgeSessionError, type ErrorCode } from './errors.js';
import { Account, type Front } from './front.js';
import type { Held } from './held.js';
import type { Asking, Roles } from './roles.js';
import type { AbortSignalLike } from './types/plug.js';
import type { Role } from './types/service.js';
import type { Handing } from './value.js';

const NEVER = -1;

export class Handle {
  readonly driver: Driver;
  readonly front: Front;
  readonly roles: Roles | undefined;
  #asked = 0;
  #running = 0;
  /** Who it is, as the core said. Nothing yet where its token says the same: a server begins and lets go of sessions for a single answer of each. */
  #text: string | undefined;
  readonly #token: string | undefined;
  #info: CoreSessionInfo | undefined;
  #copies: Copies | undefined;
  #expiresAt: number | undefined;
  /**
   * Half way to the idle end that follows from what the core has answered last: from then on it is asked again. Of reads it hears behind
   * their task, so by the end itself it would know of none in a task that takes so long.
   */
  #askAgain = Number.POSITIVE_INFINITY;
  /** When that was. Before it the clock was set back, and the idle end with it: by how much the core knows. */
  #allowedAt = 0;
  /** The look at the clock at which its time was not over. */
  #look = NEVER;
  #raw: CoreSession | undefined;
  #held: Held | undefined;
  #account: Account | undefined;
  /** The role by which the core has answered this handle last, where the host says roles. */
  #role: Role | null | undefined;

  #followers: Set<() => void> | undefined;

  /** The handle of a session that an application holds; whoever makes such sessions says how it is found. */
  static of: (session: unknown) => Handle | undefined = () => undefined;

  /** `token`: it begins with nothing but this. */
  constructor(driver: Driver, begin: (core: CoreReplica, now: number) => CoreSession, token?: string) {
    this.driver = driver;
    this.#token = token;
    const raw = driver.call((core, now) => {
      const begun = begin(core, now);
      // Of a listing nobody but the core knows by which it goes on.
      if (token === undefined || token.indexOf(',') >= 0 || !begun.claimed()) this.#text = begun.info();
      return begun;
    });
    this.#raw = raw;
    this.#held = driver.adopt(this, raw);
    this.front = driver.front;
    this.roles = driver.roles;
  }

  /** What it has read from copies. */
  get account(): Account {
    return (this.#account ??= new Account(this.raw, this.front));
  }

  /** As `epoch`, once the host was asked again for the role by which the core has answered. None while a statement is under way. */
  heed(): number {
    if (this.stating) return Number.NaN;
    const { roles } = this;
    if (roles !== undefined && this.#role !== undefined && roles.of(this.info.user, this.#room) !== this.#role) this.ask();
    return this.epoch;
  }

  /** The roles by which the core is to go in a call of this session; with a text, in lists and these statements. */
  asking(text?: string): Asking | undefined {
    if (this.driver.roles === undefined) return undefined;
    const { raw } = this;
    return {
      wanted: () => raw.wantedRoles(text),
      said: (role) => {
        this.#role = role(this.info.user, this.#room);
      },
    };
  }

  /** The name of its space, by which roles go: that of one that was dropped and created again bears a number. */
  get #room(): string {
    return this.info.space.split(':', 1)[0] as string;
  }

  /** Goes up when what the core has allowed must be asked for again. */
  get epoch(): number {
    return this.#asked + this.front.revoked;
  }

  /** Who it is. It stays readable after the end, for the sake of logs. */
  get info(): CoreSessionInfo {
    return (this.#info ??= this.#learn());
  }

  /** Whether it goes on from a token. */
  get resumed(): boolean {
    return this.#text === undefined || this.#text[ID] === '1';
  }

  /** Who is told when it has gone to another space. */
  get followers(): Set<() => void> {
    return (this.#followers ??= new Set());
  }

  /** The copies of the session's space. */
  get copies(): Copies {
    return (this.#copies ??= this.front.copies(this.info.space));
  }

  /** How it is handed the values of its space. */
  get values(): Handing {
    return this.front.freezes ? this.copies.values : this.front.values;
  }

  /** Until when it operates here; a later token may put it off. */
  get expiresAt(): number {
    return (this.#expiresAt ??= this.info.expiresAt ?? Number.POSITIVE_INFINITY);
  }

  /** Whether a statement is under way: it may change the space, so no copy is answered, kept or written meanwhile. */
  get stating(): boolean {
    return this.#running > 0;
  }

  /** Runs a statement, and looks again at what it may have changed. */
  async state<T>(statement: () => Promise<T>): Promise<T> {
    const { space } = this.info;
    this.#running += 1;
    this.front.turned();
    try {
      return await statement();
    } finally {
      this.#running -= 1;
      this.front.turned();
      this.#refresh(space);
    }
  }

  /** Asks the core, as long as it can be asked. */
  #learn(): CoreSessionInfo {
    if (this.#text === undefined && this.#raw !== undefined && this.driver.over === undefined) this.#text = this.#raw.info();
    return this.#text === undefined ? bearer(this.#token as string, this.driver.keyed) : toInfo(this.#text);
  }

  #refresh(space: string): void {
    if (this.#raw === undefined || this.driver.over !== undefined) return;
    const { expiresAt } = this;
    this.#text = this.call((raw) => raw.info());
    this.#info = undefined;
    this.#expiresAt = expiresAt;
    if (this.info.space === space) return;
    this.ask();
    this.#copies = undefined;
    this.#account?.move();
    for (const follow of [...(this.#followers ?? [])]) follow();
  }

  /** What the core has allowed this session must be asked for again. */
  ask(): void {
    this.#asked += 1;
    this.front.turned();
  }

  /** The core's session. Throws where it was let go of. */
  get raw(): CoreSession {
    this.driver.check();
    if (this.#raw === undefined) throw released();
    return this.#raw;
  }

  /** Asks the core anew until when the session operates here. */
  renew(): void {
    this.#look = NEVER;
    this.front.turned();
    this.#expiresAt = this.now().expiresAt ?? Number.POSITIVE_INFINITY;
  }

  /** What the core says of it by now. */
  now(): CoreSessionInfo {
    return toInfo(this.call((raw) => raw.info()));
  }

  /** Whether the session's time is not over, as far as that is known without the core. */
  alive(): boolean {
    const { front } = this;
    // What one look at the clock has said holds for all that it serves.
    if (front.serves > 0 && this.#look === front.look) {
      front.serves -= 1;
      return true;
    }
    const alive = this.within(front.now());
    this.#look = alive ? front.look : NEVER;
    return alive;
  }

  /** Whether the session's time is not over at `now`, as far as that is known without the core. */
  within(now: number): boolean {
    return now < this.expiresAt && now < this.#askAgain && now >= this.#allowedAt;
  }

  /** The core has let the session operate at `now`. */
  allowed(now: number): void {
    const { idle } = this.driver;
    if (idle === undefined) return;
    // A look from before would be taken for a clock that was set back.
    if (this.front.time < now) this.front.serves = 0;
    this.#allowedAt = now;
    this.#askAgain = now + idle / 2;
  }

  token(): string {
    const { raw } = this;
    return this.driver.call((_, now) => raw.token(now), undefined, this.asking());
  }

  call<T>(run: (raw: CoreSession, now: number) => T, keep?: (answer: T) => void, apart?: (now: number) => boolean): T {
    const { raw } = this;
    return this.driver.call((_, now) => run(raw, now), keep, this.asking(), apart);
  }

  operate<T>(run: (raw: CoreSession, now: number) => T | number, signal?: AbortSignalLike): Promise<T> {
    const { raw } = this;
    return this.driver.operate(this, (_, now) => run(raw, now), signal, this.asking());
  }

  release(): void {
    const held = this.#held;
    if (held === undefined) return;
    // What it has written is the core's before it goes; no copy is answered any more.
    this.ask();
    if (this.front.owes) this.driver.settle();
    this.#raw = undefined;
    this.#held = undefined;
    this.#account?.drop();
    this.driver.release(this, held, released);
  }
}

function released(): EdgeSessionError {
  return new EdgeSessionError('SESSION_NOT_FOUND', 'this handle of the session was let go of; begin one with its token');
}

/** The length of an id; two characters follow it, and words, of which the last two are the lengths of user and client. */
const ID = 36;

/** Reads `CoreSession.info`. By hand: of a session that a server begins for a single answer little else is asked. */
function toInfo(text: string): CoreSessionInfo {
  let at = ID + 2;
  const word = () => {
    const from = at;
    at = text.indexOf(' ', from) + 1;
    return text.charCodeAt(from) === 0x2d ? undefined : text.slice(from, at - 1);
  };
  const [reason, ends, user, client] = [word(), word(), word(), word()];
  const name = (length: string | undefined) => (length === undefined ? null : text.slice(at, (at += Number(length))));
  return {
    id: text.slice(0, ID),
    reason: (reason ?? null) as ErrorCode | null,
    expiresAt: ends === undefined ? null : Number(ends),
    guarantees: Number.parseInt(text[ID + 1] ?? '0', 16),
    resumed: text[ID] === '1',
    user: name(user),
    client: name(client),
    space: text.slice(at),
  };
}
