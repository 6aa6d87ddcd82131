/**
 * The copies of each space, by its name.
 *
 * Invariant: copies that anybody has are found here, so that they miss nothing that is no longer true. Those that nobody has go after
 * as many other spaces as are kept: a server may see one for each of its users, and none of most of them again.
 */
import type { Copies } from './copies.js';

/** The spaces that are kept for whoever comes next: these, and as many that were asked for before them. */
const KEPT = 1_000;
/** Without it nothing goes. */
const WEAK = typeof WeakRef === 'function';

export class Spaces {
  readonly #make: () => Copies;
  /** Those that were asked for of late, those that were before, and of earlier ones those that sessions have. */
  #young = new Map<string, Copies>();
  #old = new Map<string, Copies>();
  readonly #lent = new Map<string, WeakRef<Copies>>();

  constructor(make: () => Copies) {
    this.#make = make;
  }

  /** The copies of a space, which are made where there are none. */
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
