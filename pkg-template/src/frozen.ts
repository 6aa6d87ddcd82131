/**
 * How values are handed out: made fresh for each reader, or frozen, and then one object to all who read a key while its text is the
 * same.
 *
 * Invariant: a frozen object is answered for nothing but the text that it came out of, which whoever asks has just got from the
 * core or from a copy, under his own checks. So what is kept here is never stale, whatever is revoked, expires or changes.
 */
import { type Copy, toCopy, type Stored } from './copy.js';
import type { Ready } from './ready.js';
import { decode, type Encoded, freeze, type Handing, parse } from './value.js';

/** The most that is kept of frozen objects in all spaces of a replica, in UTF-16 units of their texts, where an object counts as some more; then what was not asked for since it was as much before is let go of. */
export const FROZEN_UNITS = 1 << 24;
const OBJECT_UNITS = 64;

/** How the values of a space are handed out. */
export interface Values extends Handing {
  /** The copy of a stored text: of one that is no JSON, or of what is frozen, what every reader gets. */
  copy(kind: Stored, key: string, text: string): Copy;
}

/** To each reader his own. */
export const FRESH: Values = {
  of: (_, raw) => decode(raw),
  copy: (kind, _, text) => toCopy(kind, text),
};

/** Frozen, and another one each time: for values that are not the one of a key in the session's space. */
export const FROZEN: Handing = {
  of: (_, raw) => (raw.kind === 1 ? freeze(decode(raw)) : raw.value),
};

/** The frozen objects of all spaces of a replica. */
export class Frozen {
  readonly #each: (run: (values: Values) => void) => void;
  #units = 0;

  /** `each` tells how the values of each space are handed out. */
  constructor(each: (run: (values: Values) => void) => void) {
    this.#each = each;
  }

  /** Those of one more space, and what is ready there. */
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

/** An object, and the text that it came out of. */
interface Kept {
  readonly text: string;
  readonly value: object;
}

class Table implements Values {
  readonly #ready: Ready;
  readonly #weigh: (units: number) => void;
  /** Those that were asked for of late, and those that were before. */
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

  /** What was asked for since the last time is kept. */
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
    // What is ready came out of the text that is known here, unless none is.
    const value: unknown = kept?.value ?? (young === undefined && old === undefined ? this.#handed(text, this.#ready.kept(key)) : undefined) ?? freeze(parse(text));
    if (typeof value !== 'object' || value === null) return value;
    this.#young.set(key, kept ?? { text, value });
    // May begin anew with none that is young.
    this.#weigh(text.length - (young === undefined ? -OBJECT_UNITS : young.text.length));
    return value;
  }

  /** What is ready, and so is handed out, though it was let go of here: as long as the text that is made of it is the one there is. */
  #handed(text: string, ready: unknown): unknown {
    if (typeof ready !== 'object') return undefined;
    try {
      return JSON.stringify(ready) === text ? ready : undefined;
    } catch {
      // Nested so deeply that no text is made of it.
      return undefined;
    }
  }
}
