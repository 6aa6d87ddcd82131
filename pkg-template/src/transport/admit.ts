/**
 * The server's side of the sync protocol, wherever the server runs: what a request of it looks like, who may join, and what is
 * answered to whom does not.
 *
 * Invariant: an unsigned token proves nothing, whatever it says. It knows requests by their headers alone.
 */
import { EdgeSessionError } from '../errors.js';
import type { Replica } from '../types/replica.js';
import { SUBPROTOCOL, TOKEN_PREFIX } from './socket.js';

/** The media type of a message, and the header in which a token travels. */
export const CONTENT_TYPE = 'application/vnd.edge-session';
export const TOKEN_HEADER = 'Edge-Session';
/** What the longest message has, unless said otherwise. Each connection may bring one at once, so it is also what each may cost. */
export const MESSAGE_BYTES = 4 << 20;

/** What a request of another kind is answered, with the status 426. */
export const NOT_SYNC = `This is a replica of edge-session: it takes WebSockets of the subprotocol edge-session.v1, and POST of ${CONTENT_TYPE}.\n`;

/** Whether a request to `pathname` is the affair of who serves `path`: that, and what lies below it. */
export function below(pathname: string, path: string): boolean {
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
}

/** Whether the header `Content-Type` of a request says that its body is a message. */
export function isMessage(contentType: string | null | undefined): boolean {
  return contentType?.split(';')[0]?.trim() === CONTENT_TYPE;
}

/** What the header `Sec-WebSocket-Protocol` of a request offers: whether it is ours, and the token that it carries. */
export function offered(protocols: string | null | undefined): { known: boolean; token: string | null } {
  const list = (protocols ?? '').split(',').map((protocol) => protocol.trim());
  const token = list.find((protocol) => protocol.startsWith(TOKEN_PREFIX));
  return { known: list.includes(SUBPROTOCOL), token: token?.slice(TOKEN_PREFIX.length) ?? null };
}

/** Whether `replica` holds a key, and so can tell who comes. Without one it lets everybody in. */
export function guarded(replica: Replica<any>): boolean {
  return replica.admits('') !== undefined;
}

/** Whether `tokens` (a header may list several) are signed by a key of `replica` and neither expired nor refused. */
export function admits(replica: Replica<any>, tokens: string | null | undefined): boolean {
  return replica.admits(tokens ?? '') === true;
}

/** What a server's `authorize` says: no; yes, and let it prove itself where it has no token; yes, and I vouch for it. */
export type Verdict = boolean | 'trusted';

/** What a request is answered that came without a token that serves. */
export function unadmitted(): EdgeSessionError {
  return new EdgeSessionError('TOKEN_INVALID', 'joining this replica takes a token that its key has signed');
}

/** What a message is answered that is longer than `limit` bytes. */
export function tooLong(limit: number): EdgeSessionError {
  return new EdgeSessionError('VALUE_TOO_LARGE', `a message has at most ${limit} bytes`, { details: { limit } });
}
