/**
 * Where tokens travel in HTTP: the names and attributes of the header and of the cookies.
 */
import { milliseconds } from '../duration.js';
import { invalid } from '../errors.js';
import { type Names, optionsOf } from '../form.js';
import type { Duration } from '../types/data.js';
import { TOKEN_HEADER } from '../transport/admit.js';

/** How cookies are set. All of them are `Secure`, `HttpOnly` and of the path `/`. */
export interface CookieOptions {
  /** The name that all of them begin with; `'__Host-edge-session'` unless said otherwise. */
  name?: string | undefined;
  /** How long a browser keeps them; unless said otherwise until it is closed. */
  maxAge?: Duration | undefined;
  /** `'lax'` unless said otherwise. With `'none'` your own defence against forged requests is needed. */
  sameSite?: 'lax' | 'strict' | 'none' | undefined;
  /** One jar for each site that embeds yours (CHIPS). */
  partitioned?: boolean | undefined;
  /**
   * How old the cookie that says who the session is may become; unless said otherwise half of its token's life. Where sessions have an
   * `idleTimeout`, say a third of that: a replica that has heard of no use since, as after a restart, goes by this cookie.
   */
  renewAfter?: Duration | undefined;
}

/** Where tokens travel. */
export interface Carrier {
  /** The header; `'Edge-Session'` unless said otherwise, none where `false`. */
  header?: string | false | undefined;
  /** The cookies, by the name that all of them begin with or by their options; none where `false`. */
  cookie?: string | false | CookieOptions | undefined;
}

export interface Carried {
  readonly header: string | undefined;
  readonly cookie: { readonly name: string; readonly attributes: string; readonly maxAge: string; readonly renewAfter: number } | undefined;
}

// A reply is one, too.
const CARRIER: Names<Carrier & { request: unknown }> = { header: 1, cookie: 1, request: 1 };
const COOKIE_OPTIONS: Names<CookieOptions> = { name: 1, maxAge: 1, sameSite: 1, partitioned: 1, renewAfter: 1 };
const COOKIE = '__Host-edge-session';
// What a header's or cookie's name may consist of (RFC 9110, section 5.6.2).
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
