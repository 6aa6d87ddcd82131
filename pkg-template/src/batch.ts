/**
 * Collects the writes of a batch completely before the core is called.
 */
import type { RawMutation } from './binding.js';
import { invalid } from './errors.js';
import { TTL, toKey, toTtl } from './terms.js';
import type { Duration, Key, Version } from './types/data.js';
import type { Batch } from './types/session.js';
import { encode, isBytes } from './value.js';

/** Runs `build` and returns what it asked for. If it throws, the exception passes through and nothing is written. */
export function collect<M>(build: (tx: Batch<M>) => unknown): RawMutation[] {
  if (typeof build !== 'function') throw invalid('batch takes a function');
  const builder = new Builder<M>();
  try {
    const answer = build(builder);
    if (typeof (answer as PromiseLike<unknown> | undefined)?.then !== 'function') return builder.mutations;
    (answer as PromiseLike<unknown>).then(undefined, () => {}); // its own rejection would hide this error
    throw invalid('the function of a batch is not async: read first, then batch');
  } finally {
    builder.closed = true;
  }
}

class Builder<M> implements Batch<M> {
  readonly mutations: RawMutation[] = [];
  closed = false;

  check(key: Key<M>, version: Version | null): this {
    if (version !== null && typeof version !== 'string') throw invalid('check takes a version, or null for an absent key');
    return this.#push([0, toKey(key), version]);
  }

  set(key: Key<M>, value: unknown, options?: { ttl?: Duration | undefined }): this {
    const { kind, value: encoded } = encode(value);
    // The batch is handed over when it is complete, and bytes must not change until then.
    return this.#push([1, toKey(key), kind, isBytes(encoded) ? encoded.slice() : encoded, toTtl(options, TTL)]);
  }

  delete(key: Key<M>): this {
    return this.#push([2, toKey(key)]);
  }

  #push(mutation: RawMutation): this {
    if (this.closed) throw invalid('the batch is over: its writes are made while its function runs');
    this.mutations.push(mutation);
    return this;
  }
}
