/**
 * What the core orders, collected: each effect arrives as a few numbers and one text, and is made an object here.
 *
 * Invariant: nothing is performed, and nobody called, while effects are collected. What is to be forgotten stands by itself: that
 * is done before anything else is performed, and where somebody who is being told of something has called, before that call returns.
 */
import type { CoreSink, Effect, Kind, RawEntry } from './binding.js';

/** What is performed one after the other. */
export type Performed = Exclude<Effect, { readonly kind: 'forget' }>;

export class Effects implements CoreSink {
  /** In the order in which they are to be performed. */
  readonly list: Performed[] = [];
  /** Copies that are no longer true; null: all of them. */
  readonly forgotten: (readonly (readonly [space: string, key: string])[] | null)[] = [];

  persist(n: number, bytes: Uint8Array): void {
    this.list.push({ kind: 'persist', n, bytes });
  }

  transmit(link: number, bytes: Uint8Array): void {
    this.list.push({ kind: 'transmit', link, bytes });
  }

  settled(wait: number): void {
    this.list.push({ kind: 'settled', wait });
  }

  watch(watch: number): void {
    this.list.push({ kind: 'watch', watch });
  }

  unsynced(unsynced: boolean): void {
    this.list.push({ kind: 'unsynced', unsynced });
  }

  timeout(at: number): void {
    this.list.push({ kind: 'timeout', at: at < 0 ? null : at });
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
    this.list.push({ kind: 'event', event: { type: 'change', space: told.space, key: told.key, entry, version: told.version } });
  }

  other(effect: Effect): void {
    if (effect.kind === 'forget') this.forgotten.push(effect.keys);
    else this.list.push(effect);
  }
}
