/**
 * Sheets: copies that arrived together stay together, in the form in which they arrived: the texts of a log, or
 * neighbours as one text (`page.ts`). An object and a map entry for each copy would cost several times as much as
 * finding it here.
 *
 * Invariant: if `is` says that a place holds a key, that is true until the copy is dropped, and a dropped copy never
 * returns.
 */
import type { Mark, Marks, Stored } from './copy.js';

/** The most copies of a sheet: at least as many as the core returns with one read, and as a log holds. */
export const SHEET_BITS = 10;
export const SHEET = 1 << SHEET_BITS;
/**
 * A sheet of texts with less than an eighth of its copies left, and at least 64 gone, is not worth its arrays: its
 * copies move.
 */
const WORTH = 8;
const FEW = 64;

/**
 * A hash of part of a text, with an odd secret seed. Without the seed nobody can choose keys that collide: whatever
 * bits two texts differ in, the difference of their hashes depends on the second product, and so on the seed.
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

/** A sheet with a cursor at the copy that was read last. */
export interface Sheet {
  /** The stored text at the cursor, and the mark of its write. */
  readonly value: string;
  readonly mark: Mark;
  /** The number of places. */
  readonly size: number;
  /** The cursor. */
  readonly at: number;
  /** Whether anything on it was read, or a copy that it has replaced. */
  seen: boolean;
  /** Whether all copies but the first were prefetched. */
  readonly unasked: boolean;
  /** Whether a place holds a copy of this key. */
  is(key: string, at: number): boolean;
  /** Whether a place holds a copy. */
  has(at: number): boolean;
  /** The key at a place. */
  key(at: number): string;
  hash(at: number, seed: number): number;
  /** Moves the cursor to a place that holds a copy. */
  open(at: number): void;
  /** Drops the copy at a place. */
  drop(at: number): void;
  /** Whether enough copies are left to justify the memory. */
  readonly worth: boolean;
}

/** Keys and values as separate strings. */
abstract class Texts implements Sheet {
  readonly unasked = false;
  at = 0;
  seen = false;
  /** Key, value, key, value, …; undefined where there is no copy. */
  protected readonly texts: (string | undefined)[];
  /** How many places hold no copy. */
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

/** The number of deletions. A plain loop, because it runs for each log. */
function deleted(kinds: Uint8Array): number {
  let gone = 0;
  for (let at = 0; at < kinds.length; at += 1) if (kinds[at] === 3) gone += 1;
  return gone;
}

/** The position of a text within a longer one is packed as `start * SPAN + length`. */
export const SPAN = 2 ** 13;

/** The writes of a log after the core has received them. */
export class Written extends Texts {
  readonly #kinds: Uint8Array;
  /** The packed position of a value that lies within a longer text; 0 for others. */
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
    // A concatenation becomes a text of its own once it is looked into. A slice alone would keep the whole longer text
    // in memory, and is slower to parse.
    return text.charAt(from) + text.slice(from + 1, from + (span % SPAN));
  }

  get mark(): Mark {
    return this.#marks[this.#kinds[this.at] as 0 | 1];
  }

  /** Whether a place holds a copy: a deletion is none. */
  override has(at: number): boolean {
    return (this.#kinds[at] as Stored) !== 3 && super.has(at);
  }

  override is(key: string, at: number): boolean {
    return super.is(key, at) && (this.#kinds[at] as Stored) !== 3;
  }

  /**
   * Unlike a loose sheet, nothing is added to this one, so even a small one is worth nothing once it is empty. With
   * values within longer texts, half of its copies must be left, because the long texts stay as long as the sheet.
   */
  override get worth(): boolean {
    return this.left > 0 && super.worth && (this.#spans === undefined || 2 * this.left > this.size);
  }
}

/** Copies that arrived one at a time. */
export class Loose extends Texts {
  readonly #marks: Mark[] = [];

  constructor() {
    super([], 0);
  }

  get mark(): Mark {
    return this.#marks[this.at] as Mark;
  }

  /** Appends a copy; returns its place. */
  add(key: string, value: string, mark: Mark): number {
    this.texts.push(key, value);
    return this.#marks.push(mark) - 1;
  }

  /** Replaces the copy at a place. */
  renew(at: number, value: string, mark: Mark): void {
    this.texts[2 * at + 1] = value;
    this.#marks[at] = mark;
  }
}
