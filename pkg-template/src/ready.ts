/**
 * Copies that were read here and there, by their keys, without their marks: for whoever has read all of these writes already,
 * or later ones of the same origins. An engine finds a property by a text in the fewest steps there are; what else would
 * have to be looked at is seldom in the processor's cache.
 */
import { type Copy, Json, type Mark } from './copy.js';

/** Without a prototype, so that any key may be a name. */
const none = () => Object.create(null) as Record<string, never>;

/** Nothing that is ready. */
export const NOTHING: Record<string, never> = none();

/** Whoever reads, and what he has read of each origin. */
export interface Reader {
  /** At which state of what is ready he had read all of its writes; the complement of it where the next read is to be noted. */
  readonly covered: number;
  /** An origin of which he had not read all when that was looked at last. */
  lacks: number;
  /** The greatest sequence that he has read of each origin. */
  readonly known: readonly number[];
  /** He has read all writes of a state. */
  cover(state: number): void;
}

export class Ready {
  /** What is handed out as it is by itself: so nobody has to look what a copy is, which alone would bring it into the cache. */
  plains: Record<string, unknown> = none();
  /** Nothing is looked for among nothing: to find that a key is no name takes an engine as long as to find one. */
  #others: Record<string, Json> = NOTHING;
  /** The greatest sequence of each origin among the writes of the copies. */
  #top: number[] = [];
  /** Goes up when there may be a write that a reader has not read. From 1 on: 0 is the complement of no state. */
  #state = 1;
  /** Is told when that has happened. */
  readonly #turned: () => void;

  constructor(turned: () => void) {
    this.#turned = turned;
  }

  /** The copy of a key that is handed out as it is, for a reader who needs no note of it: by what he has covered. */
  plain(key: string, covered: number): unknown {
    return covered === this.#state ? this.plains[key] : undefined;
  }

  /** What is kept as it is of a key, whoever has read it. */
  kept(key: string): unknown {
    return this.plains[key];
  }

  /** The copy of a key of which each reader gets his own. */
  json(key: string, reader: Reader): Json | undefined {
    return this.#others !== NOTHING && reader.covered === this.#state ? this.#others[key] : undefined;
  }

  /** Keeps a copy that a reader has read, of which he has a note; the one that is kept. */
  put(key: string, copy: Copy, { origin, sequence }: Mark, reader: Reader): Copy {
    const covered = reader.covered === this.#state || reader.covered === ~this.#state;
    if (sequence > (this.#top[origin] ?? 0)) {
      this.#top[origin] = sequence;
      this.#turn();
    }
    // He knows this write, so whoever knew all the others knows all.
    if (covered || this.#covers(reader)) reader.cover(this.#state);
    if (copy instanceof Json) {
      if (this.#others === NOTHING) this.#others = none();
      return (this.#others[key] ??= copy);
    }
    // One is there where another session has read it since: nobody tells both apart, or it is the same.
    const held: unknown = this.plains[key];
    return held === undefined ? (this.plains[key] = copy) : held;
  }

  /** The copy of a key, if there is one, is no longer true. */
  delete(key: string): void {
    if (this.plains[key] !== undefined) delete this.plains[key];
    else if (this.#others !== NOTHING && this.#others[key] !== undefined) delete this.#others[key];
  }

  /**
   * Whether a reader has read all of the writes. It is looked at from where it was not so the last time: mostly it is not so there
   * yet, and to look at each origin with each read would cost more than the read.
   */
  #covers(reader: Reader): boolean {
    for (let left = this.#top.length; left > 0; left -= 1) {
      if (reader.lacks >= this.#top.length) reader.lacks = 0;
      if ((this.#top[reader.lacks] ?? 0) > (reader.known[reader.lacks] ?? 0)) return false;
      reader.lacks += 1;
    }
    return true;
  }

  #turn(): void {
    this.#state += 1;
    this.#turned();
  }

  clear(): void {
    this.plains = none();
    this.#others = NOTHING;
    this.#top = [];
    this.#turn();
  }
}
