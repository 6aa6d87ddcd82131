/**
 * The tokens of a client without a replica that could merge them: it lists them, and a replica answers with one token
 * that stands for all.
 *
 * Invariants:
 * - A token is removed only by the response to a request that had listed it. So parallel responses, in any order,
 *   remove nothing that they do not cover.
 * - All tokens belong to one user. A response that changes the user is accepted if its request was the present user's;
 *   otherwise it is late.
 */
import { claims } from '../claims.js';
import { Listing, isSigned } from './listing.js';

export class Pouch {
  #tokens = new Set<string>();
  #user: unknown;

  /**
   * The tokens to send, as many as a replica accepts as one. The user's own come first; the rest goes with later
   * requests.
   */
  async take(_signal?: unknown): Promise<readonly string[]> {
    const own = (token: string) => (isSigned(token) ? Number(claims(token)?.sub !== this.#user) : 2);
    const listing = new Listing();
    for (const token of [...this.#tokens].sort((a, b) => own(a) - own(b))) listing.add(token);
    return listing.tokens;
  }

  /** Takes the tokens of a response to a request that had sent `sent`. */
  put(tokens: readonly string[], sent: readonly string[]): void {
    if (tokens.length === 0) return;
    for (const token of sent) this.#tokens.delete(token);
    const user = userOf(tokens);
    const asked = userOf(sent);
    if (asked === this.#user) this.#user = user;
    for (const token of [...this.#tokens, ...tokens]) {
      const of = claims(token)?.sub;
      // Tokens without a user are kept after a login.
      if (of === undefined || of === this.#user) this.#tokens.add(token);
      else this.#tokens.delete(token);
    }
  }
}

/** The user of the first signed token. */
function userOf(tokens: readonly string[]): unknown {
  return claims(tokens.find(isSigned))?.sub;
}
