/**
 * Reads tokens from requests and writes them to responses.
 *
 * Tokens are carried, never verified: the replica that receives a forged one refuses it.
 */
import { claims } from '../claims.js';
import { EdgeSessionError, type ErrorCode, invalid } from '../errors.js';
import type { Token } from '../types/data.js';
import { type Carrier, toCarried } from './carrier.js';
import { LISTING_BYTES_MAX, TOKEN_BYTES_MAX, isSigned, split } from './listing.js';
import { refusal } from './refusal.js';
import { type Brought, bring, markName, markOf, slotName } from './slots.js';
import { type HeadersShape, type PlatformResponse, type RequestShape, type ResponseShape, web } from './web.js';

/** Where tokens travel, and the request that is being answered, whose cookies the response replaces. */
export interface Reply extends Carrier {
  /** The request that is being answered. Without it no cookie is touched. */
  request?: RequestShape | HeadersShape | undefined;
}

/**
 * The token of a request, for `replica.session(token)`: that of the header or of the cookie, with everything else that
 * the cookies say this browser has seen. `null` if there is none.
 *
 * It may be a list of several tokens, which a replica accepts as one. Nothing is verified here.
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
 * Writes the token of its session to a response: in the header, which pages of other origins may read, too, and, if
 * `request` is given, in cookies for navigations. Marks the response as this user's own (`Vary`,
 * `Cache-Control: private`). An existing `no-store` or `max-age` is kept, `public` is not; without any directive the response is
 * revalidated at each use.
 *
 * Returns the response itself, or a copy if its headers cannot be changed.
 *
 * Parallel responses do not overwrite each other, if each is given its request, and the token of a session that was
 * begun with {@link readToken} of that request. Tokens of `session.sealed({ detached: true })` keep that cheap: a
 * hundred bytes for each response under way. With others, the next request merges at most four simultaneous responses,
 * and later requests the rest.
 *
 * Throws `TOKEN_INVALID` or `TOKEN_TOO_LARGE` if `token` is not a token; then nothing was changed.
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
  // The mark of a token that stays in its cookie stays, too.
  for (const { name, value } of marks) if (renews || identity === undefined || value !== markOf(identity)) remove(name);
  // What the session has seen: the unsigned parts if they are separate, otherwise all parts.
  const apart = parts.filter((part) => !isSigned(part));
  const seen = (apart.length > 0 && more.length === 0 ? apart : parts).filter((part) => part !== '~');
  const stands = (value: string) => slots.some((slot) => slot.value === value);
  for (const value of seen) if (!stands(value)) set(slotName(cookie.name), value);
  for (const { name, value } of slots) if (!seen.includes(value)) remove(name);
  return response;
}

/**
 * Removes the session cookies of a request: after a logout, or when the session was refused. With them the browser
 * forgets what it has seen. Returns the response itself, or a copy if its headers cannot be changed.
 *
 * Throws `ARGUMENT_INVALID` without the request: only it tells which cookies there are.
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
 * Lets a browser begin anew after the token of its request was refused: removes what it has seen, and marks the token
 * of the identity cookie as refused. That cookie itself stays: it may hold another token when this response arrives.
 */
export function forsake<R extends ResponseShape>(to: R, reply: Reply): R {
  const { cookie } = toCarried(reply);
  if (cookie === undefined || reply.request === undefined) return to;
  const { tokens, identity, slots } = broughtBy(reply.request, reply);
  const gone = slots.map(({ name }) => `${name}=${cookie.attributes}; Max-Age=0`);
  // Not if the token came from the header, or is marked already.
  const blamed = identity !== undefined && tokens[0] === identity;
  return withCookies(to, blamed ? [...gone, `${markName(cookie.name, identity)}=${markOf(identity)}${cookie.attributes}${cookie.maxAge}`] : gone);
}

function withCookies<R extends ResponseShape>(to: R, cookies: readonly string[]): R {
  if (cookies.length === 0) return to;
  const response = mutable(to);
  for (const one of cookies) response.headers.append('Set-Cookie', one);
  return response;
}

/** Whether an error of this code would recur with the same cookies, for as long as the browser keeps them. */
export function isRefusal(code: ErrorCode | null): boolean {
  return code === 'TOKEN_INVALID' || code === 'TOKEN_EXPIRED' || code === 'TOKEN_TOO_LARGE' || code === 'SESSION_EXPIRED' || code === 'SESSION_KILLED';
}

/**
 * The response for an error of this package: its `status`, its `code`, and `Retry-After` if the same request may
 * succeed later. Messages and details stay on the server. If the token was refused and `request` is given, the browser
 * begins anew: the slots of its cookies are removed, and the refused token is marked.
 *
 * Throws `error` itself if it is not one of this package, for your own handler.
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

/** Whether the identity cookie may stay: it belongs to this session and need not be renewed yet. */
function isAsGood(cookie: string | undefined, token: string, renewAfter: number): boolean {
  const [there, here] = [claims(cookie), claims(token)];
  if (there === undefined || here === undefined || there.sid !== here.sid) return false;
  if (1000 * (here.iat - there.iat) >= renewAfter) return false;
  return here.exp <= there.exp || Date.now() / 1000 < (there.iat + there.exp) / 2;
}

/** The response, or a copy if its headers are immutable, as with those of `fetch` and `Response.redirect`. */
function mutable<R extends ResponseShape>(response: R): R {
  try {
    // Has no effect, and throws if the headers are immutable.
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

/** Keeps shared caches from storing the response. The user's own cache may, if the application has set a lifetime. */
function keepPrivate(headers: HeadersShape): void {
  const there = split(headers.get('Cache-Control') ?? '', ',');
  if (there.some((one) => /^no-store$/i.test(one))) return;
  const own = there.filter((one) => !/^(public|private|s-maxage=.*)$/i.test(one));
  headers.set('Cache-Control', ['private', ...(own.length === 0 ? ['no-cache'] : own)].join(', '));
}
