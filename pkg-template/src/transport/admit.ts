/**
 * Who may join a replica that serves others: the token that comes with a request, and whether the replica's key has signed it.
 *
 * Invariant: an unsigned token proves nothing, whatever it says.
 */
import { dispose } from '../platform.js';
import type { Replica } from '../types/replica.js';
import { SUBPROTOCOL, TOKEN_PREFIX } from './socket.js';

/** The media type of a message, and the header in which a token travels. */
export const CONTENT_TYPE = 'application/vnd.edge-session';
export const TOKEN_HEADER = 'Edge-Session';

/** What the header `Sec-WebSocket-Protocol` of a request offers: whether it is ours, and the token that it carries. */
export function offered(protocols: string | null | undefined): { known: boolean; token: string | null } {
  const list = (protocols ?? '').split(',').map((protocol) => protocol.trim());
  const token = list.find((protocol) => protocol.startsWith(TOKEN_PREFIX));
  return { known: list.includes(SUBPROTOCOL), token: token?.slice(TOKEN_PREFIX.length) ?? null };
}

/** Whether one of the tokens (a header may list several) is signed by a key of `replica` and neither expired nor refused. */
export function admits(replica: Replica<any>, tokens: string | null | undefined): boolean {
  return (tokens ?? '').split(',').some((token) => verifies(replica, token.trim()));
}

function verifies(replica: Replica<any>, token: string): boolean {
  if (token === '') return false;
  try {
    if (!replica.inspectToken(token).signed) return false;
    const session = replica.session(token);
    try {
      return session.resumed && session.reason === null;
    } finally {
      session[dispose]();
    }
  } catch {
    return false; // No token at all.
  }
}
