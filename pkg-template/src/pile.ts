/**
 * Copies of what was written, piled up log by log for whoever reads, if anybody does: then they are put into their places, the newest
 * first. To put each into a map when it is written would cost more than to write it.
 *
 * Invariants: what comes from the pile takes nobody's place, for what has one is at least as new; of a key the newest is taken; and
 * what is no longer true is not taken, which the pile is told of each key, for it does not know which it has.
 */
import { Copy, type Mark, type Stored } from './copy.js';

/** The most on all piles of a replica together, in UTF-16 units of text, where a write counts as some more: then all are let go of. */
export const PILED_UNITS = 1 << 24;
const WRITE_UNITS = 32;

/** How much is on all piles of a replica. */
export interface Piled {
  units: number;
}

/** The marks of a log, by the kind of what it has written. */
export type Marks = Readonly<Record<0 | 1, Mark>>;

/** A log that the core was given. */
interface Layer {
  /** Key, value, key, value, …. */
  readonly texts: readonly string[];
  readonly kinds: Uint8Array;
  readonly marks: Marks;
  readonly weight: number;
  /** How many writes were piled up before. */
  readonly from: number;
}

export class Pile {
  readonly #piled: Piled;
  #layers: Layer[] = [];
  /** How many writes are on the pile. */
  #held = 0;
  /** How many writes were ever piled up. */
  #count = 0;
  /** Of keys whose copies are no longer true: where true ones begin. */
  readonly #gone = new Map<string, number>();

  constructor(piled: Piled) {
    this.#piled = piled;
  }

  get empty(): boolean {
    return this.#layers.length === 0;
  }

  add(texts: readonly string[], kinds: Uint8Array, marks: Marks, units: number): void {
    const weight = units + WRITE_UNITS * kinds.length;
    this.#layers.push({ texts, kinds, marks, weight, from: this.#count });
    this.#count += kinds.length;
    this.#held += kinds.length;
    this.#piled.units += weight;
  }

  /** The copies of a key, if there are any, are no longer true. Once more keys are not than are piled up, all are let go of. */
  delete(key: string): void {
    if (this.empty) return;
    this.#gone.set(key, this.#count);
    if (this.#gone.size > this.#held) this.clear();
  }

  clear(): void {
    for (const { weight } of this.#layers) this.#piled.units -= weight;
    this.#layers = [];
    this.#held = 0;
    this.#gone.clear();
  }

  /** Puts the newest log's copies into their places. */
  place(places: Map<string, Copy>): void {
    const layer = this.#layers.pop();
    if (layer === undefined) return;
    const { texts, kinds, marks, weight, from } = layer;
    this.#piled.units -= weight;
    this.#held -= kinds.length;
    for (let at = kinds.length - 1; at >= 0; at -= 1) {
      const [key, kind] = [texts[2 * at] as string, kinds[at] as Stored];
      if (kind === 3) this.#gone.set(key, Math.max(this.#gone.get(key) ?? 0, from + at));
      else if (!(from + at < (this.#gone.get(key) ?? 0)) && !places.has(key)) places.set(key, new Copy(texts[2 * at + 1] as string, marks[kind]));
    }
    if (this.empty) this.#gone.clear();
  }
}
