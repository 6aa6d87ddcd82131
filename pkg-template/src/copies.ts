/**
 * Copies of values, by key; and a shelf of those that were fetched with a read and that nobody has looked at yet.
 *
 * Who reads one key after the other takes the first of the shelf each time: that costs a comparison, where putting every copy
 * into its place would cost two texts, a hash and a search. Invariant: what is in its place is at least as new as what lies on
 * the shelf, so the shelf never takes its place; whoever deletes or forgets a copy empties the shelf before.
 */

/** How a value is stored: 0 a string as it is, 1 JSON text; 3, in the log alone: nothing, for the key was deleted. */
export type Stored = 0 | 1 | 3;

/**
 * Whose write a copy is. The copies of one write share theirs: that the log has become a write is said once, not for each.
 * Without a sequence the write is in the log.
 */
export class Mark {
  constructor(
    readonly kind: Stored,
    /** The number that the core gave to a replica. */
    public origin = 0,
    public sequence = 0,
  ) {}
}

/** A value that may be answered until it is to be forgotten: a string or JSON text. */
export class Copy {
  constructor(
    public value: string,
    public mark: Mark,
  ) {}
}

/** The copies of a space, by key. */
export type Copies = Map<string, Copy>;

/** What the core tells of each copy: the length of its key, of its value with its kind below, its origin, its sequence. */
const NUMBERS = 4;

export class Shelf {
  /** The mark of the last copy that was taken; the last of all has one of its own. */
  mark: Mark;
  readonly #copies: Copies;
  readonly #text: string;
  readonly #numbers: Float64Array;
  #at = 0;
  #from = 0;

  /** Copies for `copies`, as `Glance` brings them. `mark` is that of the copy with which they came. */
  constructor(copies: Copies, mark: Mark, text: string, numbers: Float64Array) {
    this.#copies = copies;
    this.mark = mark;
    this.#text = text;
    this.#numbers = numbers;
  }

  /** Whether nothing lies on it any more. */
  get empty(): boolean {
    return this.#at >= this.#numbers.length;
  }

  /** Puts the first copy into its place, if it is that of `key`, which has none. */
  take(copies: Copies, key: string): Copy | undefined {
    if (copies !== this.#copies || typeof key !== 'string' || this.#numbers[this.#at] !== key.length || !this.#text.startsWith(key, this.#from)) return undefined;
    const copy = this.#next(key.length);
    copies.set(key, copy);
    return copy;
  }

  /** Puts every copy into its place, where there is none. */
  clear(): void {
    while (!this.empty) {
      const units = this.#numbers[this.#at] as number;
      const key = this.#text.slice(this.#from, this.#from + units);
      const copy = this.#next(units);
      if (!this.#copies.has(key)) this.#copies.set(key, copy);
    }
  }

  #next(units: number): Copy {
    const numbers = this.#numbers;
    const at = this.#at;
    const packed = numbers[at + 1] as number;
    const kind = (packed & 3) as Stored;
    const from = this.#from + units;
    const until = from + (packed >>> 2);
    const [origin, sequence] = [numbers[at + 2] as number, numbers[at + 3] as number];
    this.#at = at + NUMBERS;
    this.#from = until;
    const { mark } = this;
    if (mark.kind !== kind || mark.sequence !== sequence || mark.origin !== origin || this.empty) this.mark = new Mark(kind, origin, sequence);
    return new Copy(this.#text.slice(from, until), this.mark);
  }
}
