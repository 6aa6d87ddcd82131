/**
 * Values at the boundary: what a caller hands in is copied or turned into text before the core is touched, and what it gets is
 * made fresh, so that a caller that changes an object never changes the store.
 *
 * Getters and `toJSON` of a value run here, while nothing has happened yet; they may call anything, and throw.
 */
import type { Kind, RawChange, RawEntry, RawOutcome, RawSpaceChange } from './binding.js';
import { EdgeSessionError } from './errors.js';
import type { Change, Entry, Outcome } from './types/data.js';
import type { Events } from './types/replica.js';

/** What a reader gets of the value of a key: his own, or what all get. */
export interface Handing {
  of(key: string, raw: Encoded): unknown;
}

/** A value in the form in which it crosses. */
export interface Encoded {
  readonly kind: Kind;
  readonly value: string | Uint8Array;
}

// A lone surrogate has no UTF-8: as a string it would not come back as it was, as JSON text it is an escape.
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether a string survives UTF-8. */
export function wellFormed(text: string): boolean {
  const { isWellFormed } = text as { isWellFormed?: () => boolean };
  return isWellFormed === undefined ? !LONE_SURROGATE.test(text) : isWellFormed.call(text);
}

/** Whether a value is a `Uint8Array`, of this realm or another, that has its bytes: those of one that was transferred are gone. */
export function isBytes(value: unknown): value is Uint8Array {
  if (!ArrayBuffer.isView(value) || (value as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] !== 'Uint8Array') return false;
  if (value.byteLength > 0) return true;
  try {
    // Throws where there is no memory behind it any more; what an instance throws ends the replica.
    (value as Uint8Array).values();
    return true;
  } catch {
    return false;
  }
}

/** Turns a value into what crosses. Throws `VALUE_INVALID` for what is neither JSON nor a `Uint8Array`. */
export function encode(value: unknown): Encoded {
  if (typeof value === 'string' && wellFormed(value)) return { kind: 0, value };
  if (isBytes(value)) return { kind: 2, value };
  if (composed(value) && unkept(value)) throw refused();
  if (typeof value === 'number' && !Number.isFinite(value)) throw refused();
  const text = textOf(value);
  if (text === undefined) throw refused();
  return { kind: 1, value: text };
}

/** Whether JSON would keep nothing of an object that holds something. Of a proxy its handler may be asked, which may throw. */
function unkept(value: object): boolean {
  try {
    return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Map || value instanceof Set;
  } catch (cause) {
    throw refused(cause);
  }
}

/** The JSON text of a value; undefined where there is none. Throws `VALUE_INVALID`. */
export function textOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw refused(cause);
  }
}

/** Why a value is none. */
export function refused(cause?: unknown): EdgeSessionError {
  const why = cause instanceof Error ? ` (${cause.message})` : '';
  return new EdgeSessionError('VALUE_INVALID', `a value is what JSON.stringify keeps, or a Uint8Array${why}`, { cause });
}

/**
 * What a text says that was written as JSON. One that is none only a client writes that lies: it is the string that it is, for
 * everybody alike. To throw would be in the way of all keys that are read, listed or watched together with it.
 */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A value that nobody else holds. */
export function decode<T>(raw: Encoded): T {
  return (raw.kind === 1 ? parse(raw.value as string) : raw.value) as T;
}

/** How deep `fresh` goes: parsing takes no stack, copying does. */
const DEPTH = 64;

/**
 * A copy of what came out of JSON, all the way down, for a sixth of the time that parsing its text again takes, or half of it
 * where neither is in the processor's cache. Undefined where it is nested too deeply.
 */
export function fresh(value: object, depth = DEPTH): object | undefined {
  if (depth === 0) return undefined;
  if (Array.isArray(value)) {
    const list: unknown[] = value.slice();
    for (let at = 0; at < list.length; at += 1) {
      const part = list[at];
      if (typeof part === 'object' && part !== null && (list[at] = fresh(part, depth - 1)) === undefined) return undefined;
    }
    return list;
  }
  const copy = { ...value } as Record<string, unknown>;
  for (const name in copy) {
    const part = copy[name];
    // Its own properties alone; `__proto__` is one where the text has it, and then this assigns no prototype.
    if (typeof part === 'object' && part !== null && Object.hasOwn(copy, name) && (copy[name] = fresh(part, depth - 1)) === undefined) return undefined;
  }
  return copy;
}

/** The public form of an entry that nobody else holds, but for a value that is handed out otherwise. */
export function toEntry<K extends string, T>(raw: RawEntry, values: Handing): Entry<K, T> {
  return { key: raw.key as K, value: values.of(raw.key, raw) as T, version: raw.version, expiresAt: raw.expiresAt };
}

/** The public form of a change. */
export function toChange<K extends string, T>({ key, entry, version }: RawChange, values: Handing): Change<K, T> {
  return entry === undefined ? { key: key as K, deleted: true, version } : toEntry(entry, values);
}

/** The public form of a change of which others are told as well: bytes are copied. */
export function toSpaceChange({ space, key, entry, version }: RawSpaceChange): Events['change'] {
  if (entry === undefined) return { key, deleted: true, version, space };
  const { kind, value, expiresAt } = entry;
  return { key, value: decode({ kind, value: typeof value === 'string' ? value : value.slice() }), version, expiresAt, space };
}

/** The public form of an outcome. */
export function toOutcome<K extends string, T>(raw: RawOutcome, values: Handing): Outcome<K, T> {
  if (raw.state !== 'value') return raw;
  return { state: raw.state, stale: raw.stale, entry: toEntry<K, T>(raw.entry, values), conflicts: raw.conflicts };
}

/** Whether something has parts. */
const composed = (part: unknown): part is object => typeof part === 'object' && part !== null;

/** Freezes what came out of JSON, all the way down, however deep that is: parsing takes no stack either. */
export function freeze(value: unknown): unknown {
  if (!composed(value)) return value;
  const all: object[] = [value];
  for (let at = 0; at < all.length; at += 1) {
    const one = all[at] as Record<string, unknown>;
    // A loop of its own: to go through a list by its names takes three times as long.
    if (Array.isArray(one)) {
      for (let place = 0; place < one.length; place += 1) if (composed(one[place])) all.push(one[place]);
    } else {
      for (const name in one) {
        const part = one[name];
        if (composed(part) && Object.hasOwn(one, name)) all.push(part);
      }
    }
    Object.freeze(one);
  }
  return value;
}
