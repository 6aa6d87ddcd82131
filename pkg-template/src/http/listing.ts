/**
 * Tokens in a row, as many as a replica takes as one; see `src/session/listing.rs`, which decides what they say together.
 */
/** The longest token. */
export const TOKEN_BYTES_MAX = 1024;
/** The most of them together. */
export const LISTING_BYTES_MAX = 4096;
const SIGNED_MAX = 4;

export class Listing {
  readonly tokens: string[] = [];
  #signed = 0;
  #bytes = -1;

  /** Adds a token whatever there is already. */
  put(token: string): void {
    this.tokens.push(token);
    this.#bytes += 1 + token.length;
    if (isSigned(token)) this.#signed += 1;
  }

  /** Adds a token if a replica will still take the whole; answers whether. */
  add(token: string): boolean {
    if (this.#bytes + 1 + token.length > LISTING_BYTES_MAX || (isSigned(token) && this.#signed >= SIGNED_MAX)) return false;
    this.put(token);
    return true;
  }
}

/** Whether a token says who its bearer is. */
export const isSigned = (token: string): boolean => !token.startsWith('~');

/** What stands in a row with `by` between. */
export function split(text: string, by: string): string[] {
  return text.split(by).map((part) => part.trim()).filter((part) => part !== '');
}
