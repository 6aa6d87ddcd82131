/**
 * The server's side of the sync protocol, on any platform: what its requests look like, who may join, and how others
 * are refused.
 *
 * Invariant: an unsigned token proves nothing, whatever it claims. Requests are known by their headers only.
 */
import { EdgeSessionError } from '../errors.js';
import type { Replica } from '../types/replica.js';
import { SUBPROTOCOL, TOKEN_PREFIX } from './socket.js';

/** The media type of a message, and the header that carries a token. */
export const CONTENT_TYPE = 'application/vnd.edge-session';
export const TOKEN_HEADER = 'Edge-Session';
/** The default limit of a message in bytes. Each connection may send one at once, so it is also what each may cost. */
export const MESSAGE_BYTES = 4 << 20;

/** The body of the answer to any other request, whose status is 426. */
export const NOT_SYNC = `This is a replica of edge-session: it takes WebSockets of the subprotocol edge-session.v1, and POST of ${CONTENT_TYPE}.\n`;

/** Whether `pathname` is `path` or lies below it. */
export function below(pathname: string, path: string): boolean {
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
}

/** Whether the header `Content-Type` of a request says that its body is a message. */
export function isMessage(contentType: string | null | undefined): boolean {
  return contentType?.split(';')[0]?.trim() === CONTENT_TYPE;
}

/** Parses the header `Sec-WebSocket-Protocol`: whether it offers our subprotocol, and the token that it carries. */
export function offered(protocols: string | null | undefined): { known: boolean; token: string | null } {
  const list = (protocols ?? '').split(',').map((protocol) => protocol.trim());
  const token = list.find((protocol) => protocol.startsWith(TOKEN_PREFIX));
  return { known: list.includes(SUBPROTOCOL), token: token?.slice(TOKEN_PREFIX.length) ?? null };
}

/** Whether `replica` holds a key and can therefore verify tokens. Without one it admits everybody. */
export function guarded(replica: Replica<any>): boolean {
  return replica.admits('') !== undefined;
}

/** Whether `tokens` (a header may list several) are signed by a key of `replica` and neither expired nor refused. */
export function admits(replica: Replica<any>, tokens: string | null | undefined): boolean {
  return replica.admits(tokens ?? '') === true;
}

/**
 * The answer of a server's `authorize`: no; yes, but without a token it must prove the secret; yes, without a proof.
 */
export type Verdict = boolean | 'trusted';

/** The error for a request without an acceptable token. */
export function unadmitted(): EdgeSessionError {
  return new EdgeSessionError('TOKEN_INVALID', 'joining this replica takes a token that its key has signed');
}

/** The error for a message longer than `limit` bytes. */
export function tooLong(limit: number): EdgeSessionError {
  return new EdgeSessionError('VALUE_TOO_LARGE', `a message has at most ${limit} bytes`, { details: { limit } });
}
