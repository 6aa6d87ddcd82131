/**
 * `edge-session/hono`: one session for each request, for servers made with Hono.
 *
 * It imports only types of Hono; the application brings the package.
 */
import { hasContext, runWithSession } from '#context';
import type { Context, MiddlewareHandler } from 'hono';
import { EdgeSessionError, invalid } from '../errors.js';
import { BEGIN, optionsOf } from '../form.js';
import { type Carrier, toCarried } from '../http/carrier.js';
import { type Reply, forsake, isRefusal, readToken, toResponse, writeToken } from '../http/tokens.js';
import type { KeyMap } from '../types/data.js';
import type { Replica } from '../types/replica.js';
import type { Session, SessionInit } from '../types/session.js';

/** What the middleware adds to the context, as `c.var.session`. */
export interface EdgeSessionVariables<M = KeyMap> {
  session: Session<M>;
}

/** Options of {@link edgeSession}: those of each session, and how its token travels. */
export interface EdgeSessionOptions extends Omit<SessionInit, 'token'> {
  /** Where tokens travel. */
  carrier?: Carrier | undefined;
  /**
   * Reports in `Server-Timing` how long it took to begin the session and to seal its token, and, if the request had a
   * token, how many writes this replica lacked at the beginning. Browsers show it with the request. Off by default.
   */
  serverTiming?: boolean | undefined;
}

/**
 * Middleware: begins a session with the token of each request, available as `c.var.session` and `currentSession()`, and
 * sends its token with the response. If the handler throws an error of this package, the response is that of
 * `toResponse`. A handler that logs a user in replaces the session: `c.set('session', replica.session({ user }))`; then
 * that session's token is sent.
 *
 * If the token cannot be sealed (`TIMEOUT`: storage has not stored what the handler wrote), the response is replaced by
 * that error, because without the token the user could see a past that they have left.
 *
 * @example
 * ```ts
 * app.use(edgeSession(replica, { onStale: 'wait', timeout: '200ms', serverTiming: true }));
 * app.get('/cart', async (c) => c.json((await c.var.session.get('cart')) ?? []));
 * ```
 */
export function edgeSession<M = KeyMap>(
  replica: Replica<M> | ((c: Context) => Replica<M> | Promise<Replica<M>>),
  options: EdgeSessionOptions = {},
): MiddlewareHandler<{ Variables: EdgeSessionVariables<M> }> {
  if (typeof replica !== 'function' && typeof replica?.session !== 'function') throw invalid('edgeSession takes a replica, or a function that answers one');
  const { carrier, serverTiming, ...init } = optionsOf(options, { ...BEGIN, carrier: 1, serverTiming: 1 });
  toCarried(carrier);
  return async (c, next) => {
    const reply: Reply = { ...carrier, request: c.req.raw };
    const timing: string[] = [];
    const timed = async <T>(name: string, work: () => T | Promise<T>): Promise<T> => {
      const began = performance.now();
      try {
        return await work();
      } finally {
        timing.push(`${name};dur=${(performance.now() - began).toFixed(1)}`);
      }
    };
    try {
      const session = await timed('session', async () => {
        const here = typeof replica === 'function' ? await replica(c) : replica;
        return here.session({ ...init, token: readToken(c.req.raw, carrier) });
      });
      if (serverTiming && session.resumed) timing.push(`behind;desc="${session.missing().length}"`);
      c.set('session', session);
      // The session is never released here: a streamed response still uses it.
      await (hasContext() ? runWithSession(session, next) : next());
      if (EdgeSessionError.is(c.error)) replace(c, toResponse(c.error, reply));
      const last = c.get('session');
      // A refused session has no token, but a handler that did not use the session may still have answered.
      if (last.reason === null) replace(c, writeToken(c.res, await timed('seal', () => last.sealed({ detached: true })), reply));
      else if (isRefusal(last.reason) && c.error === undefined) replace(c, forsake(c.res, reply));
    } catch (error) {
      replace(c, toResponse(error, reply));
    }
    if (serverTiming) c.res.headers.append('Server-Timing', timing.join(', '));
  };
}

/** Replaces the response. Hono would otherwise copy the headers of the old one. */
function replace(c: Context, response: Response): void {
  if (response === c.res) return;
  c.res = undefined;
  c.res = response;
}
