/**
 * Collects the effects of a call of the core. Each arrives as a few numbers and one text, and becomes an object here.
 *
 * Invariant: while effects are collected, nothing is performed and nobody is called.
 *
 * Copies to forget are collected separately, because that is done before any effect is performed; also within a call
 * that a listener makes while effects are being performed, before that call returns.
 */
import type { CoreSink, Effect, Kind, RawEntry } from './binding.js';

/** The effects that are performed one after the other. */
export type Performed = Exclude<Effect, { readonly kind: 'forget' }>;

export class Effects implements CoreSink {
  /** The first effect. Usually there is no other, and a list that is emptied each time would allocate each time. */
  #first: Performed | undefined;
  readonly #others: Performed[] = [];
  /** How many of the others were taken. */
  #taken = 0;
  /** Copies that are no longer true; null means all. */
  readonly forgotten: (readonly (readonly [space: string, key: string])[] | null)[] = [];

  /** Takes the next effect, in the order in which the core emitted them. */
  next(): Performed | undefined {
    const first = this.#first;
    if (first !== undefined) {
      this.#first = undefined;
      return first;
    }
    const others = this.#others;
    if (this.#taken < others.length) return others[this.#taken++];
    if (this.#taken > 0) others.length = this.#taken = 0;
    return undefined;
  }

  #put(effect: Performed): void {
    if (this.#first === undefined && this.#others.length === 0) this.#first = effect;
    else this.#others.push(effect);
  }

  persist(n: number, bytes: Uint8Array): void {
    this.#put({ kind: 'persist', n, bytes });
  }

  transmit(link: number, bytes: Uint8Array): void {
    this.#put({ kind: 'transmit', link, bytes });
  }

  settled(wait: number): void {
    this.#put({ kind: 'settled', wait });
  }

  watch(watch: number): void {
    this.#put({ kind: 'watch', watch });
  }

  unsynced(unsynced: boolean): void {
    this.#put({ kind: 'unsynced', unsynced });
  }

  timeout(at: number): void {
    this.#put({ kind: 'timeout', at: at < 0 ? null : at });
  }

  forget(text: string, lengths: Uint32Array): void {
    const keys: [space: string, key: string][] = [];
    for (let at = 0, from = 0; at < lengths.length; at += 2) {
      const middle = from + (lengths[at] as number);
      const end = middle + (lengths[at + 1] as number);
      keys.push([text.slice(from, middle), text.slice(middle, end)]);
      from = end;
    }
    this.forgotten.push(keys);
  }

  change(text: string, space: number, key: number, version: number, kind: Kind | 3, expires: number, bytes: Uint8Array | undefined): void {
    const [keyEnd, versionEnd] = [space + key, space + key + version];
    const told = { space: text.slice(0, space), key: text.slice(space, keyEnd), version: text.slice(keyEnd, versionEnd) };
    let entry: RawEntry | undefined;
    if (kind !== 3) {
      entry = { key: told.key, kind, value: bytes ?? text.slice(versionEnd), version: told.version, expiresAt: expires < 0 ? null : expires };
    }
    this.#put({ kind: 'event', event: { type: 'change', space: told.space, key: told.key, entry, version: told.version } });
  }

  other(effect: Effect): void {
    if (effect.kind === 'forget') this.forgotten.push(effect.keys);
    else this.#put(effect);
  }
}
