/**
 * Values at the boundary: what a caller passes in is copied or turned into text before the core is called, and what it
 * gets is fresh or frozen, so changing an object never changes the store.
 *
 * Getters and `toJSON` of a value run here, before anything has happened; they may call anything, and throw.
 */
import type { Kind, RawChange, RawEntry, RawOutcome, RawSpaceChange } from './binding.js';
import { EdgeSessionError } from './errors.js';
import type { Change, Entry, Outcome } from './types/data.js';
import type { Events } from './types/replica.js';

/** How a reader gets the value of a key: as its own object, or as one that all readers share. */
export interface Handing {
  of(key: string, raw: Encoded): unknown;
}

/** A value in the form in which it crosses the boundary. */
export interface Encoded {
  readonly kind: Kind;
  readonly value: string | Uint8Array;
}

// A lone surrogate has no UTF-8. In JSON text it becomes an escape, as a plain string it would be lost.
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether a string survives UTF-8. */
export function wellFormed(text: string): boolean {
  const { isWellFormed } = text as { isWellFormed?: () => boolean };
  return isWellFormed === undefined ? !LONE_SURROGATE.test(text) : isWellFormed.call(text);
}

/** Whether a value is a `Uint8Array`, of this realm or another, whose buffer was not transferred away. */
export function isBytes(value: unknown): value is Uint8Array {
  if (!ArrayBuffer.isView(value) || (value as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] !== 'Uint8Array') return false;
  if (value.byteLength > 0) return true;
  try {
    // Throws if the buffer is detached. Were it passed on, the exception of wasm would end the replica.
    (value as Uint8Array).values();
    return true;
  } catch {
    return false;
  }
}

/** Turns a value into its crossing form. Throws `VALUE_INVALID` for anything but JSON values and `Uint8Array`. */
export function encode(value: unknown): Encoded {
  if (typeof value === 'string' && wellFormed(value)) return { kind: 0, value };
  if (isBytes(value)) return { kind: 2, value };
  if (composed(value) && unkept(value)) throw refused();
  if (typeof value === 'number' && !Number.isFinite(value)) throw refused();
  const text = textOf(value);
  if (text === undefined) throw refused();
  return { kind: 1, value: text };
}

/** Whether JSON would lose the contents of an object. For a proxy this may call its handler, which may throw. */
function unkept(value: object): boolean {
  try {
    return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Map || value instanceof Set;
  } catch (cause) {
    throw refused(cause);
  }
}

/** The JSON text of a value; undefined if it has none. Throws `VALUE_INVALID`. */
export function textOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw refused(cause);
  }
}

/** The error for a value that cannot be stored. */
export function refused(cause?: unknown): EdgeSessionError {
  const why = cause instanceof Error ? ` (${cause.message})` : '';
  return new EdgeSessionError('VALUE_INVALID', `a value is what JSON.stringify keeps, or a Uint8Array${why}`, { cause });
}

/**
 * Parses a text that was written as JSON. Only a lying client writes one that is not JSON; it is then returned as the
 * string that it is, for everybody alike. Throwing would block every key that is read, listed or watched with it.
 */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The value, as an object that nobody else holds. */
export function decode<T>(raw: Encoded): T {
  return (raw.kind === 1 ? parse(raw.value as string) : raw.value) as T;
}

/** How deep `fresh` goes: copying uses the stack, parsing does not. */
const DEPTH = 64;

/**
 * A deep copy of a parsed value. Takes a sixth of the time of parsing the text again, or half of it if neither is in
 * the processor's cache. Undefined if the value is nested too deeply.
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
    // Only own properties. `__proto__` is one if the text has it, and then this assignment sets no prototype.
    if (typeof part === 'object' && part !== null && Object.hasOwn(copy, name) && (copy[name] = fresh(part, depth - 1)) === undefined) return undefined;
  }
  return copy;
}

/** The public form of an entry. It is a new object; the value is as `values` hands it out. */
export function toEntry<K extends string, T>(raw: RawEntry, values: Handing): Entry<K, T> {
  return { key: raw.key as K, value: values.of(raw.key, raw) as T, version: raw.version, expiresAt: raw.expiresAt };
}

/** The public form of a change. */
export function toChange<K extends string, T>({ key, entry, version }: RawChange, values: Handing): Change<K, T> {
  return entry === undefined ? { key: key as K, deleted: true, version } : toEntry(entry, values);
}

/** The public form of a change that several listeners get: bytes are copied. */
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

/** Whether a value has parts. */
const composed = (part: unknown): part is object => typeof part === 'object' && part !== null;

/** Deeply freezes a parsed value. Iterative, because parsing allows any depth. */
export function freeze(value: unknown): unknown {
  if (!composed(value)) return value;
  const all: object[] = [value];
  for (let at = 0; at < all.length; at += 1) {
    const one = all[at] as Record<string, unknown>;
    // A loop of its own: iterating over an array by `for in` takes three times as long.
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
