/**
 * The copies of each space, by name.
 *
 * Invariant: copies that any session holds are found here, so they never miss that a value is no longer true. Copies
 * that no session holds are released once enough other spaces were used: a server may see a space for each of its
 * users, and most of them once.
 */
import type { Copies } from './copies.js';

/** How many recently used spaces are kept, and as many that were used before them. */
const KEPT = 1_000;
/** Without weak references nothing is released. */
const WEAK = typeof WeakRef === 'function';

export class Spaces {
  readonly #make: () => Copies;
  /** Recently used spaces; those used before; and of still older ones those whose copies a session holds. */
  #young = new Map<string, Copies>();
  #old = new Map<string, Copies>();
  readonly #lent = new Map<string, WeakRef<Copies>>();

  constructor(make: () => Copies) {
    this.#make = make;
  }

  /** The copies of a space; made if there are none. */
  get(space: string): Copies {
    const young = this.#young.get(space);
    if (young !== undefined) return young;
    const copies = this.find(space) ?? this.#make();
    this.#old.delete(space);
    this.#lent.delete(space);
    if (WEAK && this.#young.size >= KEPT) this.#age();
    this.#young.set(space, copies);
    return copies;
  }

  find(space: string): Copies | undefined {
    return this.#young.get(space) ?? this.#old.get(space) ?? this.#lent.get(space)?.deref();
  }

  each(run: (copies: Copies) => void): void {
    for (const copies of this.#young.values()) run(copies);
    for (const copies of this.#old.values()) run(copies);
    for (const lent of this.#lent.values()) {
      const copies = lent.deref();
      if (copies !== undefined) run(copies);
    }
  }

  clear(): void {
    for (const copies of [this.#young, this.#old, this.#lent]) copies.clear();
  }

  #age(): void {
    for (const [space, lent] of this.#lent) if (lent.deref() === undefined) this.#lent.delete(space);
    for (const [space, copies] of this.#old) this.#lent.set(space, new WeakRef(copies));
    this.#old = this.#young;
    this.#young = new Map();
  }
}
