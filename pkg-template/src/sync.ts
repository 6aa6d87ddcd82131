/**
 * The session without promises: the same operations and checks, answered or refused at once.
 *
 * The hot path: once the core has answered this session a read (or write) under these guarantees, reads of copies (or
 * writes) no longer cross the boundary; see `front.ts`.
 */
import { collect } from './batch.js';
import type { Glance, Kind, RawEntry } from './binding.js';
import { Json } from './copy.js';
import type { Front } from './front.js';
import type { Handle } from './handle.js';
import { Held, hold } from './hold.js';
import { RANGE, TTL, syncBits, toKey, toRange, toTtl } from './terms.js';
import type { Duration, Entry, Guarantees, Key, KeyRange, Version } from './types/data.js';
import type { Batch, SyncSession } from './types/session.js';
import { type Encoded, encode, toEntry } from './value.js';

// With this timeout the core never waits, so a number is never the id of a wait.
const NO_TIMEOUT = -1;

export class SyncHandle<M> implements SyncSession<M> {
  readonly #handle: Handle;
  readonly #bits: number;
  // The epoch of the handle in which the core last allowed a read, and a write.
  #mayRead = -1;
  #mayWrite = -1;
  readonly #front: Front;
  // The turn of the front in which a ready value was served: within it, all ready values may be served.
  #turn = -1;
  // The turn in which a write was accepted by the front.
  #wrote = -1;

  constructor(handle: Handle, guarantees?: Guarantees) {
    this.#handle = handle;
    this.#front = handle.front;
    this.#bits = syncBits(guarantees);
  }

  with(guarantees: Guarantees): SyncSession<M> {
    return new SyncHandle<M>(this.#handle, guarantees);
  }

  get<K extends Key<M>>(key: K): M[K] | undefined {
    // Within the turn all conditions that `#look` checks still hold. Nothing else is here: an engine inlines short code
    // into its caller, and the less there is of it, the more reads a processor overlaps.
    const front = this.#front;
    if (front.turn === this.#turn && front.serves > 0 && typeof key === 'string') {
      const plain = front.plains[key];
      if (plain !== undefined) {
        front.serves -= 1;
        return plain as M[K];
      }
    }
    return this.#look(key);
  }

  entry<K extends Key<M>>(key: K): Entry<K, M[K]> | undefined {
    const name = toKey(key);
    const raw = this.#handle.call((session, now) => session.get(name, this.#bits, NO_TIMEOUT, now)) as RawEntry | undefined;
    return raw && toEntry<K, M[K]>(raw, this.#handle.values);
  }

  set<K extends Key<M>>(key: K, value: M[K], options?: { ttl?: Duration | undefined }): void {
    if (typeof value === 'string' && options === undefined) {
      const name = toKey(key);
      // Whether the string is well formed is checked when the log is handed over, together with others.
      if (this.#write(name, 0, value)) return;
    }
    const { kind, value: encoded } = this.#encode(key, value, options);
    const name = toKey(key);
    const ttl = options === undefined ? -1 : toTtl(options, TTL);
    if (ttl < 0 && kind !== 2 && this.#write(name, kind, encoded as string | Held)) return;
    this.#cross(name, kind, encoded instanceof Held ? encoded.text : encoded, ttl);
  }

  delete(key: Key<M>): void {
    const name = toKey(key);
    if (this.#write(name, 3, '')) return;
    this.#cross(name, 3, '', -1);
  }

  list<K extends Key<M>>(range?: KeyRange): Entry<K, M[K]>[] {
    const bounds = toRange(range, RANGE);
    const found = this.#handle.call((raw, now) => raw.list(bounds, this.#bits, NO_TIMEOUT, now)) as RawEntry[];
    const { values } = this.#handle;
    return found.map((entry) => toEntry<K, M[K]>(entry, values));
  }

  batch(build: (tx: Batch<M>) => unknown): Version {
    const mutations = collect(build);
    return this.#handle.call((raw, now) => raw.batch(mutations, this.#bits, NO_TIMEOUT, now)) as Version;
  }

  /**
   * A read that no ready value answers. It is one function, including the core's answer and its copies, so that it is
   * too long to be inlined into `get`, which would then be too long to be inlined into its callers.
   */
  #look<K extends Key<M>>(key: K): M[K] | undefined {
    const handle = this.#handle;
    // First everything that may call the host: a clock or role of its own may read here as well.
    if (typeof key === 'string' && handle.alive() && this.#mayRead === handle.heed()) {
      const { account, copies, front } = handle;
      const logs = front.logged === copies;
      const plain = logs ? undefined : copies.ready.plain(key, account.covered);
      if (plain !== undefined) {
        if (handle.roles === undefined) this.#turn = front.serve(copies.ready.plains);
        return plain as M[K];
      }
      const copy = logs ? front.read(copies, key, account) : copies.get(key, account);
      if (copy !== undefined) return (copy instanceof Json ? copy.own() : copy) as M[K];
    }
    const name = toKey(key);
    const { front } = handle;
    const ahead = front.ahead(handle.copies);
    let [at, epoch, found] = [0, -1, undefined as Glance | undefined];
    handle.call(
      (raw, now) => (found = raw.glance(name, this.#bits, ahead, (at = now))),
      (seen) => {
        // Before any effect is performed: effects may revoke what this call allowed, and forget what it copied.
        epoch = handle.epoch;
        if (seen !== undefined && !handle.stating) front.keep(handle.account, handle.copies, name, seen);
      },
      (now) => front.apart(name, now),
    );
    handle.allowed(at);
    this.#mayRead = epoch;
    return found && (handle.values.of(key, { kind: found[0], value: found[1] }) as M[K]);
  }

  /**
   * Encodes a value. An object that replaces another in the log is only copied, so that overwritten ones never become
   * text.
   */
  #encode(key: unknown, value: unknown, options: unknown): Encoded | ReturnType<typeof hold> {
    const logged = typeof value === 'object' && value !== null && options === undefined && this.#front.logged !== undefined;
    // An invalid key is refused later, after the value.
    const holds = logged && typeof key === 'string' && this.#front.holds(this.#handle.copies, key);
    if (!holds) return encode(value);
    const held = hold(value);
    if (typeof held.value === 'string') this.#front.unheld();
    return held;
  }

  /** Writes to the front; false if the core must be asked. */
  #write(key: string, kind: 0 | 1 | 3, value: string | Held): boolean {
    const front = this.#front;
    // As for reads: in this turn all conditions still hold.
    if (front.turn === this.#wrote && front.serves > 0 && key !== '' && front.append(key, kind, value)) {
      front.serves -= 1;
      return true;
    }
    const handle = this.#handle;
    for (;;) {
      if (this.#mayWrite !== handle.heed() || !front.open) return false;
      const now = front.now();
      if (!handle.within(now)) return false;
      const written = front.write(handle.account, handle.copies, this.#bits, key, kind, value, now);
      if (written === true && handle.roles === undefined) this.#wrote = front.turn;
      if (written !== undefined) return written;
    }
  }

  /**
   * Writes to the core. Separate from the callers, because an engine allocates captured variables at function entry,
   * needed or not: a third of the memory that a write allocated.
   */
  #cross(key: string, kind: Kind | 3, value: string | Uint8Array, ttl: number): void {
    const handle = this.#handle;
    let [at, epoch] = [0, -1];
    handle.call(
      (raw, now) => {
        at = now;
        return kind === 3 ? raw.delete(key, this.#bits, NO_TIMEOUT, now) : raw.set(key, kind, value, ttl, this.#bits, NO_TIMEOUT, now);
      },
      // Before any effect is performed: effects may revoke what this call allowed.
      () => void (epoch = handle.epoch),
    );
    handle.allowed(at);
    this.#mayWrite = epoch;
  }
}
