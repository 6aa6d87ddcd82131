/**
 * The session without promises: the same operations under the same checks, answered at once or refused at once.
 */
import { collect } from './batch.js';
import type { RawEntry } from './binding.js';
import type { Handle } from './handle.js';
import { syncBits, toKey, toRange, toTtl } from './terms.js';
import type { Duration, Entry, Guarantees, Key, KeyRange, Version } from './types/data.js';
import type { Batch, SyncSession } from './types/session.js';
import { decode, encode, toEntry } from './value.js';

// The core never waits under these terms, so that no answer is the number of a wait.
const NO_TIMEOUT = -1;

export class SyncHandle<M> implements SyncSession<M> {
  readonly #handle: Handle;
  readonly #bits: number;

  constructor(handle: Handle, guarantees?: Guarantees) {
    this.#handle = handle;
    this.#bits = syncBits(guarantees);
  }

  with(guarantees: Guarantees): SyncSession<M> {
    return new SyncHandle<M>(this.#handle, guarantees);
  }

  get<K extends Key<M>>(key: K): M[K] | undefined {
    const raw = this.#read(key);
    return raw && decode<M[K]>(raw);
  }

  entry<K extends Key<M>>(key: K): Entry<K, M[K]> | undefined {
    const raw = this.#read(key);
    return raw && toEntry<K, M[K]>(raw);
  }

  set<K extends Key<M>>(key: K, value: M[K], options?: { ttl?: Duration | undefined }): Version {
    const { kind, value: encoded } = encode(value);
    const [name, ttl] = [toKey(key), toTtl(options)];
    return this.#handle.call((raw, now) => raw.set(name, kind, encoded, ttl, this.#bits, NO_TIMEOUT, now)) as Version;
  }

  delete(key: Key<M>): Version {
    const name = toKey(key);
    return this.#handle.call((raw, now) => raw.delete(name, this.#bits, NO_TIMEOUT, now)) as Version;
  }

  list<K extends Key<M>>(range?: KeyRange): Entry<K, M[K]>[] {
    const bounds = toRange(range);
    const found = this.#handle.call((raw, now) => raw.list(bounds, this.#bits, NO_TIMEOUT, now)) as RawEntry[];
    return found.map((entry) => toEntry<K, M[K]>(entry));
  }

  batch(build: (tx: Batch<M>) => unknown): Version {
    const mutations = collect(build);
    return this.#handle.call((raw, now) => raw.batch(mutations, this.#bits, NO_TIMEOUT, now)) as Version;
  }

  #read(key: string): RawEntry | undefined {
    const name = toKey(key);
    return this.#handle.call((raw, now) => raw.get(name, this.#bits, NO_TIMEOUT, now)) as RawEntry | undefined;
  }
}
