/**
 * Cookies that are joined and never overwritten, though a browser knows nothing but overwriting.
 *
 * One cookie says who the session is: of two responses either will do. What the session has seen stands in *slots*: each
 * response that has something to add writes all that its session has seen into a slot with a name of its own, and takes
 * away those slots that its request had brought, which it covers. So of any number of responses, in any order, none takes
 * away what it does not know. The next request brings all slots, and its response leaves one.
 *
 * A token that was refused is *marked* and not taken away: the response may come late, and the browser have been given another one
 * since, by a login for instance. The mark, a slot too, names that token alone, which counts as not there from then on.
 *
 * Invariant: a response takes away exactly what its request listed. Nothing here looks into a token.
 */
import type { Carried } from './carrier.js';
import { Listing, isSigned, split } from './listing.js';
import { web } from './web.js';

/** A slot that a request has brought. */
export interface Slot {
  readonly name: string;
  readonly value: string;
}

/** What a request has brought. */
export interface Brought {
  /** The tokens, in the order in which a replica is to take them: the first signed one says who it is. */
  readonly tokens: readonly string[];
  /** The slots among them. */
  readonly slots: readonly Slot[];
  /** The token of the cookie that says who the session is, listed or not. */
  readonly identity: string | undefined;
  /** Whether that was refused before. */
  readonly refused: boolean;
  /** The slots that say so of a token, of this one or another. */
  readonly marks: readonly Slot[];
}

/** What a request has brought in header and cookies; what the header says goes before the cookie. */
export function bring(header: string | null | undefined, cookies: string | null | undefined, { cookie }: Carried): Brought {
  const told = header === null || header === undefined ? [] : split(header, ',');
  const jar = cookie === undefined ? [] : parse(cookies ?? '', cookie.name);
  const identity = jar.find(({ name }) => name === cookie?.name)?.value;
  const marks = jar.filter(({ name, value }) => name !== cookie?.name && value.startsWith(MARK));
  const refused = identity !== undefined && marks.some(({ value }) => value === markOf(identity));
  const listing = new Listing();
  for (const token of told.length > 0 || identity === undefined || refused ? told : [identity]) listing.put(token);
  // Where the header says who it is, a signed slot may be another's. What does not fit any more waits for the next request.
  const fits = ({ name, value }: Slot) => name !== cookie?.name && !value.startsWith(MARK) && !(told.length > 0 && isSigned(value)) && listing.add(value);
  const slots = jar.filter(fits);
  return { tokens: listing.tokens, slots, identity, refused, marks };
}

const MARK = '-';
/** So much of a signature is like no other. */
const MARK_LENGTH = 22;

/** What says that a token was refused: the end of its signature. What follows that may be in others too. */
export function markOf(token: string): string {
  return MARK + token.replace(/~.*/, '').slice(-MARK_LENGTH);
}

/** The name of the slot in which it stands: all who refuse a token write the same one. */
export function markName(cookie: string, token: string): string {
  return `${cookie}-${[...markOf(token).slice(1, 11)].map((char) => (char.charCodeAt(0) & 31).toString(32)).join('').padEnd(10, '0')}`;
}

/** A name that no other response of any replica writes. */
export function slotName(cookie: string): string {
  let name = `${cookie}-`;
  for (const byte of web().crypto.getRandomValues(new Uint8Array(10))) name += (byte & 31).toString(32);
  return name;
}

/** The cookies that are ours, each once. */
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
