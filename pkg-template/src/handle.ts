/**
 * A handle on one session of the core: from the call that begins it until it is released.
 *
 * Invariant: after `release` no call reaches the session; each throws `SESSION_NOT_FOUND`, or why the replica is over.
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
  /**
   * The core's `info`. Undefined as long as the token says the same: a server begins and releases a session for each
   * answer.
   */
  #text: string | undefined;
  readonly #token: string | undefined;
  #info: CoreSessionInfo | undefined;
  #copies: Copies | undefined;
  #expiresAt: number | undefined;
  /**
   * Half way to the idle end, counted from the core's last answer. From then on the core is asked again. It learns of
   * reads only after their task, so waiting until the idle end itself would miss those of a task that takes so long.
   */
  #askAgain = Number.POSITIVE_INFINITY;
  /**
   * The time of that answer. At an earlier time the clock was set back, and with it the idle end; by how much the core
   * knows.
   */
  #allowedAt = 0;
  /** The number of the clock read at which the session was last found alive. */
  #look = NEVER;
  #raw: CoreSession | undefined;
  #held: Held | undefined;
  #account: Account | undefined;
  /** The role with which the core last answered this handle, if the host states roles. */
  #role: Role | null | undefined;

  #followers: Set<() => void> | undefined;

  /** The handle of an application's session object; set by the class of these objects. */
  static of: (session: unknown) => Handle | undefined = () => undefined;

  /** `token`: given if the session begins with nothing but this token. */
  constructor(driver: Driver, begin: (core: CoreReplica, now: number) => CoreSession, token?: string) {
    this.driver = driver;
    this.#token = token;
    const raw = driver.call((core, now) => {
      const begun = begin(core, now);
      // Of a list of tokens only the core knows which one it resumes.
      if (token === undefined || token.indexOf(',') >= 0 || !begun.claimed()) this.#text = begun.info();
      return begun;
    });
    this.#raw = raw;
    this.#held = driver.adopt(this, raw);
    this.front = driver.front;
    this.roles = driver.roles;
  }

  /** What the session has read from copies. */
  get account(): Account {
    return (this.#account ??= new Account(this.raw, this.front));
  }

  /**
   * Like `epoch`, after comparing the host's present role with the one of the core's last answer. NaN while a statement
   * runs.
   */
  heed(): number {
    if (this.stating) return Number.NaN;
    const { roles } = this;
    if (roles !== undefined && this.#role !== undefined && roles.of(this.info.user, this.#room) !== this.#role) this.ask();
    return this.epoch;
  }

  /** The roles that the core needs for a call of this session; with `text`, for listings and these statements. */
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

  /** The space's name, to which roles belong: the space's id has a number if it was dropped and created again. */
  get #room(): string {
    return this.info.space.split(':', 1)[0] as string;
  }

  /** Increases when everything that the core has allowed must be asked for again. */
  get epoch(): number {
    return this.#asked + this.front.revoked;
  }

  /** The session's identity. Stays readable after the end, for logs. */
  get info(): CoreSessionInfo {
    return (this.#info ??= this.#learn());
  }

  /** Whether it was resumed from a token. */
  get resumed(): boolean {
    return this.#text === undefined || this.#text[ID] === '1';
  }

  /** Called when the session has moved to another space. */
  get followers(): Set<() => void> {
    return (this.#followers ??= new Set());
  }

  /** The copies of the session's space. */
  get copies(): Copies {
    return (this.#copies ??= this.front.copies(this.info.space));
  }

  /** How the values of its space are handed out. */
  get values(): Handing {
    return this.front.freezes ? this.copies.values : this.front.values;
  }

  /** When the session ends here; a later token may extend it. */
  get expiresAt(): number {
    return (this.#expiresAt ??= this.info.expiresAt ?? Number.POSITIVE_INFINITY);
  }

  /** Whether a statement is running. It may change the space, so no copy is answered, kept or written meanwhile. */
  get stating(): boolean {
    return this.#running > 0;
  }

  /** Runs a statement, then refreshes what it may have changed. */
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

  /** Asks the core, as long as that is possible. */
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

  /** Revokes what the core has allowed this session: it must be asked again. */
  ask(): void {
    this.#asked += 1;
    this.front.turned();
  }

  /** The core's session. Throws if it was released. */
  get raw(): CoreSession {
    this.driver.check();
    if (this.#raw === undefined) throw released();
    return this.#raw;
  }

  /** Asks the core again when the session ends here. */
  renew(): void {
    this.#look = NEVER;
    this.front.turned();
    this.#expiresAt = this.now().expiresAt ?? Number.POSITIVE_INFINITY;
  }

  /** The core's current `info`. */
  now(): CoreSessionInfo {
    return toInfo(this.call((raw) => raw.info()));
  }

  /** Whether the session's time is not over, as far as that is known without the core. */
  alive(): boolean {
    const { front } = this;
    // The result of one clock read holds for all operations that it serves.
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

  /** Records that the core has let the session operate at `now`. */
  allowed(now: number): void {
    const { idle } = this.driver;
    if (idle === undefined) return;
    // An older clock read would look like a clock that was set back.
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
    // Its logged writes must reach the core first; no copy may answer any more.
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

/** The length of an id. Two characters follow, then words; the last two words are the lengths of user and client. */
const ID = 36;

/** Parses `CoreSession.info`. By hand, because a server parses it for each session that it begins. */
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
