/**
 * The value of one key as an observable, for view libraries.
 *
 * Invariants:
 * - `value` is the same frozen object until the key changes.
 * - It never goes back behind what the session has seen: while the replica is behind, it keeps its last value.
 * - Without subscribers the core holds nothing for it.
 * - It follows its session: in another space it shows that space's key.
 */
import type { RawEntry } from './binding.js';
import { EdgeSessionError, invalid } from './errors.js';
import { FROZEN } from './frozen.js';
import type { Handle } from './handle.js';
import { report } from './platform.js';
import { syncBits, toKey } from './terms.js';
import type { Live } from './types/session.js';

// A watch fails if the replica stays behind for this long; the live value then starts another one.
const PATIENCE = 60_000;

export class LiveHandle<T> implements Live<T | undefined> {
  readonly #handle: Handle;
  readonly #key: string;
  readonly #listeners = new Set<{ readonly listener: (value: T | undefined) => void }>();
  readonly #follow = () => this.#move();
  /** The space that the value belongs to. */
  #space: string | undefined;
  #version: string | undefined;
  #value: T | undefined;
  #watch: number | undefined;

  constructor(handle: Handle, key: string) {
    this.#handle = handle;
    this.#key = toKey(key);
    void handle.raw;
  }

  get value(): T | undefined {
    this.#refresh();
    return this.#value;
  }

  subscribe(listener: (value: T | undefined) => void): () => void {
    if (typeof listener !== 'function') throw invalid('a listener is a function');
    const entry = { listener };
    this.#listeners.add(entry);
    try {
      this.#begin();
      listener(this.value);
    } catch (error) {
      this.#drop(entry);
      throw error;
    }
    return () => this.#drop(entry);
  }

  #drop(entry: { readonly listener: (value: T | undefined) => void }): void {
    this.#listeners.delete(entry);
    if (this.#listeners.size > 0) return;
    this.#handle.followers.delete(this.#follow);
    this.#end();
  }

  #end(): void {
    if (this.#watch !== undefined) this.#handle.driver.unwatch(this.#watch);
    this.#watch = undefined;
  }

  /** The session has moved to another space. */
  #move(): void {
    this.#end();
    try {
      this.#refresh();
      this.#begin();
    } catch (error) {
      report('edge-session: a live value has ended', error);
    }
    this.#notify();
  }

  #begin(): void {
    this.#handle.followers.add(this.#follow);
    if (this.#watch !== undefined) return;
    const { raw } = this.#handle;
    const watcher = { handle: this.#handle, wake: () => this.#wake(), fail: () => (this.#watch = undefined) };
    this.#watch = this.#handle.driver.watch((_, now) => raw.watch({ key: this.#key }, 0, PATIENCE, now), watcher, this.#handle.asking());
  }

  #wake(): void {
    const watch = this.#watch;
    if (watch === undefined) return;
    try {
      this.#handle.driver.call((core, now) => core.next(watch, now));
    } catch (error) {
      this.#end();
      if (!EdgeSessionError.is(error, 'STALE_REPLICA')) return report('edge-session: a live value has ended', error);
      this.#begin();
    }
    if (this.#refresh()) this.#notify();
  }

  #notify(): void {
    const value = this.#value;
    for (const entry of [...this.#listeners]) {
      if (!this.#listeners.has(entry)) continue;
      try {
        entry.listener(value);
      } catch (thrown) {
        report('edge-session: a listener of a live value threw', thrown);
      }
    }
  }

  /** Reads the key as the session may see it; true if the value changed. */
  #refresh(): boolean {
    const { space } = this.#handle.info;
    const moved = space !== this.#space;
    // The old space's value says nothing here, where the replica may be behind or the session have no right to read.
    if (moved) [this.#space, this.#version, this.#value] = [space, undefined, undefined];
    let raw: RawEntry | undefined;
    try {
      raw = this.#handle.call((session, now) => session.get(this.#key, syncBits(), -1, now)) as RawEntry | undefined;
    } catch (error) {
      if (EdgeSessionError.is(error, 'STALE_REPLICA')) return moved;
      throw error;
    }
    if (raw?.version === this.#version) return moved;
    this.#version = raw?.version;
    const values = this.#handle.front.freezes ? this.#handle.values : FROZEN;
    this.#value = raw && (values.of(this.#key, raw) as T);
    return true;
  }
}
