/**
 * Tokens out of requests, and into responses.
 *
 * A token is carried here, never judged: a forged one is refused by the replica that gets it.
 */
import { claims } from '../claims.js';
import { EdgeSessionError, type ErrorCode, invalid } from '../errors.js';
import type { Token } from '../types/data.js';
import { type Carrier, toCarried } from './carrier.js';
import { LISTING_BYTES_MAX, TOKEN_BYTES_MAX, isSigned, split } from './listing.js';
import { refusal } from './refusal.js';
import { type Brought, bring, markName, markOf, slotName } from './slots.js';
import { type HeadersShape, type PlatformResponse, type RequestShape, type ResponseShape, web } from './web.js';

/** Where tokens travel, and the request that is answered: its cookies are what the response replaces. */
export interface Reply extends Carrier {
  /** The request that is answered. Without it no cookie is touched. */
  request?: RequestShape | HeadersShape | undefined;
}

/**
 * The token that a request brings, for `replica.session(token)`: that of the header, or the one of the cookie; with it
 * everything else that the cookies say this browser has seen. `null` where there is none.
 *
 * It may be a listing of several tokens, which a replica takes as one. Nothing is checked here.
 *
 * @example
 * ```ts
 * const session = replica.session({ token: readToken(request), onStale: 'wait', timeout: '200ms' });
 * ```
 */
export function readToken(from: RequestShape | HeadersShape, carrier?: Carrier): Token | null {
  const { tokens } = broughtBy(from, carrier);
  return tokens.length === 0 ? null : (tokens.join(',') as Token);
}

/**
 * Gives a response the token of the session that it was made under: in the header, which pages of other origins may read
 * too, and, where `request` is said, in cookies for navigations. Marks it as this user's own: `Vary`, and `Cache-Control: private`
 * (a `no-store` and a `max-age` of yours stay, a `public` does not; without any word of yours it is revalidated at each use).
 *
 * Answers the response itself, or a copy where its headers cannot be changed.
 *
 * Of parallel responses none overwrites what another one wrote, if each is given its request, and the token of a session
 * that was begun with {@link readToken} of it. Tokens of `session.sealed({ detached: true })` keep that cheap: a hundred
 * bytes a response that is under way. Of others at most four responses at once are joined by the very next request,
 * and the rest by those after it.
 *
 * Throws `TOKEN_INVALID` or `TOKEN_TOO_LARGE` for what is no token; then nothing was changed.
 *
 * @example
 * ```ts
 * const token = await session.sealed({ detached: true });
 * return writeToken(Response.json(cart), token, { request });
 * ```
 */
export function writeToken<R extends ResponseShape>(to: R, token: Token | string, reply: Reply = {}): R {
  const parts = toParts(token);
  const { header, cookie } = toCarried(reply);
  if (typeof to?.headers?.append !== 'function') throw invalid('a token is written to a Response');
  const response = mutable(to);
  const { headers } = response;
  if (header !== undefined) {
    headers.set(header, parts.filter((part) => part !== '~').join(',') || '~');
    addToList(headers, 'Access-Control-Expose-Headers', header);
    addToList(headers, 'Vary', header);
  }
  if (cookie !== undefined) addToList(headers, 'Vary', 'Cookie');
  keepPrivate(headers);
  if (cookie === undefined || reply.request === undefined) return response;

  const { identity, slots, refused, marks } = broughtBy(reply.request, reply);
  const set = (name: string, value: string) => headers.append('Set-Cookie', `${name}=${value}${cookie.attributes}${cookie.maxAge}`);
  const remove = (name: string) => headers.append('Set-Cookie', `${name}=${cookie.attributes}; Max-Age=0`);
  const [signed, ...more] = parts.filter(isSigned);
  if (signed === undefined && identity !== undefined && !refused) remove(cookie.name);
  const renews = signed !== undefined && (refused || !isAsGood(identity, signed, cookie.renewAfter));
  if (renews) set(cookie.name, signed);
  // The mark of a token that stays there stays.
  for (const { name, value } of marks) if (renews || identity === undefined || value !== markOf(identity)) remove(name);
  // What it has seen: apart where it stands apart, else the whole.
  const apart = parts.filter((part) => !isSigned(part));
  const seen = (apart.length > 0 && more.length === 0 ? apart : parts).filter((part) => part !== '~');
  const stands = (value: string) => slots.some((slot) => slot.value === value);
  for (const value of seen) if (!stands(value)) set(slotName(cookie.name), value);
  for (const { name, value } of slots) if (!seen.includes(value)) remove(name);
  return response;
}

/**
 * Takes the cookies of a request's session away: after a logout, or where the session was refused. What the browser has
 * seen is forgotten with it. Answers the response itself, or a copy where its headers cannot be changed.
 *
 * Throws `ARGUMENT_INVALID` without the request: which cookies there are is known by it alone, and they would stay.
 *
 * @example
 * ```ts
 * return clearToken(Response.redirect('/', 303), { request });
 * ```
 */
export function clearToken<R extends ResponseShape>(to: R, reply: Reply & { request: RequestShape | HeadersShape }): R {
  const { cookie } = toCarried(reply);
  if (typeof to?.headers?.append !== 'function') throw invalid('cookies are taken away by a Response');
  if (reply?.request === undefined) throw invalid('clearToken takes the request whose cookies are to go: { request }');
  if (cookie === undefined) return to;
  const { identity, slots, marks } = broughtBy(reply.request, reply);
  const names = [...(identity === undefined ? [] : [cookie.name]), ...[...slots, ...marks].map(({ name }) => name)];
  return withCookies(to, names.map((name) => `${name}=${cookie.attributes}; Max-Age=0`));
}

/**
 * Where the token of a request was refused, a response by which the browser begins anew: without what it has seen, and with a mark on the
 * cookie that says who the session is. That one stays: it may be another by the time at which this response comes.
 */
export function forsake<R extends ResponseShape>(to: R, reply: Reply): R {
  const { cookie } = toCarried(reply);
  if (cookie === undefined || reply.request === undefined) return to;
  const { tokens, identity, slots } = broughtBy(reply.request, reply);
  const gone = slots.map(({ name }) => `${name}=${cookie.attributes}; Max-Age=0`);
  // Not where the header has said who it is, or it is marked already.
  const blamed = identity !== undefined && tokens[0] === identity;
  return withCookies(to, blamed ? [...gone, `${markName(cookie.name, identity)}=${markOf(identity)}${cookie.attributes}${cookie.maxAge}`] : gone);
}

function withCookies<R extends ResponseShape>(to: R, cookies: readonly string[]): R {
  if (cookies.length === 0) return to;
  const response = mutable(to);
  for (const one of cookies) response.headers.append('Set-Cookie', one);
  return response;
}

/** Whether after `code` the same cookies would be refused again, for as long as the browser keeps them. */
export function isRefusal(code: ErrorCode | null): boolean {
  return code === 'TOKEN_INVALID' || code === 'TOKEN_EXPIRED' || code === 'TOKEN_TOO_LARGE' || code === 'SESSION_EXPIRED' || code === 'SESSION_KILLED';
}

/**
 * The response to an error of this package: its `status`, its `code`, and `Retry-After` where the same request may succeed
 * later. Nothing else of it leaves: messages and details stay on the server. Where the token was refused, and `request` is said,
 * its cookies are taken away, so that the browser can begin anew.
 *
 * Throws `error` itself where it is not one of this package: that is for your own handler.
 *
 * @example
 * ```ts
 * try {
 *   return await handle(request);
 * } catch (error) {
 *   return toResponse(error, { request });
 * }
 * ```
 */
export function toResponse(error: unknown, reply: Reply = {}): PlatformResponse {
  if (!EdgeSessionError.is(error)) throw error;
  const response = refusal(error);
  return (isRefusal(error.code) ? forsake(response, reply) : response) as PlatformResponse;
}

function broughtBy(from: RequestShape | HeadersShape, carrier: Carrier | undefined): Brought {
  const carried = toCarried(carrier);
  const headers = (from as RequestShape | undefined)?.headers ?? (from as HeadersShape | undefined);
  if (typeof headers?.get !== 'function') throw invalid('a token is read from a Request, or its Headers');
  return bring(carried.header && headers.get(carried.header), carried.cookie && headers.get('Cookie'), carried);
}

function toParts(token: string): string[] {
  if (typeof token !== 'string' || !/^[\w.~-]+(,[\w.~-]+)*$/.test(token)) throw new EdgeSessionError('TOKEN_INVALID', 'what is to be sent is no token');
  const parts = token.split(',');
  const limit = parts.length > 1 ? LISTING_BYTES_MAX : TOKEN_BYTES_MAX;
  if (token.length <= limit && parts.every((part) => part.length <= TOKEN_BYTES_MAX)) return parts;
  throw new EdgeSessionError('TOKEN_TOO_LARGE', 'what is to be sent is longer than any token', { details: { limit } });
}

/** Whether the cookie that says who the session is may stay: it is this session's, and is not to be renewed yet. */
function isAsGood(cookie: string | undefined, token: string, renewAfter: number): boolean {
  const [there, here] = [claims(cookie), claims(token)];
  if (there === undefined || here === undefined || there.sid !== here.sid) return false;
  if (1000 * (here.iat - there.iat) >= renewAfter) return false;
  return here.exp <= there.exp || Date.now() / 1000 < (there.iat + there.exp) / 2;
}

/** The response, or a copy of it: those of `fetch` and `Response.redirect` cannot be changed. */
function mutable<R extends ResponseShape>(response: R): R {
  try {
    // Changes nothing, and throws where nothing can be changed.
    response.headers.delete('Edge-Session-Probe');
  } catch {
    const { Response } = web();
    return new Response((response as { body?: unknown }).body, response) as unknown as R;
  }
  return response;
}

function addToList(headers: HeadersShape, name: string, value: string): void {
  const there = split(headers.get(name)?.toLowerCase() ?? '', ',');
  if (!there.includes('*') && !there.includes(value.toLowerCase())) headers.append(name, value);
}

/** No cache that others share keeps it; the user's own does if the application has said for how long. */
function keepPrivate(headers: HeadersShape): void {
  const there = split(headers.get('Cache-Control') ?? '', ',');
  if (there.some((one) => /^no-store$/i.test(one))) return;
  const own = there.filter((one) => !/^(public|private|s-maxage=.*)$/i.test(one));
  headers.set('Cache-Control', ['private', ...(own.length === 0 ? ['no-cache'] : own)].join(', '));
}
