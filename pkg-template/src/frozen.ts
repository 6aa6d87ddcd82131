/**
 * How values are handed out: fresh for each reader; or frozen, and then the same object for all readers of a key as
 * long as its text is the same.
 *
 * Invariant: a frozen object is returned only for the text from which it was parsed, and the reader has just received
 * that text from the core or from a copy, under its own checks. So nothing here is ever stale, whatever is revoked,
 * expires or changes.
 */
import { type Copy, toCopy, type Stored } from './copy.js';
import type { Ready } from './ready.js';
import { decode, type Encoded, freeze, type Handing, parse } from './value.js';

/**
 * The most that all spaces of a replica keep of frozen objects, in UTF-16 units of their texts plus `OBJECT_UNITS`
 * each. Each time half of it was added, objects that were not used since the time before are released.
 */
export const FROZEN_UNITS = 1 << 24;
const OBJECT_UNITS = 64;

/** How the values of a space are handed out. */
export interface Values extends Handing {
  /** The copy of a stored text: a value that all readers share, or a `Json` from which each gets its own. */
  copy(kind: Stored, key: string, text: string): Copy;
}

/** Each reader gets a value of its own. */
export const FRESH: Values = {
  of: (_, raw) => decode(raw),
  copy: (kind, _, text) => toCopy(kind, text),
};

/** Frozen, but a new object each time: for values that are not the current value of a key in the session's space. */
export const FROZEN: Handing = {
  of: (_, raw) => (raw.kind === 1 ? freeze(decode(raw)) : raw.value),
};

/** The frozen objects of all spaces of a replica. */
export class Frozen {
  readonly #each: (run: (values: Values) => void) => void;
  #units = 0;

  /** `each` visits the `Values` of every space. */
  constructor(each: (run: (values: Values) => void) => void) {
    this.#each = each;
  }

  /** The table of one more space, with that space's ready values. */
  table(ready: Ready): Values {
    return new Table(ready, (units) => this.#weigh(units));
  }

  clear(): void {
    this.#units = 0;
    this.#each((values) => values instanceof Table && values.clear());
  }

  #weigh(units: number): void {
    this.#units += units;
    if (this.#units <= FROZEN_UNITS / 2) return;
    this.#units = 0;
    this.#each((values) => values instanceof Table && values.age());
  }
}

/** An object, and the text from which it was parsed. */
interface Kept {
  readonly text: string;
  readonly value: object;
}

class Table implements Values {
  readonly #ready: Ready;
  readonly #weigh: (units: number) => void;
  /** Recently used objects, and those used before. */
  #young = new Map<string, Kept>();
  #old = new Map<string, Kept>();

  constructor(ready: Ready, weigh: (units: number) => void) {
    this.#ready = ready;
    this.#weigh = weigh;
  }

  of(key: string, { kind, value }: Encoded): unknown {
    return kind === 1 ? this.#object(key, value as string) : value;
  }

  copy(kind: Stored, key: string, text: string): Copy {
    return kind === 1 ? this.#object(key, text) : text;
  }

  /** Starts a new generation; objects that were not used in the last one are released. */
  age(): void {
    this.#old = this.#young;
    this.#young = new Map();
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }

  #object(key: string, text: string): unknown {
    const young = this.#young.get(key);
    if (young?.text === text) return young.value;
    const old = this.#old.size > 0 ? this.#old.get(key) : undefined;
    const kept = old?.text === text ? old : undefined;
    // If the table knows another text of the key, a ready object came from that one. If it knows none, compare texts.
    const value: unknown = kept?.value ?? (young === undefined && old === undefined ? this.#handed(text, this.#ready.kept(key)) : undefined) ?? freeze(parse(text));
    if (typeof value !== 'object' || value === null) return value;
    this.#young.set(key, kept ?? { text, value });
    // May call `age`, which starts an empty generation.
    this.#weigh(text.length - (young === undefined ? -OBJECT_UNITS : young.text.length));
    return value;
  }

  /** The ready object of a key that this table has released, if its JSON text is still the given one. */
  #handed(text: string, ready: unknown): unknown {
    if (typeof ready !== 'object') return undefined;
    try {
      return JSON.stringify(ready) === text ? ready : undefined;
    } catch {
      // Too deeply nested for JSON.stringify.
      return undefined;
    }
  }
}
