/**
 * Objects that were written and may be written again before anybody needs their text: copies, whose text is made when it is wanted.
 *
 * Invariants: the text is the one that `JSON.stringify` would have made of the object when it was written; whatever of it may run
 * code of the application's runs then, once and in the same order; and to make the text of a copy runs none, and throws nothing.
 */
import { type Encoded, encode, refused } from './value.js';

/** How deep a copy goes, and how much of it there may be: of what is more the text is made at once. */
const DEPTH = 16;
const UNITS = 4_096;
/** The most characters of a number, of a whole one of 32 bits, and around a name or a text. */
const NUMBER = 24;
const WHOLE = 11;
const AROUND = 4;
/** The fewest of a place of a list, as they are counted here. */
const PLACE = 3;

/** Copies an object; or makes its text, as `encode` does, where there is more to it than plain data. */
export function hold(value: object): Encoded | { readonly kind: 1; readonly value: Held } {
  let held: Held | undefined;
  try {
    if (plain(value) && !polluted()) held = new Held(value);
  } catch (cause) {
    throw refused(cause);
  }
  if (held === undefined) return encode(value);
  // What is left of the value is read there, where its turn comes.
  return held.length > UNITS ? encode(held.copy) : { kind: 1, value: held };
}

/** A copy of an object. */
export class Held {
  /**
   * As much as its text takes at most, in units of UTF-16, were nothing escaped in it: so six times this is the most bytes of it.
   * More than `UNITS` where the copy has come to its end before the object has.
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
      // Nothing of it has been read yet, and would be in vain.
      if (this.length + PLACE * length > UNITS) return this.#ended(value);
      const list = new Array<unknown>(length);
      for (let at = 0; at < length; at += 1) {
        this.length += 1;
        if (this.length > UNITS) this.#later(list, value, String(at));
        // A list has no places that are left out.
        else list[at] = this.#part(value[at], depth) ?? null;
      }
      return list;
    }
    const copy: Record<string, unknown> = {};
    // By name: to copy all at once takes four fifths of the time, but would read what comes later before what these have in them.
    for (const name in value) {
      this.length += name.length + AROUND;
      if (this.length > UNITS || name === '__proto__') this.#later(copy, value, name);
      else copy[name] = this.#part((value as Record<string, unknown>)[name], depth);
    }
    return copy;
  }

  /** A part of the copy: what has no parts of its own, or a copy of it. What else there may be is taken as it is, and ends the copy. */
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

  /** What the copy ends with. */
  #ended<T>(value: T): T {
    this.length = Number.POSITIVE_INFINITY;
    return value;
  }

  /** Leaves a property to be read when a text is made of the copy: not now, because those before it have parts that are read first. */
  #later(copy: object, value: object, name: string): void {
    this.length = Number.POSITIVE_INFINITY;
    Object.defineProperty(copy, name, { enumerable: true, get: () => (value as Record<string, unknown>)[name] });
  }
}

/** Whether an object is one of plain data, as far as can be told without running anything of it. One of `JSON.rawJSON` looks like it, and stands for its text. */
function plain(value: object): boolean {
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || (prototype === null && (JSON as { isRawJSON?(value: object): boolean }).isRawJSON?.(value) !== true);
}

/** Whether every object seems to have properties that are not its own, or may not be given any of these names. */
function polluted(): boolean {
  for (const _ in Object.prototype) return true;
  return !Object.isExtensible(Object.prototype);
}
