/**
 * The tokens of a client that has no replica to join them: it lists them, and a replica answers with one that stands for all.
 *
 * Invariant: a token goes only when a response has come whose request had listed it. So parallel responses, in any order, take
 * nothing away that they do not know. Only tokens of one user are kept: a response that changes the user is believed if
 * its request was the present user's, and otherwise is late.
 */
import { claims } from '../claims.js';
import { Listing, isSigned } from './listing.js';

export class Pouch {
  #tokens = new Set<string>();
  #user: unknown;

  /** What to send: as many as a replica takes as one. The user's own come first; what does not fit goes with later requests. */
  async take(_signal?: unknown): Promise<readonly string[]> {
    const own = (token: string) => (isSigned(token) ? Number(claims(token)?.sub !== this.#user) : 2);
    const listing = new Listing();
    for (const token of [...this.#tokens].sort((a, b) => own(a) - own(b))) listing.add(token);
    return listing.tokens;
  }

  /** A response has come to a request that had `sent`. */
  put(tokens: readonly string[], sent: readonly string[]): void {
    if (tokens.length === 0) return;
    for (const token of sent) this.#tokens.delete(token);
    const user = userOf(tokens);
    const asked = userOf(sent);
    if (asked === this.#user) this.#user = user;
    for (const token of [...this.#tokens, ...tokens]) {
      const of = claims(token)?.sub;
      // What nobody's session has seen goes with whoever logs in.
      if (of === undefined || of === this.#user) this.#tokens.add(token);
      else this.#tokens.delete(token);
    }
  }
}

/** Whose the first signed token is. */
function userOf(tokens: readonly string[]): unknown {
  return claims(tokens.find(isSigned))?.sub;
}
