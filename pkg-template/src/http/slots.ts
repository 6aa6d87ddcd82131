/**
 * Cookies that are merged instead of overwritten, although browsers only overwrite.
 *
 * One cookie, the *identity*, says who the session is; of two responses either will do. What the session has seen is in
 * *slots*: a response that has something to add writes everything that its session has seen into a slot with a unique
 * name, and removes the slots of its request, which it covers. So of any number of responses, in any order, none
 * removes what it does not cover. The next request sends all slots, and its response leaves one.
 *
 * A refused token is *marked* instead of removed: the response may arrive late, when the browser has another token, for
 * instance after a login. The mark is a slot that names that token alone, which is ignored from then on.
 *
 * Invariant: a response removes exactly what its request listed. Nothing here looks into a token.
 */
import type { Carried } from './carrier.js';
import { Listing, isSigned, split } from './listing.js';
import { web } from './web.js';

/** A slot of a request. */
export interface Slot {
  readonly name: string;
  readonly value: string;
}

/** The tokens and slots of a request. */
export interface Brought {
  /** The tokens in the order in which a replica must take them: the first signed one says who the session is. */
  readonly tokens: readonly string[];
  /** The slots among them. */
  readonly slots: readonly Slot[];
  /** The token of the identity cookie, listed or not. */
  readonly identity: string | undefined;
  /** Whether that token is marked as refused. */
  readonly refused: boolean;
  /** All marks, of this token or others. */
  readonly marks: readonly Slot[];
}

/** Reads the header and the cookies of a request. If the header has tokens, the identity cookie is not used. */
export function bring(header: string | null | undefined, cookies: string | null | undefined, { cookie }: Carried): Brought {
  const told = header === null || header === undefined ? [] : split(header, ',');
  const jar = cookie === undefined ? [] : parse(cookies ?? '', cookie.name);
  const identity = jar.find(({ name }) => name === cookie?.name)?.value;
  const marks = jar.filter(({ name, value }) => name !== cookie?.name && value.startsWith(MARK));
  const refused = identity !== undefined && marks.some(({ value }) => value === markOf(identity));
  const listing = new Listing();
  for (const token of told.length > 0 || identity === undefined || refused ? told : [identity]) listing.put(token);
  // If the header identifies the session, a signed slot may be another session's. What does not fit waits for the next
  // request.
  const fits = ({ name, value }: Slot) => name !== cookie?.name && !value.startsWith(MARK) && !(told.length > 0 && isSigned(value)) && listing.add(value);
  const slots = jar.filter(fits);
  return { tokens: listing.tokens, slots, identity, refused, marks };
}

const MARK = '-';
/** The length of a signature's end that identifies it. */
const MARK_LENGTH = 22;

/** The mark of a refused token: the end of its signature. The unsigned rest of a token may be in others, too. */
export function markOf(token: string): string {
  return MARK + token.replace(/~.*/, '').slice(-MARK_LENGTH);
}

/** The name of a mark's slot. It depends only on the token, so that all who refuse a token write the same slot. */
export function markName(cookie: string, token: string): string {
  return `${cookie}-${[...markOf(token).slice(1, 11)].map((char) => (char.charCodeAt(0) & 31).toString(32)).join('').padEnd(10, '0')}`;
}

/** A random name, unique among all responses of all replicas. */
export function slotName(cookie: string): string {
  let name = `${cookie}-`;
  for (const byte of web().crypto.getRandomValues(new Uint8Array(10))) name += (byte & 31).toString(32);
  return name;
}

/** Our cookies, each once. */
function parse(cookies: string, name: string): Slot[] {
  const found = new Map<string, string>();
  for (const pair of split(cookies, ';')) {
    const at = pair.indexOf('=');
    const own = pair.slice(0, Math.max(at, 0)).trim();
    if (own !== name && !(own.startsWith(`${name}-`) && /^[\da-v]{10}$/.test(own.slice(name.length + 1)))) continue;
    const value = pair.slice(at + 1).trim();
    if (value !== '' && !found.has(own)) found.set(own, value);
  }
  return [...found].map(([own, value]) => ({ name: own, value }));
}
