/**
 * Held objects: a written object that may be overwritten before anyone needs its text is copied, and its text is made
 * on demand.
 *
 * Invariants:
 * - The text is what `JSON.stringify` would have returned at the time of the write.
 * - Application code within the object (getters, `toJSON`) runs at the time of the write, once and in the usual order.
 * - Making the text from the copy runs no such code and does not throw.
 */
import { type Encoded, encode, refused } from './value.js';

/** How deep, and how large, a copy may be. The text of larger objects is made at once. */
const DEPTH = 16;
const UNITS = 4_096;
/** The most characters of: any number; a 32-bit integer; what surrounds a name or a string. */
const NUMBER = 24;
const WHOLE = 11;
const AROUND = 4;
/** The least that an element of an array counts. */
const PLACE = 3;

/** Copies an object of plain data. Of anything else it makes the text at once, as `encode` does. */
export function hold(value: object): Encoded | { readonly kind: 1; readonly value: Held } {
  let held: Held | undefined;
  try {
    if (plain(value) && !polluted()) held = new Held(value);
  } catch (cause) {
    throw refused(cause);
  }
  if (held === undefined) return encode(value);
  // The part of the value that was not copied is read now, by the getters of the copy, in its proper order.
  return held.length > UNITS ? encode(held.copy) : { kind: 1, value: held };
}

/** A copy of an object. */
export class Held {
  /**
   * An upper bound of the length of the text in UTF-16 units, before escaping; so the text has at most six times as
   * many bytes. Greater than `UNITS` if the copy is incomplete.
   */
  length = 0;
  readonly copy: object;

  constructor(value: object) {
    this.copy = this.#copied(value, DEPTH);
  }

  get text(): string {
    return JSON.stringify(this.copy);
  }

  #copied(value: object, depth: number): object {
    this.length += 2;
    if (Array.isArray(value)) {
      const { length } = value;
      // Too long: none of its elements has been read yet, and none need be.
      if (this.length + PLACE * length > UNITS) return this.#ended(value);
      const list = new Array<unknown>(length);
      for (let at = 0; at < length; at += 1) {
        this.length += 1;
        if (this.length > UNITS) this.#later(list, value, String(at));
        // JSON writes a missing element as null.
        else list[at] = this.#part(value[at], depth) ?? null;
      }
      return list;
    }
    const copy: Record<string, unknown> = {};
    // By name: spreading takes four fifths of the time, but would read later properties before the parts of earlier
    // ones.
    for (const name in value) {
      this.length += name.length + AROUND;
      if (this.length > UNITS || name === '__proto__') this.#later(copy, value, name);
      else copy[name] = this.#part((value as Record<string, unknown>)[name], depth);
    }
    return copy;
  }

  /** A part of the copy: a primitive, or a copy of plain data. Anything else is taken as it is and ends the copy. */
  #part(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'string':
        this.length += value.length + AROUND;
        return value;
      case 'number':
        this.length += (value | 0) === value ? WHOLE : NUMBER;
        return value;
      case 'boolean':
      case 'undefined':
        this.length += AROUND + 1;
        return value;
      case 'object':
        if (value === null) {
          this.length += AROUND;
          return value;
        }
        if (depth > 0 && plain(value)) return this.#copied(value, depth - 1);
    }
    return this.#ended(value);
  }

  /** Marks the copy as incomplete. */
  #ended<T>(value: T): T {
    this.length = Number.POSITIVE_INFINITY;
    return value;
  }

  /** Defers a property to the time when the text is made: properties before it may have parts that are read first. */
  #later(copy: object, value: object, name: string): void {
    this.length = Number.POSITIVE_INFINITY;
    Object.defineProperty(copy, name, { enumerable: true, get: () => (value as Record<string, unknown>)[name] });
  }
}

/**
 * Whether an object is plain data, as far as can be told without running its code. A result of `JSON.rawJSON` looks
 * like plain data, but stands for its text.
 */
function plain(value: object): boolean {
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || (prototype === null && (JSON as { isRawJSON?(value: object): boolean }).isRawJSON?.(value) !== true);
}

/** Whether `Object.prototype` has enumerable properties, or is not extensible so that assignments may fail. */
function polluted(): boolean {
  for (const _ in Object.prototype) return true;
  return !Object.isExtensible(Object.prototype);
}
