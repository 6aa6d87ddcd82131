/**
 * Copies that came together stay together, on one sheet, as they came: texts of a log, or neighbours joined to one text
 * (`page.ts`). For each an object of its own and a place in a map would cost several times what it costs to find it here.
 *
 * Invariant: what `is` says of a key and a place is true until the copy there is dropped; dropped it never comes back.
 */
import type { Mark, Marks, Stored } from './copy.js';

/** The most copies on a sheet: at least as many as the core hands over with one read, and as many as a log has. */
export const SHEET_BITS = 10;
export const SHEET = 1 << SHEET_BITS;
/** A sheet of texts of which fewer than one in so many copies are left is not worth its lists, unless few are gone: what is left goes to another. */
const WORTH = 8;
const FEW = 64;

/**
 * A hash of a part of a text. The seed is odd. Nobody who does not know it can choose keys that are slow to find: of two texts that
 * differ, in whatever bits, what comes of the difference depends on the second product, and so on the seed.
 */
export function hash(text: string, from: number, until: number, seed: number): number {
  let [sum, at] = [seed, from];
  for (; at + 1 < until; at += 2) {
    sum = Math.imul(sum ^ text.charCodeAt(at) ^ (text.charCodeAt(at + 1) << 16), seed);
    sum = Math.imul(sum ^ (sum >>> 15), seed);
  }
  if (at < until) sum = Math.imul(sum ^ text.charCodeAt(at), seed);
  return sum ^ (sum >>> 15);
}

/** A sheet, open at the copy that was read last. */
export interface Sheet {
  /** What is open, as it is stored, and whose write it is. */
  readonly value: string;
  readonly mark: Mark;
  /** How many places there are. */
  readonly size: number;
  /** The place that was read last. */
  readonly at: number;
  /** Whether anything of it was read, or of what stood in the place of something before. */
  seen: boolean;
  /** Whether all but the first have come without anybody's asking for them. */
  readonly unasked: boolean;
  /** Whether there is a copy of this key at a place. */
  is(key: string, at: number): boolean;
  /** Whether there is a copy at a place. */
  has(at: number): boolean;
  /** The key that stands at a place. */
  key(at: number): string;
  hash(at: number, seed: number): number;
  /** Opens it where there is a copy. */
  open(at: number): void;
  /** The copy at a place is no longer true. */
  drop(at: number): void;
  /** Whether enough copies are left for the memory it takes. */
  readonly worth: boolean;
}

/** Keys and values as texts of their own. */
abstract class Texts implements Sheet {
  readonly unasked = false;
  at = 0;
  seen = false;
  /** Key, value, key, value, …; nothing where there is no copy. */
  protected readonly texts: (string | undefined)[];
  /** At how many places there is no copy. */
  #gone: number;

  constructor(texts: (string | undefined)[], gone: number) {
    this.texts = texts;
    this.#gone = gone;
  }

  abstract readonly mark: Mark;

  get size(): number {
    return this.texts.length >>> 1;
  }

  get value(): string {
    return this.texts[2 * this.at + 1] as string;
  }

  is(key: string, at: number): boolean {
    return 2 * at < this.texts.length && this.texts[2 * at] === key;
  }

  has(at: number): boolean {
    return this.texts[2 * at + 1] !== undefined;
  }

  key(at: number): string {
    return this.texts[2 * at] as string;
  }

  hash(at: number, seed: number): number {
    const key = this.texts[2 * at] as string;
    return hash(key, 0, key.length, seed);
  }

  open(at: number): void {
    this.at = at;
    this.seen = true;
  }

  drop(at: number): void {
    this.texts[2 * at] = undefined;
    this.texts[2 * at + 1] = undefined;
    this.#gone += 1;
  }

  get worth(): boolean {
    return this.#gone < FEW || WORTH * this.left > this.size;
  }

  /** How many copies are left. */
  protected get left(): number {
    return this.size - this.#gone;
  }
}

/** How many of the writes are deletions. In a loop: it is looked at with each log. */
function deleted(kinds: Uint8Array): number {
  let gone = 0;
  for (let at = 0; at < kinds.length; at += 1) if (kinds[at] === 3) gone += 1;
  return gone;
}

/** Where a text stands in a longer one: where it begins there, times this, and its length. */
export const SPAN = 2 ** 13;

/** The writes of a log, once the core was given them. */
export class Written extends Texts {
  readonly #kinds: Uint8Array;
  /** Of a value that stands in a longer text: where; 0 of others. */
  readonly #spans: Uint32Array | undefined;
  readonly #marks: Marks;

  constructor(texts: (string | undefined)[], kinds: Uint8Array, spans: Uint32Array | undefined, marks: Marks) {
    super(texts, deleted(kinds));
    this.#kinds = kinds;
    this.#spans = spans;
    this.#marks = marks;
  }

  override get value(): string {
    const text = super.value;
    const span = this.#spans?.[this.at] ?? 0;
    if (span === 0) return text;
    const from = Math.floor(span / SPAN);
    // Put together it is a text of its own as soon as it is looked into: what is a part of a longer one keeps all of that in memory, and is slower to parse.
    return text.charAt(from) + text.slice(from + 1, from + (span % SPAN));
  }

  get mark(): Mark {
    return this.#marks[this.#kinds[this.at] as 0 | 1];
  }

  /** Where a key was deleted there is no copy. */
  override has(at: number): boolean {
    return (this.#kinds[at] as Stored) !== 3 && super.has(at);
  }

  override is(key: string, at: number): boolean {
    return super.is(key, at) && (this.#kinds[at] as Stored) !== 3;
  }

  /**
   * A small one is not, once nothing is left: nothing is added to it, as it is to one of copies that came one at a time. Where values
   * stand in longer texts, none of these goes before the sheet does.
   */
  override get worth(): boolean {
    return this.left > 0 && super.worth && (this.#spans === undefined || 2 * this.left > this.size);
  }
}

/** Copies that came one at a time. */
export class Loose extends Texts {
  readonly #marks: Mark[] = [];

  constructor() {
    super([], 0);
  }

  get mark(): Mark {
    return this.#marks[this.at] as Mark;
  }

  /** Puts one behind the others. */
  add(key: string, value: string, mark: Mark): number {
    this.texts.push(key, value);
    return this.#marks.push(mark) - 1;
  }

  /** The copy at a place becomes another one. */
  renew(at: number, value: string, mark: Mark): void {
    this.texts[2 * at + 1] = value;
    this.#marks[at] = mark;
  }
}
