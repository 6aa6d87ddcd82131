/**
 * Event listeners.
 *
 * Invariant: a listener that throws, subscribes or unsubscribes during a notification disturbs neither the emitter nor
 * other listeners. Its exception goes to `console.error`, and so does an `error` event that has no listener.
 */
import type { CoreEvent } from './binding.js';
import { EdgeSessionError, type ErrorCode, fromCore, invalid } from './errors.js';
import { report } from './platform.js';
import type { AbortSignalLike } from './types/plug.js';
import type { Events } from './types/replica.js';
import { decode, toSpaceChange } from './value.js';

type Listener = (event: never) => void;

const TYPES: readonly (keyof Events)[] = ['status', 'link', 'change', 'conflict', 'renamed', 'rejected', 'session', 'slow', 'error', 'crash'];

export class Emitter {
  readonly #listeners = new Map<keyof Events, Set<{ readonly listener: Listener }>>();
  readonly #interest: (type: keyof Events, wanted: boolean) => void;

  /** `interest` is called when a type gets its first listener and when it loses its last. */
  constructor(interest: (type: keyof Events, wanted: boolean) => void) {
    this.#interest = interest;
  }

  on<E extends keyof Events>(type: E, listener: (event: Events[E]) => void, signal?: AbortSignalLike): () => void {
    if (!TYPES.includes(type)) throw invalid(`an event is one of ${TYPES.join(', ')}`);
    if (typeof listener !== 'function') throw invalid('a listener is a function');
    if (signal?.aborted) return () => {};
    const of = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, of);
    const entry = { listener };
    of.add(entry);
    if (of.size === 1) this.#interest(type, true);
    const off = () => {
      signal?.removeEventListener('abort', off);
      if (of.delete(entry) && of.size === 0) this.#interest(type, false);
    };
    signal?.addEventListener('abort', off);
    return off;
  }

  /** Emits an event. `make` is called for each listener, so that none gets an object that another may change. */
  emit<E extends keyof Events>(type: E, make: () => Events[E]): void {
    const of = this.#listeners.get(type);
    if (type === 'error' && !of?.size) return report(make());
    for (const entry of [...(of ?? [])]) {
      if (!of?.has(entry)) continue;
      try {
        (entry.listener as (event: Events[E]) => void)(make());
      } catch (thrown) {
        report(`edge-session: a listener of '${type}' threw`, thrown);
      }
    }
  }

  /** Emits an event of the core in its public form. The number of peers is reported with the status instead. */
  tell(event: CoreEvent): void {
    switch (event.type) {
      case 'change':
        return this.emit('change', () => toSpaceChange(event));
      case 'conflict':
        return this.emit('conflict', () => ({ space: event.space, key: event.key, kept: event.kept, dropped: event.dropped }));
      case 'renamed':
        return this.emit('renamed', () => ({ old: event.old, new: event.new }));
      case 'rejected':
        return this.emit('rejected', () => toRejected(event));
      case 'session':
        return this.emit('session', () => ({ session: { ...event.session } }));
      case 'slow':
        return this.emit('slow', () => ({ ...event.query }));
      case 'peers':
        return;
      case 'error': {
        const error = fromCore(event.error) ?? new EdgeSessionError('MESSAGE_MALFORMED', String(event.error));
        return this.emit('error', () => error);
      }
    }
  }
}

function toRejected({ space, code, writes }: Extract<CoreEvent, { type: 'rejected' }>): Events['rejected'] {
  const told = writes.map(({ key, kind, value }) => ({ key, value: kind === undefined || value === undefined ? undefined : decode({ kind, value }) }));
  return { space, code: code as ErrorCode, writes: told };
}
