/**
 * Copies that were read here and there, by their keys, without their marks: for whoever has read all of these writes already,
 * or later ones of the same origins. An engine finds a property by a text in the fewest steps there are; what else would
 * have to be looked at is seldom in the processor's cache.
 */
import type { Copy, Json, Mark } from './copy.js';

/** Without a prototype, so that any key may be a name. */
const none = () => Object.create(null) as Record<string, never>;

/** Whoever reads, and what he has read of each origin. */
export interface Reader {
  /** At which state of what is ready he had read all of its writes; below 0 that is to be seen. */
  covered: number;
  /** The greatest sequence that he has read of each origin. */
  readonly known: readonly number[];
}

export class Ready {
  /** Strings by themselves: so nobody has to look what a copy is, which alone would bring it into the cache. */
  #strings: Record<string, string> = none();
  #others: Record<string, Json> = none();
  /** The greatest sequence of each origin among the writes of the copies. */
  #top: number[] = [];
  /** Goes up when there may be a write that a reader has not read. */
  #state = 0;

  /** The copy of a key that is a string, for a reader who needs no note of it. */
  string(key: string, reader: Reader): string | undefined {
    return reader.covered === this.#state ? this.#strings[key] : undefined;
  }

  /** The copy of a key that is none. */
  json(key: string, reader: Reader): Json | undefined {
    return reader.covered === this.#state ? this.#others[key] : undefined;
  }

  /** Keeps a copy that a reader has read, of which he has a note; the one that is kept. */
  put(key: string, copy: Copy, { origin, sequence }: Mark, reader: Reader): Copy {
    const top = this.#top[origin] ?? 0;
    if (sequence > top) {
      // He knows it, and whoever knew all before him knows all but it.
      const covered = reader.covered === this.#state;
      this.#top[origin] = sequence;
      this.#state += 1;
      if (covered) reader.covered = this.#state;
    }
    // Who has read the last write of an origin may have read all of them now.
    if ((sequence >= top || reader.covered < 0) && this.#top.every((most, at) => most <= (reader.known[at] ?? 0))) reader.covered = this.#state;
    if (typeof copy !== 'string') return (this.#others[key] ??= copy);
    return (this.#strings[key] ??= copy);
  }

  /** The copy of a key, if there is one, is no longer true. */
  delete(key: string): void {
    if (this.#strings[key] !== undefined) delete this.#strings[key];
    else if (this.#others[key] !== undefined) delete this.#others[key];
  }

  clear(): void {
    this.#strings = none();
    this.#others = none();
    this.#top = [];
    this.#state += 1;
  }
}
