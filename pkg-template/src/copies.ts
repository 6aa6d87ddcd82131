/**
 * Copies of values, by key: in a map, or on the pages on which they came.
 *
 * Invariant: what is in its place in the map is at least as new as what a page says, so the map is asked first, and whoever takes
 * a copy out of its place takes it off its page as well.
 */
import type { Copy } from './copy.js';
import { Pages } from './pages.js';

/** The copies of a space. */
export class Copies {
  readonly #places = new Map<string, Copy>();
  readonly #pages = new Pages();

  /** The copy of a key, which somebody reads. A walk leaves it where it is; who reads here and there has it put in its place. */
  get(key: string): Copy | undefined {
    return this.#places.get(key) ?? this.#pages.read(key, this.#places);
  }

  /** The copy of a key that is in its place. */
  placed(key: string): Copy | undefined {
    return this.#places.get(key);
  }

  /** Puts a copy into its place. */
  set(key: string, copy: Copy): void {
    this.#places.set(key, copy);
  }

  /** Takes what came with a read. */
  add(text: string, numbers: Float64Array): void {
    this.#pages.add(text, numbers);
  }

  /** Whether somebody has read on to the end of a page just now, and would go on behind it. */
  get walked(): boolean {
    return this.#pages.walked;
  }

  /** The copy of a key, if there is one, is no longer true. */
  delete(key: string): void {
    this.#places.delete(key);
    this.#pages.delete(key);
  }

  clear(): void {
    this.#places.clear();
    this.#pages.clear();
  }
}
