/**
 * A list of tokens that a replica accepts as one; `src/session/listing.rs` decides what they say together.
 */
/** The length of the longest token. */
export const TOKEN_BYTES_MAX = 1024;
/** The length of the longest list. */
export const LISTING_BYTES_MAX = 4096;
const SIGNED_MAX = 4;

export class Listing {
  readonly tokens: string[] = [];
  #signed = 0;
  #bytes = -1;

  /** Adds a token unconditionally. */
  put(token: string): void {
    this.tokens.push(token);
    this.#bytes += 1 + token.length;
    if (isSigned(token)) this.#signed += 1;
  }

  /** Adds a token if a replica still accepts the list with it; returns whether. */
  add(token: string): boolean {
    if (this.#bytes + 1 + token.length > LISTING_BYTES_MAX || (isSigned(token) && this.#signed >= SIGNED_MAX)) return false;
    this.put(token);
    return true;
  }
}

/** Whether a token is signed, and so identifies its bearer. */
export const isSigned = (token: string): boolean => !token.startsWith('~');

/** The parts of a text between separators, trimmed, without empty ones. */
export function split(text: string, by: string): string[] {
  return text.split(by).map((part) => part.trim()).filter((part) => part !== '');
}
