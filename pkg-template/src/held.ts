/**
 * The core's sessions that are in use, each until its handle is let go of, by hand or by the garbage collector.
 *
 * A session that is let go of within the task that has begun it, as a server's is for a single answer, is none of the
 * collector's business: the others are registered after the task. Invariant: who is kept here is freed once. Nothing is hashed:
 * to put an object into a set, a weak map or a registry costs several times what all else here does.
 */
import type { CoreSession } from './binding.js';

/** The most sessions of one task that are held on to until it is over. */
const YOUNG = 32;

/** One session's place among them. */
export interface Held {
  readonly raw: CoreSession;
  /** Where it stands; negative once it was let go of. */
  at: number;
  /** Who uses it, until the collector is asked to say when nobody does. */
  handle: object | undefined;
}

export class HeldSessions {
  readonly #list: Held[] = [];
  readonly #young: Held[] = [];
  readonly #registry: FinalizationRegistry<Held> | undefined;
  #soon = false;

  /** `abandoned` is told of each whose handle nobody has any more. */
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

  /** Takes one out; false where it was. */
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
    // The one that was begun last is mostly the next to go; others go with the rest.
    if (this.#young.at(-1) === held) this.#young.pop();
    return true;
  }

  /** Takes all out. */
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
