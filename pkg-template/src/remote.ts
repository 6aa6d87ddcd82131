/**
 * Reads of spaces that this replica does not hold: another replica of the cluster carries them out under the session's
 * token.
 *
 * Invariant: what was read is merged into the session before the caller gets it, so its guarantees also hold for remote
 * reads. The session's identity and space do not change. Values travel in their crossing form, as text.
 */
import type { RawRange } from './binding.js';
import { ask, callerOf } from './calls.js';
import { EdgeSessionError, invalid } from './errors.js';
import { optionsOf } from './form.js';
import type { Handle } from './handle.js';
import { dispose } from './platform.js';
import type { ReplicaHandle } from './replica.js';
import { PATIENCE, RANGE, toKey, toRange } from './terms.js';
import type { Entry, Key, KeyRange } from './types/data.js';
import type { QueryOptions } from './types/service.js';
import type { Elsewhere, RemoteReads, Session } from './types/session.js';
import { encode, type Handing, toEntry, wellFormed } from './value.js';

const ELSEWHERE = { ...PATIENCE, space: 1 } as const;
const LIST = { ...RANGE, ...ELSEWHERE };
/** The most entries that are read: an answer of 256 KiB has no room for more. */
const ENTRIES_MAX = 4_096;

/** An entry as JSON. The bytes of a binary value are characters up to U+00FF. */
interface Sent {
  readonly key: string;
  readonly kind: 0 | 1 | 2;
  readonly value: string;
  readonly version: string;
  readonly expiresAt: number | null;
}

/** The answer of a read, and a token of what it has seen. */
export interface Read {
  readonly entries: readonly Sent[];
  readonly token: string;
}

export class RemoteHandle<M> implements RemoteReads<M> {
  readonly #handle: Handle;
  readonly #session: Session<M>;

  constructor(handle: Handle, session: Session<M>) {
    this.#handle = handle;
    this.#session = session;
  }

  async get<K extends Key<M>>(key: K, options?: Elsewhere): Promise<M[K] | undefined> {
    return (await this.entry(key, options))?.value;
  }

  async entry<K extends Key<M>>(key: K, options?: Elsewhere): Promise<Entry<K, M[K]> | undefined> {
    const [found] = await this.#ask<K>('entry', toKey(key), optionsOf(options, ELSEWHERE));
    return found;
  }

  async list<K extends Key<M>>(range: KeyRange & Elsewhere = {}): Promise<Entry<K, M[K]>[]> {
    return this.#ask<K>('list', JSON.stringify(toRange(range, LIST)), range);
  }

  async #ask<K extends Key<M>>(method: string, what: string, options: Elsewhere): Promise<Entry<K, M[K]>[]> {
    const { space = this.#session.space, timeout, signal } = options;
    if (typeof space !== 'string' || !wellFormed(space)) throw invalid('space is a well-formed string');
    const { driver, raw } = this.#handle;
    if (driver.keyed) throw invalid('a replica with a secret holds every space: begin a session there');
    const token = callerOf(driver, raw);
    if (token === undefined) throw new EdgeSessionError('TOKEN_INVALID', 'the cluster does not know this session; begin it by a token that a replica with the secret has signed');
    const read = await ask<Read>(driver, this.#handle, method, [space, what], token, { timeout, signal });
    this.#session.merge(read.token);
    return read.entries.map((sent) => received<K, M[K]>(sent, this.#handle.front.values));
  }
}

/** Carries out a read for a client, under its session. */
export async function readFor(replica: ReplicaHandle<any>, token: string, space: string, method: 'entry' | 'list', what: string, options: QueryOptions): Promise<Read> {
  // The client asks for this space, the host does not grant it: the session can do there what its role allows.
  const there = replica.visit(token, space);
  const caller = replica.session(token);
  try {
    const entries: Entry[] = [];
    if (method === 'list') {
      const range = rangeOf(what);
      for await (const entry of there.list({ ...range, ...options, limit: Math.min(range.limit ?? Infinity, ENTRIES_MAX + 1) })) entries.push(entry);
      if (entries.length > ENTRIES_MAX) throw new EdgeSessionError('QUOTA_EXCEEDED', `an answer has at most ${ENTRIES_MAX} entries; ask with a limit`, { details: { limit: ENTRIES_MAX } });
    } else {
      const entry = await there.entry(what, options);
      if (entry !== undefined) entries.push(entry);
    }
    // The caller's token stays in the caller's own space.
    caller.merge(await there.sealed(options));
    return { entries: entries.map(sent), token: await caller.sealed(options) };
  } finally {
    there[dispose]();
    caller[dispose]();
  }
}

/** The range that a client asks for. Other options in its text are ignored. */
function rangeOf(text: string): RawRange {
  let range: unknown;
  try {
    range = JSON.parse(text);
  } catch (cause) {
    throw invalid('a range is JSON', cause);
  }
  if (typeof range !== 'object' || range === null) throw invalid('a range is an object');
  return toRange(range, RANGE);
}

function sent({ key, value, version, expiresAt }: Entry): Sent {
  const { kind, value: encoded } = encode(value);
  return { key, kind, value: typeof encoded === 'string' ? encoded : Array.from(encoded, (byte) => String.fromCharCode(byte)).join(''), version, expiresAt };
}

function received<K extends string, T>({ key, kind, value, version, expiresAt }: Sent, values: Handing): Entry<K, T> {
  const encoded = kind === 2 ? Uint8Array.from(value, (character) => character.charCodeAt(0)) : value;
  return toEntry({ key, kind, value: encoded, version, expiresAt }, values);
}
