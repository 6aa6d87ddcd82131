/**
 * `fetch` that carries a session: each request says what the session has seen, each response adds to it.
 *
 * Invariants: what a response says is joined, whatever the order in which responses come; no other origin gets the token.
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
  /** The header; `'Edge-Session'` unless said otherwise. */
  header?: string | undefined;
  /**
   * The origins that get the token, such as `'https://shop.example.com'`; requests to others pass unchanged. Unless said otherwise
   * the page's own origin in a browser, and every origin elsewhere.
   */
  origins?: readonly string[] | undefined;
}

/**
 * A `fetch` that sends what `session` has seen with each request, and joins what each response says; of parallel responses
 * in any order none is lost. A request waits until the session's own writes are durable, and rejects with the session's
 * `reason` where it is refused.
 *
 * Without a session it keeps the tokens itself: a page that needs no replica of its own still never sees a past that it has
 * left.
 *
 * A response that belongs to another user, after a login, changes nothing here: its header says with which token to begin the
 * new session.
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
  // A text would be looked for an origin in, and hold parts of others.
  textsOrNothing(origins, 'origins');
  if (!(origins ?? []).every(isOrigin)) throw invalid("origins are written as 'https://shop.example.com': no path, no slash at the end");
  const pouch = session === undefined ? new Pouch() : ofSession(session);
  const carrying = async (input: any, init?: any) => {
    // Looked up when it is used: called as a method of anything else, a browser's own refuses.
    const send = fetch ?? web().fetch.bind(globalThis);
    if (!isOurs(input, origins)) return send(input, init);
    const headers = new (web().Headers)(init?.headers ?? input?.headers);
    // What the caller says stands.
    if (headers.has(header)) return send(input, init);
    const tokens = await pouch.take(init?.signal ?? input?.signal);
    if (tokens.length > 0) headers.set(header, tokens.join(','));
    const response = await send(input, { ...init, headers });
    pouch.put(split(response.headers.get(header) ?? '', ','), tokens);
    return response;
  };
  return carrying as F;
}

/** A session in the place of a pouch. */
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
        // Another user's, or none of a replica's: not this session's affair. What was answered, was answered.
        if (!EdgeSessionError.is(error)) throw error;
      }
    },
  };
}

/** Whether a text is the origin of an address: another would be that of none, and nobody be sent the token. */
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
    return false; // fetch says what is wrong with it.
  }
}
