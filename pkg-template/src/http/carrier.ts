/**
 * Where tokens travel in HTTP: the names and attributes of the header and of the cookies.
 */
import { milliseconds } from '../duration.js';
import { invalid } from '../errors.js';
import { type Names, optionsOf } from '../form.js';
import type { Duration } from '../types/data.js';
import { TOKEN_HEADER } from '../transport/admit.js';

/** How cookies are set. All of them are `Secure`, `HttpOnly` and have the path `/`. */
export interface CookieOptions {
  /** The common beginning of their names; `'__Host-edge-session'` by default. */
  name?: string | undefined;
  /** How long a browser keeps them; until it is closed by default. */
  maxAge?: Duration | undefined;
  /** `'lax'` by default. With `'none'` the application needs its own protection against forged requests. */
  sameSite?: 'lax' | 'strict' | 'none' | undefined;
  /** A separate jar for each site that embeds yours (CHIPS). */
  partitioned?: boolean | undefined;
  /**
   * The age at which the identity cookie is renewed; half of its token's life by default. If sessions have an
   * `idleTimeout`, a third of that is right: a replica that knows of no use since, as after a restart, relies on this
   * cookie.
   */
  renewAfter?: Duration | undefined;
}

/** Where tokens travel. */
export interface Carrier {
  /** The header; `'Edge-Session'` by default, none if `false`. */
  header?: string | false | undefined;
  /** The cookies, given by the beginning of their names or by options; none if `false`. */
  cookie?: string | false | CookieOptions | undefined;
}

export interface Carried {
  readonly header: string | undefined;
  readonly cookie: { readonly name: string; readonly attributes: string; readonly maxAge: string; readonly renewAfter: number } | undefined;
}

// A `Reply` is checked as a carrier, too.
const CARRIER: Names<Carrier & { request: unknown }> = { header: 1, cookie: 1, request: 1 };
const COOKIE_OPTIONS: Names<CookieOptions> = { name: 1, maxAge: 1, sameSite: 1, partitioned: 1, renewAfter: 1 };
const COOKIE = '__Host-edge-session';
// The characters of a header's or cookie's name (RFC 9110, section 5.6.2).
const NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const SAME_SITE = { lax: 'Lax', strict: 'Strict', none: 'None' } as const;

/** The carrier's names and attributes. Throws `ARGUMENT_INVALID`, naming the option. */
export function toCarried(carrier?: Carrier): Carried {
  const { header = TOKEN_HEADER, cookie = {} } = optionsOf(carrier, CARRIER, 'a carrier');
  return {
    header: header === false ? undefined : toName(header, 'header'),
    cookie: cookie === false ? undefined : toCookie(typeof cookie === 'string' ? { name: cookie } : cookie),
  };
}

function toCookie(options: CookieOptions): NonNullable<Carried['cookie']> {
  const { name = COOKIE, maxAge, sameSite = 'lax', partitioned, renewAfter } = optionsOf(options, COOKIE_OPTIONS, 'cookie');
  if (!Object.hasOwn(SAME_SITE, sameSite)) throw invalid("cookie.sameSite is 'lax', 'strict' or 'none'");
  return {
    name: toName(name, 'cookie.name'),
    attributes: `; Path=/; Secure; HttpOnly; SameSite=${SAME_SITE[sameSite]}${partitioned ? '; Partitioned' : ''}`,
    maxAge: maxAge === undefined ? '' : `; Max-Age=${Math.floor(milliseconds(maxAge, 'cookie.maxAge') / 1000)}`,
    renewAfter: renewAfter === undefined ? Infinity : milliseconds(renewAfter, 'cookie.renewAfter'),
  };
}

/** The name of a header or cookie. Throws `ARGUMENT_INVALID`. */
export function toName(name: unknown, option: string): string {
  if (typeof name === 'string' && NAME.test(name)) return name;
  throw invalid(`${option} is a name of letters, digits, - and _`);
}
