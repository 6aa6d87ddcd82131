/**
 * A watch as an async iterator.
 *
 * Invariant: it yields the newest state of a key that the session may see at that moment. It takes changes from the
 * core when the consumer asks for them, and a newer change replaces an older one that was not consumed yet.
 */
import type { RawChange, RawRange } from './binding.js';
import type { Watcher } from './driver.js';
import type { EdgeSessionError } from './errors.js';
import type { Handle } from './handle.js';
import type { Terms } from './terms.js';
import type { Change } from './types/data.js';
import { toChange } from './value.js';

interface Consumer<T> {
  resolve(result: IteratorResult<T>): void;
  reject(error: unknown): void;
}

export class Watch<K extends string, T> implements AsyncIterableIterator<Change<K, T>>, Watcher {
  readonly handle: Handle;
  readonly #terms: Terms;
  readonly #changes = new Map<string, RawChange>();
  readonly #consumers: Consumer<Change<K, T>>[] = [];
  readonly #abort = () => this.#end();
  #id: number | undefined;
  #dirty = false;
  #over = false;
  #failure: EdgeSessionError | undefined;

  constructor(handle: Handle, range: RawRange | { key: string }, terms: Terms) {
    this.handle = handle;
    this.#terms = terms;
    const { raw } = handle;
    this.#id = handle.driver.watch((_, now) => raw.watch(range, terms.bits, terms.timeout, now), this, handle.asking());
    terms.signal?.addEventListener('abort', this.#abort);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Change<K, T>>> {
    return new Promise((resolve, reject) => {
      this.#consumers.push({ resolve, reject });
      this.#serve();
    });
  }

  return(): Promise<IteratorResult<Change<K, T>>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  wake(): void {
    this.#dirty = true;
    if (this.#consumers.length > 0) this.#serve();
  }

  fail(error: EdgeSessionError): void {
    if (this.#over) return;
    this.#failure = error;
    this.#end();
  }

  #serve(): void {
    if (this.#dirty && !this.#over) this.#take();
    for (const [key, change] of this.#changes) {
      const consumer = this.#consumers.shift();
      if (consumer === undefined) return;
      this.#changes.delete(key);
      consumer.resolve({ done: false, value: toChange<K, T>(change, this.handle.values) });
    }
    if (this.#over) this.#dismiss();
  }

  #take(): void {
    this.#dirty = false;
    const id = this.#id;
    if (id === undefined) return;
    try {
      for (const change of this.handle.driver.call((core, now) => core.next(id, now))) {
        this.#changes.delete(change.key); // re-inserted, so that it takes the later position
        this.#changes.set(change.key, change);
      }
    } catch (error) {
      this.fail(error as EdgeSessionError);
    }
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#changes.clear();
    this.#terms.signal?.removeEventListener('abort', this.#abort);
    if (this.#id !== undefined) this.handle.driver.unwatch(this.#id);
    this.#dismiss();
  }

  /** The failure goes to one consumer; for the others the iteration has ended. */
  #dismiss(): void {
    for (const consumer of this.#consumers.splice(0)) {
      if (this.#failure === undefined) consumer.resolve({ done: true, value: undefined });
      else consumer.reject(this.#failure);
      this.#failure = undefined;
    }
  }
}
