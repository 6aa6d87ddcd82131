/**
 * What transports share that connect anew by themselves: pauses, tokens, and what a refusal means.
 *
 * Invariants: many who lost one server do not come back at one moment (jitter), and who is refused does not come back with the
 * same token. An attempt that may succeed now (the network is back, a page was restored) ends the pause.
 */
import { claims } from '../claims.js';
import { ERROR_CODES, EdgeSessionError, type ErrorCode, invalid } from '../errors.js';
import { type Timer, platform, timer } from '../platform.js';
import type { AbortSignalLike } from '../types/plug.js';

/**
 * A token, or where to get one: asked before each connection, and again when three quarters of the token's time are over, so that
 * a later one takes its place before it ends.
 */
export type TokenSource = string | (() => string | null | undefined | Promise<string | null | undefined>);

/** Where a server is: text, or an object such as `URL`. */
export type Address = string | { readonly href: string };

const FIRST_PAUSE = 500;
// However short a token lives, no later one is asked for more often.
const SOONEST = 1_000;
// A token is sent as part of a header, and in a list of subprotocols.
const TOKEN = /^[\w.~-]{1,16384}$/;

/** The pauses of one opening: each about twice as long as the one before, up to `longest` milliseconds. */
export class Pauses {
  readonly #longest: number;
  readonly #hold: boolean;
  #wake: (() => void) | undefined;
  #over = false;

  /** `hold`: whether a process stays alive for the sake of a pause. */
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

  /** Rests before the attempt that follows so many failures, half of the time by chance; not at all before the first. */
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

/** One opening's dealings with the guard at the other end. */
export class Pass {
  readonly #source: TokenSource | undefined;
  /** Whether the replica comes without a token, because it proves itself. */
  readonly proves: boolean;
  #token: string | undefined;
  #refused: { readonly token: string | undefined } | undefined;
  /** A later token than the one in hand. */
  #later: string | undefined;
  #renewing: Promise<boolean> | undefined;
  /** When to ask for a later one. */
  #due = Number.POSITIVE_INFINITY;

  constructor(source: TokenSource | undefined, keyed = false) {
    this.proves = source === undefined && keyed;
    if (source !== undefined && typeof source !== 'function') check(source);
    this.#source = source;
  }

  /** Asks for the token to come with. Undefined without one. */
  async ask(): Promise<string | undefined> {
    const later = this.#later;
    this.#later = undefined;
    return this.#hold(later ?? (await this.#get()));
  }

  /** The milliseconds until {@link renew} is due; undefined where it never is: nobody else is to be asked, or the token does not say. */
  get due(): number | undefined {
    return this.#due === Number.POSITIVE_INFINITY ? undefined : Math.max(this.#due - Date.now(), SOONEST);
  }

  /** Asks for a later token, for the next connection. Whether there is one; where not, it is due again when half of the rest is over. */
  async renew(): Promise<boolean> {
    const end = claims(this.#token)?.exp ?? 0;
    const token = await this.#get().catch(() => undefined);
    if ((claims(token)?.exp ?? 0) > end) this.#later = token;
    const rest = end * 1000 - Date.now();
    this.#due = this.#later === undefined && rest > 0 ? Date.now() + rest / 2 : Number.POSITIVE_INFINITY;
    return this.#later !== undefined;
  }

  /**
   * The token for one more request: a later one than in hand, where that is due and there is one. As long as the one in hand is good
   * nobody waits for it.
   */
  async fresh(): Promise<string | undefined> {
    if (this.#due <= Date.now()) {
      this.#renewing ??= this.renew().finally(() => (this.#renewing = undefined));
      if ((claims(this.#token)?.exp ?? 0) * 1000 <= Date.now()) await this.#renewing;
    }
    return this.#later === undefined ? this.#token : this.ask();
  }

  /** Whether the token in hand is the one that was refused: then there is no use in coming. Keys may change. */
  get stale(): boolean {
    return !this.proves && this.#refused !== undefined && this.#refused.token === this.#token;
  }

  /** Whether there may be another token some day, or what was refused is no token. */
  get renewable(): boolean {
    return this.proves || typeof this.#source === 'function';
  }

  /** Whether the token was refused, and none since was taken. */
  get refused(): boolean {
    return this.#refused !== undefined;
  }

  /** The token in hand was refused. True where it is worth to ask for another one at once: the first time. */
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
    // Where the clock here is wrong, the token is as good as new: it has just been got.
    const [life, rest] = [(exp - iat) * 1000, exp * 1000 - Date.now()];
    this.#due = Date.now() + (rest > 0 && rest < life ? rest : life) * 0.75;
    return token;
  }
}

function check(token: string): string {
  if (typeof token === 'string' && TOKEN.test(token)) return token;
  throw invalid('a token is a string of A-Z, a-z, 0-9 and . _ ~ -');
}

/** The error of a refusal: the code that the other end names as its reason, if it is one of that kind, or the common one. */
export function refusal(status: 401 | 403, reason: string): EdgeSessionError {
  const known = (ERROR_CODES as readonly string[]).includes(reason);
  const common: ErrorCode = status === 401 ? 'TOKEN_INVALID' : 'PERMISSION_DENIED';
  const what = status === 401 ? 'the other end refused the token; connect anew with a fresh one' : 'the other end lets this user not in';
  const named = known ? new EdgeSessionError(reason as ErrorCode, what) : undefined;
  return named?.status === status ? named : new EdgeSessionError(common, what);
}

/** The error of a server that has enough of this session for now; pauses grow as after any failure. */
export function busy(): EdgeSessionError {
  return new EdgeSessionError('RATE_LIMITED', 'the other end takes no more of this session for now: it has too many links there, or asks too much');
}

/** A string or an object such as `URL` as an address, or how to get one. Throws `ARGUMENT_INVALID`. */
export function toAddress(url: Address, scheme: 'http' | 'ws'): string {
  const text = typeof url === 'string' ? url : url?.href;
  const { URL, location } = platform();
  try {
    const address = new URL(text, location?.href);
    address.hash = '';
    address.protocol = address.protocol.replace(/^(http|ws)(s?:)$/, `${scheme}$2`);
    if (address.protocol === `${scheme}:` || address.protocol === `${scheme}s:`) return address.href;
  } catch {
    // Told below.
  }
  throw invalid(`the address is a URL that begins with ${scheme}: or ${scheme}s:`);
}
