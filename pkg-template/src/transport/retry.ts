/**
 * What reconnecting transports share: pauses, tokens, and the meaning of refusals.
 *
 * Invariants:
 * - Clients that lose a server at the same time do not return at the same time (jitter).
 * - A client whose token was refused does not return with the same token.
 * - A pause ends early when an attempt may succeed: the network is back, or the page was restored.
 */
import { claims } from '../claims.js';
import { ERROR_CODES, EdgeSessionError, type ErrorCode, invalid } from '../errors.js';
import { type Timer, platform, timer } from '../platform.js';
import type { AbortSignalLike } from '../types/plug.js';

/**
 * A token, or a function that gets one. The function is called before each connection, and again after three quarters
 * of the token's life, so that a later token replaces it before it ends.
 */
export type TokenSource = string | (() => string | null | undefined | Promise<string | null | undefined>);

/** The address of a server: a string, or an object such as `URL`. */
export type Address = string | { readonly href: string };

const FIRST_PAUSE = 500;
// The shortest interval at which a later token is asked for, however short tokens live.
const SOONEST = 1_000;
// A token is sent in a header and in a list of subprotocols.
const TOKEN = /^[\w.~-]{1,16384}$/;

/** The pauses of one opening: each about twice as long as the one before, up to `longest` milliseconds. */
export class Pauses {
  readonly #longest: number;
  readonly #hold: boolean;
  #wake: (() => void) | undefined;
  #over = false;

  /** `hold`: whether a pause keeps the process alive. */
  constructor(longest: number, signal: AbortSignalLike, hold: boolean) {
    this.#longest = longest;
    this.#hold = hold;
    const wake = (event: { readonly persisted?: boolean }) => event.persisted !== false && this.#wake?.();
    const { addEventListener: listen, removeEventListener: ignore } = platform();
    listen?.call(platform(), 'online', wake);
    listen?.call(platform(), 'pageshow', wake);
    signal.addEventListener('abort', () => {
      this.#over = true;
      this.#wake?.();
      ignore?.call(platform(), 'online', wake);
      ignore?.call(platform(), 'pageshow', wake);
    });
  }

  /** Pauses after so many failures, for a random half to all of the full time; not at all before the first attempt. */
  async rest(failures: number): Promise<void> {
    if (failures <= 0 || this.#over) return;
    const whole = Math.min(this.#longest, FIRST_PAUSE * 2 ** Math.min(failures - 1, 30));
    let alarm: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      alarm = timer(resolve, whole * (0.5 + Math.random() / 2));
      alarm.hold(this.#hold);
    });
    this.#wake = undefined;
    alarm?.cancel();
  }
}

/** The token of one opening, and whether the other end accepts it. */
export class Pass {
  readonly #source: TokenSource | undefined;
  /** Whether the replica needs no token because it proves its secret. */
  readonly proves: boolean;
  #token: string | undefined;
  #refused: { readonly token: string | undefined } | undefined;
  /** A later token than the current one. */
  #later: string | undefined;
  #renewing: Promise<boolean> | undefined;
  /** When to ask for a later one. */
  #due = Number.POSITIVE_INFINITY;

  constructor(source: TokenSource | undefined, keyed = false) {
    this.proves = source === undefined && keyed;
    if (source !== undefined && typeof source !== 'function') check(source);
    this.#source = source;
  }

  /** Gets the token for a connection; undefined without one. */
  async ask(): Promise<string | undefined> {
    const later = this.#later;
    this.#later = undefined;
    return this.#hold(later ?? (await this.#get()));
  }

  /**
   * The milliseconds until {@link renew} is due; undefined if it never is: the source is fixed, or the token has no
   * end.
   */
  get due(): number | undefined {
    return this.#due === Number.POSITIVE_INFINITY ? undefined : Math.max(this.#due - Date.now(), SOONEST);
  }

  /**
   * Gets a later token for the next connection; returns whether there is one. If not, it is due again after half of the
   * remaining time.
   */
  async renew(): Promise<boolean> {
    const end = claims(this.#token)?.exp ?? 0;
    const token = await this.#get().catch(() => undefined);
    if ((claims(token)?.exp ?? 0) > end) this.#later = token;
    const rest = end * 1000 - Date.now();
    this.#due = this.#later === undefined && rest > 0 ? Date.now() + rest / 2 : Number.POSITIVE_INFINITY;
    return this.#later !== undefined;
  }

  /**
   * The token for one more request: a later one if that is due and available. Does not wait for it while the current
   * one is valid.
   */
  async fresh(): Promise<string | undefined> {
    if (this.#due <= Date.now()) {
      this.#renewing ??= this.renew().finally(() => (this.#renewing = undefined));
      if ((claims(this.#token)?.exp ?? 0) * 1000 <= Date.now()) await this.#renewing;
    }
    return this.#later === undefined ? this.#token : this.ask();
  }

  /** Whether the current token is the refused one, so that connecting is useless. */
  get stale(): boolean {
    return !this.proves && this.#refused !== undefined && this.#refused.token === this.#token;
  }

  /** Whether another attempt may succeed later: there may be another token, or no token is used. */
  get renewable(): boolean {
    return this.proves || typeof this.#source === 'function';
  }

  /** Whether a token was refused and none was accepted since. */
  get refused(): boolean {
    return this.#refused !== undefined;
  }

  /** Records that the current token was refused. True if another should be asked for at once: the first time. */
  refuse(): boolean {
    const first = this.#refused === undefined;
    this.#refused = { token: this.#token };
    return first && typeof this.#source === 'function';
  }

  accept(): void {
    this.#refused = undefined;
  }

  async #get(): Promise<string | undefined> {
    const token = typeof this.#source === 'function' ? await this.#source() : this.#source;
    return token === null || token === undefined ? undefined : check(token);
  }

  #hold(token: string | undefined): string | undefined {
    this.#token = token;
    const { iat = 0, exp = Number.POSITIVE_INFINITY } = (this.renewable && claims(token)) || {};
    // If the local clock is wrong, count the token as new: it was just obtained.
    const [life, rest] = [(exp - iat) * 1000, exp * 1000 - Date.now()];
    this.#due = Date.now() + (rest > 0 && rest < life ? rest : life) * 0.75;
    return token;
  }
}

function check(token: string): string {
  if (typeof token === 'string' && TOKEN.test(token)) return token;
  throw invalid('a token is a string of A-Z, a-z, 0-9 and . _ ~ -');
}

/** The error of a refusal: with the code that the other end names, if it has this status, otherwise the usual code. */
export function refusal(status: 401 | 403, reason: string): EdgeSessionError {
  const known = (ERROR_CODES as readonly string[]).includes(reason);
  const common: ErrorCode = status === 401 ? 'TOKEN_INVALID' : 'PERMISSION_DENIED';
  const what = status === 401 ? 'the other end refused the token; connect anew with a fresh one' : 'the other end lets this user not in';
  const named = known ? new EdgeSessionError(reason as ErrorCode, what) : undefined;
  return named?.status === status ? named : new EdgeSessionError(common, what);
}

/** The error when the server takes no more of this session for now; pauses grow as after any failure. */
export function busy(): EdgeSessionError {
  return new EdgeSessionError('RATE_LIMITED', 'the other end takes no more of this session for now: it has too many links there, or asks too much');
}

/** The URL of an address. Throws `ARGUMENT_INVALID`. */
export function toAddress(url: Address, scheme: 'http' | 'ws'): string {
  const text = typeof url === 'string' ? url : url?.href;
  const { URL, location } = platform();
  try {
    const address = new URL(text, location?.href);
    address.hash = '';
    address.protocol = address.protocol.replace(/^(http|ws)(s?:)$/, `${scheme}$2`);
    if (address.protocol === `${scheme}:` || address.protocol === `${scheme}s:`) return address.href;
  } catch {
    // Reported below.
  }
  throw invalid(`the address is a URL that begins with ${scheme}: or ${scheme}s:`);
}
