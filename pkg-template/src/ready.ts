/**
 * Ready values: values of keys that were read at random, as properties of a plain object, without their marks. They
 * serve only readers that have read all of these writes, or later ones of the same origins. A property lookup by name
 * is the fastest lookup that an engine has; anything else to look at would seldom be in the processor's cache.
 */
import { type Copy, Json, type Mark } from './copy.js';

/** Has no prototype, so that any key may be a property name. */
const none = () => Object.create(null) as Record<string, never>;

/** No ready values. */
export const NOTHING: Record<string, never> = none();

/** A reader, and what it has read of each origin. */
export interface Reader {
  /**
   * The state of the ready values whose writes it had all read; the complement of it if the next read must be noted.
   */
  readonly covered: number;
  /** The origin at which the last comparison found unread writes. */
  lacks: number;
  /** The greatest sequence that it has read, by origin. */
  readonly known: readonly number[];
  /** Records that it has read all writes of a state. */
  cover(state: number): void;
}

export class Ready {
  /** Values that are handed out as they are. Separate, because inspecting a copy would load it into the cache. */
  plains: Record<string, unknown> = none();
  /**
   * `Json` copies. While there are none it is `NOTHING`, which is not searched: a miss costs an engine as much as a
   * hit.
   */
  #others: Record<string, Json> = NOTHING;
  /** The greatest sequence of each origin among the ready values. */
  #top: number[] = [];
  /**
   * Incremented when there may be a write that a reader has not read. Starts at 1: the complement of 0 is -1, which
   * stands for no state.
   */
  #state = 1;
  /** Called after the state has changed. */
  readonly #turned: () => void;

  constructor(turned: () => void) {
    this.#turned = turned;
  }

  /** The value of a key that is handed out as it is, if the reader has covered the current state. */
  plain(key: string, covered: number): unknown {
    return covered === this.#state ? this.plains[key] : undefined;
  }

  /** The value of a key that is kept as it is, whoever has read it. */
  kept(key: string): unknown {
    return this.plains[key];
  }

  /** The copy of a key from which each reader gets a value of its own. */
  json(key: string, reader: Reader): Json | undefined {
    return this.#others !== NOTHING && reader.covered === this.#state ? this.#others[key] : undefined;
  }

  /** Keeps a copy whose read the reader has noted; returns the one that is kept. */
  put(key: string, copy: Copy, { origin, sequence }: Mark, reader: Reader): Copy {
    const covered = reader.covered === this.#state || reader.covered === ~this.#state;
    if (sequence > (this.#top[origin] ?? 0)) {
      this.#top[origin] = sequence;
      this.#turn();
    }
    // The reader knows this write, so if it knew all the others it knows all.
    if (covered || this.#covers(reader)) reader.cover(this.#state);
    if (copy instanceof Json) {
      if (this.#others === NOTHING) this.#others = none();
      return (this.#others[key] ??= copy);
    }
    // Another session may have stored it since: an equal primitive, or the same object.
    const held: unknown = this.plains[key];
    return held === undefined ? (this.plains[key] = copy) : held;
  }

  /** Drops the value of a key, if there is one. */
  delete(key: string): void {
    if (this.plains[key] !== undefined) delete this.plains[key];
    else if (this.#others !== NOTHING && this.#others[key] !== undefined) delete this.#others[key];
  }

  /**
   * Whether a reader has read all of the writes. Starts at the origin where the last comparison failed: usually it
   * still fails there, and comparing all origins with each read would cost more than the read.
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
