/**
 * The core's sessions in use. Each is kept until its handle is released, explicitly or by the garbage collector.
 *
 * Invariant: each session is freed once.
 *
 * A session that is released within the task that began it, as a server's is for a single answer, is never registered
 * with the collector; the others are registered after the task. Nothing is hashed: putting an object into a set, a weak
 * map or a registry costs several times as much as everything else here.
 */
import type { CoreSession } from './binding.js';

/** The most unregistered sessions that one task may accumulate. */
const YOUNG = 32;

/** An entry of the list. */
export interface Held {
  readonly raw: CoreSession;
  /** Its index in the list; negative after release. */
  at: number;
  /** Keeps the handle alive until it is registered with the collector. */
  handle: object | undefined;
}

export class HeldSessions {
  readonly #list: Held[] = [];
  readonly #young: Held[] = [];
  readonly #registry: FinalizationRegistry<Held> | undefined;
  #soon = false;

  /** `abandoned` is called for each session whose handle was collected. */
  constructor(abandoned: (held: Held) => void) {
    this.#registry = typeof FinalizationRegistry === 'function' ? new FinalizationRegistry(abandoned) : undefined;
  }

  add(handle: object, raw: CoreSession): Held {
    const held: Held = { raw, at: this.#list.length, handle };
    this.#list.push(held);
    if (this.#registry === undefined) {
      held.handle = undefined;
      return held;
    }
    if (this.#young.push(held) >= YOUNG) this.#register();
    else if (!this.#soon) {
      this.#soon = true;
      void Promise.resolve().then(() => {
        this.#soon = false;
        this.#register();
      });
    }
    return held;
  }

  /** Removes an entry; false if it was removed before. */
  remove(held: Held): boolean {
    if (held.at < 0) return false;
    const last = this.#list.pop();
    if (last !== undefined && last !== held) {
      this.#list[held.at] = last;
      last.at = held.at;
    }
    held.at = -1;
    if (held.handle === undefined) this.#registry?.unregister(held);
    else held.handle = undefined;
    // Usually the youngest is the next to go. Others leave `#young` at the next `#register`.
    if (this.#young.at(-1) === held) this.#young.pop();
    return true;
  }

  /** Removes all entries. */
  clear(): CoreSession[] {
    const list = this.#list.splice(0);
    for (const held of list) held.at = -1;
    this.#young.length = 0;
    return list.map((held) => held.raw);
  }

  #register(): void {
    for (const held of this.#young) {
      if (held.handle !== undefined) this.#registry?.register(held.handle, held, held);
      held.handle = undefined;
    }
    this.#young.length = 0;
  }
}
