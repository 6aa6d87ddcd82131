/**
 * A `fetch` that carries a session: each request sends what the session has seen, each response adds to it.
 *
 * Invariants: every response is merged, in whatever order responses arrive; only the allowed origins get the token.
 */
import { EdgeSessionError, invalid } from '../errors.js';
import { optionsOf, textsOrNothing } from '../form.js';
import { TOKEN_HEADER } from '../transport/admit.js';
import type { AbortSignalLike } from '../types/plug.js';
import type { Session } from '../types/session.js';
import { toName } from './carrier.js';
import { split } from './listing.js';
import { Pouch } from './pouch.js';
import { type FetchShape, type PlatformFetch, web } from './web.js';

/** Options of {@link withToken}. */
export interface WithTokenOptions {
  /** The header; `'Edge-Session'` by default. */
  header?: string | undefined;
  /**
   * The origins that get the token, such as `'https://shop.example.com'`; requests to others pass unchanged. The
   * default is the page's own origin in a browser, and every origin elsewhere.
   */
  origins?: readonly string[] | undefined;
}

/**
 * Returns a `fetch` that sends what `session` has seen with each request, and merges what each response says. Parallel
 * responses may arrive in any order; none is lost. A request waits until the session's own writes are durable, and
 * rejects with the session's `reason` if that is refused.
 *
 * Without a session it keeps the tokens itself: a page without a replica of its own still never sees a past that it has
 * left.
 *
 * A response that belongs to another user, after a login, changes nothing here: its header has the token with which to
 * begin the new session.
 *
 * @example
 * ```ts
 * const api = withToken(fetch, session);
 * await api('/cart', { method: 'PUT', body: JSON.stringify(['book']) });
 * const cart = await (await api('/cart')).json(); // has the book, whichever edge answers
 * ```
 */
export function withToken<F extends FetchShape = PlatformFetch>(fetch?: F, session?: Session<any>, options: WithTokenOptions = {}): F {
  if (fetch !== undefined && typeof fetch !== 'function') throw invalid('fetch is a function');
  if (session !== undefined && typeof session?.sealed !== 'function') throw invalid('a session is one of replica.session');
  const { header = TOKEN_HEADER, origins } = optionsOf(options, { header: 1, origins: 1 });
  toName(header, 'header');
  // A string has `includes`, too, and would match parts of origins.
  textsOrNothing(origins, 'origins');
  if (!(origins ?? []).every(isOrigin)) throw invalid("origins are written as 'https://shop.example.com': no path, no slash at the end");
  const pouch = session === undefined ? new Pouch() : ofSession(session);
  const carrying = async (input: any, init?: any) => {
    // Looked up at each use, and bound: a browser's own `fetch` refuses to be called as a method of anything else.
    const send = fetch ?? web().fetch.bind(globalThis);
    if (!isOurs(input, origins)) return send(input, init);
    const headers = new (web().Headers)(init?.headers ?? input?.headers);
    // A header that the caller has set is kept.
    if (headers.has(header)) return send(input, init);
    const tokens = await pouch.take(init?.signal ?? input?.signal);
    if (tokens.length > 0) headers.set(header, tokens.join(','));
    const response = await send(input, { ...init, headers });
    pouch.put(split(response.headers.get(header) ?? '', ','), tokens);
    return response;
  };
  return carrying as F;
}

/** A session in the role of a pouch. */
function ofSession(session: Session<any>): Pick<Pouch, 'take' | 'put'> {
  return {
    take: async (signal?: AbortSignalLike) => {
      const token = await session.sealed(signal ? { signal } : {});
      return token === '~' ? [] : [token];
    },
    put: (tokens) => {
      if (tokens.length === 0) return;
      try {
        session.merge(tokens.join(','));
      } catch (error) {
        // The token of another user, or not a token: not this session's affair. The response itself is still good.
        if (!EdgeSessionError.is(error)) throw error;
      }
    },
  };
}

/** Whether a text is an origin. Any other text would match no request, and no server would get the token. */
function isOrigin(text: string): boolean {
  try {
    return new (web().URL)(text).origin === text;
  } catch {
    return false;
  }
}

function isOurs(input: any, origins: readonly string[] | undefined): boolean {
  const { URL, location } = web();
  const allowed = origins ?? (location && [location.origin]);
  if (allowed === undefined) return true;
  try {
    return allowed.includes(new URL(typeof input === 'object' && 'url' in input ? input.url : String(input), location?.href).origin);
  } catch {
    return false; // fetch reports what is wrong with it.
  }
}
