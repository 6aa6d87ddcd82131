/**
 * Copies of values, by key: in a map, on the pages on which they came, or piled up as they were written.
 *
 * Invariant: what is in its place in the map is at least as new as what a page says, and that as what is piled up; so they are asked in
 * this order, and whoever takes a copy out of its place takes it off its page and the pile as well.
 */
import { Copy, type Mark } from './copy.js';
import { Pages } from './pages.js';
import { type Marks, Pile, type Piled } from './pile.js';

/** The copies of a space. */
export class Copies {
  readonly #places = new Map<string, Copy>();
  readonly #pages = new Pages();
  readonly #pile: Pile;
  /** Whether anything has come on a page. */
  #paged = false;

  constructor(piled: Piled) {
    this.#pile = new Pile(piled);
  }

  /** The copy of a key, which somebody reads. A walk leaves it where it is; who reads here and there has it put in its place. */
  get(key: string): Copy | undefined {
    const placed = this.#places.size === 0 ? undefined : this.#places.get(key);
    return placed ?? this.#pages.read(key, this.#places) ?? (this.#pile.empty ? undefined : this.#dig(key));
  }

  /** Puts a copy into its place. */
  set(key: string, copy: Copy): void {
    this.#places.set(key, copy);
  }

  /** Whether there are any beside those that are piled up. */
  get any(): boolean {
    return this.#places.size > 0 || this.#paged;
  }

  /** A key has another value now, and its copy is put into its place. */
  put(key: string, value: string, mark: Mark): void {
    if (!this.renew(key, value, mark)) this.#places.set(key, new Copy(value, mark));
  }

  /** A key has another value now. The copy that is in its place becomes one of that; false where there is none. */
  renew(key: string, value: string, mark: Mark): boolean {
    const held = this.#places.get(key);
    if (held === undefined) return false;
    held.value = value;
    held.mark = mark;
    return true;
  }

  /** The copy of a key that is on a page is no longer true. */
  unpage(key: string): void {
    this.#pages.delete(key);
  }

  /** Piles up what was written, as it was handed over, once of no key an older copy is in its place or on a page. */
  pile(texts: readonly string[], kinds: Uint8Array, marks: Marks, units: number): void {
    this.#pile.add(texts, kinds, marks, units);
  }

  /** Lets go of what is piled up. */
  unpile(): void {
    this.#pile.clear();
  }

  /** Takes what came with a read. */
  add(text: string, numbers: Uint32Array): void {
    this.#paged = true;
    this.#pages.add(text, numbers);
  }

  /** Whether anything that came with other reads was read since this was asked last. */
  served(): boolean {
    return this.#pages.served();
  }

  /** Whether somebody has read on to the end of a page just now, and would go on behind it. */
  get walked(): boolean {
    return this.#pages.walked;
  }

  /** The copy of a key, if there is one, is no longer true. */
  delete(key: string): void {
    this.#places.delete(key);
    this.#pages.delete(key);
    this.#pile.delete(key);
  }

  clear(): void {
    this.#pile.clear();
    this.#places.clear();
    this.#pages.clear();
    this.#paged = false;
  }

  /** A part of the pile at a time, lest a read take long. Who reads on has found all of it soon; what was not found the core knows. */
  #dig(key: string): Copy | undefined {
    this.#pile.place(this.#places);
    return this.#places.get(key);
  }
}
