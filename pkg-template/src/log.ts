/**
 * The writes that the front has accepted, in order, until the core receives them.
 *
 * Invariants:
 * - A lookup of a key finds its last write.
 * - A string with a lone surrogate leaves as JSON text, because it has no UTF-8.
 *
 * Keys enter a map only if somebody reads, or if keys repeat. Most keys are written once: looking each up in vain would
 * cost more than handing a repeated one over twice.
 */
import type { CoreSession } from './binding.js';
import type { Copies, Noting } from './copies.js';
import { type Copy, Mark, type Stored } from './copy.js';
import type { Held } from './hold.js';
import { SPAN } from './sheet.js';
import { wellFormed } from './value.js';

/** The most writes of a log: as many keys as a batch may have, unless the limits allow fewer. */
export const LOG_WRITES = 1_000;
/**
 * The most UTF-16 units of text in one crossing: larger strings cost twice as much, and Latin text of this length is
 * one block of the core's memory. A log whose keys do not repeat is not allowed to become longer: handing it over in
 * two parts took a sixth more time.
 */
const TEXT_UNITS = 40_000;
/** For so many writes one key is watched, to find out whether keys repeat. */
const WATCHED = 2 * LOG_WRITES;
/** If fewer than one in so many writes repeats a key, keys are no longer looked up. */
const WORTH = 8;
/**
 * Whether the engine is as old as Node 20's, recognised by a missing function. Its `join` makes a two-byte string as
 * soon as one part has been a property name (as a key that was concatenated and then read), and the joined text is kept
 * if it contains JSON.
 */
const OLD = !('withResolvers' in Promise);
/** No place. */
const NOWHERE = -1;
/**
 * A log of so many writes stays together as a sheet. Interrupted applications hand over smaller logs. A smaller log
 * that follows a large one also stays a sheet: it is what an interruption has left, and putting its writes one by one
 * would list everything that was written before.
 */
const MANY = 16;

export class Log {
  /** The number of writes, the units of their keys and values, and how many units the log should grow to. */
  size = 0;
  units = 0;
  most = 0;
  #bound = 0;
  /** Whether the log had no room for a write; and whether the previous log had none. */
  full = false;
  #short = false;
  /** Whether the previous log had many writes. */
  #many = false;
  /** Key, value, key, value, …. Keys may occur more than once. Held values become texts before they leave. */
  #texts: (string | Held)[] = [];
  readonly #kinds = new Uint8Array(LOG_WRITES);
  /**
   * For each write the length of its key, then that of its value shifted left by two bits, with the kind in these bits.
   */
  readonly #lengths = new Uint32Array(2 * LOG_WRITES);
  /** The last write of each key among the first `#known` writes. */
  readonly #places = new Map<string, number>();
  #known = 0;
  /** The marks of the writes, by kind. */
  #marks = marksOfLog();
  /** Whether keys repeat, so that each is looked up; and how many were found. */
  #hot = false;
  #found = 0;
  /**
   * Whether any value is held; and whether values may still be held, as long as nobody has read one and `hold` could
   * copy each.
   */
  #held = false;
  #holds = true;
  /** Whether any value is JSON text; and the parts that were handed over, each with the index after its last write. */
  #json = false;
  #parts: (readonly [text: string, end: number])[] = [];
  /** The key that `holds` looked up, until a new key is written; and its index. */
  #asked: string | undefined;
  #place = NOWHERE;
  #watched: string | undefined;
  /** The last character of the watched key. */
  #ending = 0;
  #watching = 0;

  /** Sets the most units of text that may be handed over. */
  bound(units: number): void {
    this.#bound = units;
    this.#heat(this.#hot);
  }

  /** The index of the value that a write would replace, or -1; as far as keys are looked up at all. */
  again(key: string): number {
    if (key === this.#asked) return this.#place;
    if (this.#hot) return this.find(key);
    // Comparing two strings is a call for an engine, and most keys differ in the last character.
    return key.charCodeAt(key.length - 1) === this.#ending ? this.#seen(key) : NOWHERE;
  }

  /** Whether the value about to be written replaces another one and may be held. */
  holds(key: string): boolean {
    if (!this.#holds) return false;
    this.#place = this.again(key);
    // `again` is asked for the same key when the value is written.
    this.#asked = key;
    return this.#place !== NOWHERE;
  }

  /** Stops holding values in this log. */
  unheld(): void {
    this.#holds = false;
  }

  /** The index of the last write of a key, or -1. */
  find(key: string): number {
    for (; this.#known < this.size; this.#known += 1) this.#places.set(this.#texts[2 * this.#known] as string, this.#known);
    return this.#places.get(key) ?? NOWHERE;
  }

  add(key: string, kind: Stored, value: string): void {
    // After a large log the array has its full length already; appending would grow and copy it again and again.
    this.#texts[2 * this.size] = key;
    this.#texts[2 * this.size + 1] = value;
    this.#lengths[2 * this.size] = key.length;
    this.#say(this.size, kind, value);
    this.units += key.length + value.length;
    this.size += 1;
    this.#asked = undefined;
    this.#watching -= 1;
    if (this.#watching > 0) return;
    this.#watched = key;
    this.#ending = key.charCodeAt(key.length - 1);
    this.#watching = WATCHED;
  }

  /** Replaces a value. */
  replace(at: number, kind: Stored, value: string | Held): void {
    this.#found += 1;
    this.#held ||= typeof value !== 'string';
    this.units += value.length - this.valueUnits(at);
    this.#texts[2 * at + 1] = value;
    this.#say(at, kind, value);
  }

  valueUnits(at: number): number {
    return (this.#lengths[2 * at + 1] as number) >>> 2;
  }

  /** What was written to a key, for a reader of the space's copies; undefined if it was deleted. */
  read(at: number, reader: Noting, copies: Copies): Copy | undefined {
    const kind = this.#kinds[at] as Stored;
    if (kind === 3) return undefined;
    reader.note(this.#marks[kind]);
    if (typeof this.#texts[2 * at + 1] !== 'string') {
      this.unheld();
      this.#write(at);
    }
    return copies.values.copy(kind, this.#texts[2 * at] as string, this.#texts[2 * at + 1] as string);
  }

  /** Hands everything to the core, which makes it one write. */
  send(raw: CoreSession, bits: number, now: number): void {
    this.#texts.length = 2 * this.size;
    for (let at = 0; this.#held && at < this.size; at += 1) this.#write(at);
    let from = 0;
    let end = this.#end(from);
    for (; end < this.size; end = this.#end(from)) {
      if (!raw.log(this.#part(from, end), this.#among(from, end), false)) raw.log(this.#formed(from, end), this.#among(from, end), true);
      from = end;
    }
    let dot = raw.handOver(this.#part(from, end), this.#among(from, end), bits, now, false);
    if (dot.length === 0) dot = raw.handOver(this.#formed(from, end), this.#among(from, end), bits, now, true);
    const [origin = 0, sequence = 0] = dot;
    for (const mark of [this.#marks[0], this.#marks[1]]) {
      mark.origin = origin;
      mark.sequence = sequence;
    }
  }

  /** Turns what was sent into copies. Many writes whose keys do not repeat stay together as a sheet. */
  leave(copies: Copies): void {
    if (!this.#hot && (this.size >= MANY || this.#many)) return copies.write(this.#texts as string[], this.#kinds.slice(0, this.size), this.#spans(), this.#marks, this.units);
    for (let at = 0; at < this.size; at += 1) {
      const [key, value, kind] = [this.#texts[2 * at] as string, this.#texts[2 * at + 1] as string, this.#kinds[at] as Stored];
      if (kind === 3) copies.delete(key);
      else copies.put(key, value, this.#marks[kind]);
    }
  }

  /** Empties the log, whatever has become of it. */
  clear(): void {
    this.#short = this.full;
    this.full = false;
    this.#heat(WORTH * this.#found > this.size + this.#found);
    this.#found = 0;
    this.#held = false;
    this.#holds = true;
    this.#json = false;
    this.#parts = [];
    this.#asked = undefined;
    this.#many = this.size >= MANY;
    this.#texts = this.#many ? new Array<string>(2 * this.size) : [];
    this.size = 0;
    this.units = 0;
    this.#marks = marksOfLog();
    if (this.#known > 0) this.#places.clear();
    this.#known = 0;
  }

  /** Looks up a key whose last character is that of the watched key. */
  #seen(key: string): number {
    if (key !== this.#watched) return NOWHERE;
    this.#heat(true);
    return this.find(key);
  }

  /** Sets whether keys repeat. If they do, or may because no log was full yet, the log grows beyond one crossing. */
  #heat(hot: boolean): void {
    this.#hot = hot;
    this.most = hot || !this.#short ? this.#bound : Math.min(this.#bound, TEXT_UNITS);
  }

  /** Makes the text of a held value. */
  #write(at: number): void {
    const value = this.#texts[2 * at + 1] as string | Held;
    if (typeof value === 'string') return;
    const { text } = value;
    this.units += text.length - value.length;
    this.#texts[2 * at + 1] = text;
    this.#say(at, 1, text);
  }

  /** Notes the kind and the length of a value. */
  #say(at: number, kind: Stored, { length }: string | Held): void {
    this.#kinds[at] = kind;
    this.#json ||= kind === 1;
    this.#lengths[2 * at + 1] = (length << 2) | kind;
  }

  /** The end of the part that begins at `from`. */
  #end(from: number): number {
    if (from === 0 && this.units <= TEXT_UNITS) return this.size;
    let end = from;
    for (let units = 0; end < this.size && units < TEXT_UNITS; end += 1) units += (this.#lengths[2 * end] as number) + this.valueUnits(end);
    return end;
  }

  /** The text of a part. */
  #part(from: number, end: number): string {
    const texts = this.#json && OLD ? this.#pairs(from, end) : end - from === this.size ? this.#texts : this.#texts.slice(2 * from, 2 * end);
    // All values are texts by now.
    const text = texts.join('');
    this.#parts.push([text, end]);
    return text;
  }

  /**
   * A part with each key concatenated to its value first, which gives one-byte strings if both are. Worth the time only
   * for texts that are kept.
   */
  #pairs(from: number, end: number): string[] {
    const pairs = new Array<string>(end - from);
    for (let at = from; at < end; at += 1) pairs[at - from] = (this.#texts[2 * at] as string) + (this.#texts[2 * at + 1] as string);
    return pairs;
  }

  /** The lengths of a part. */
  #among(from: number, end: number): Uint32Array {
    return this.#lengths.subarray(2 * from, 2 * end);
  }

  /**
   * The last part again, with values that may have no UTF-8 as JSON text. Checking every text before it crosses took a
   * twentieth of a write. Keys are well formed.
   */
  #formed(from: number, end: number): string {
    this.#parts.pop();
    for (let at = from; at < end; at += 1) {
      const value = this.#texts[2 * at + 1] as string;
      if (wellFormed(value)) continue;
      this.#texts[2 * at + 1] = JSON.stringify(value);
      this.#say(at, 1, this.#texts[2 * at + 1] as string);
    }
    return this.#part(from, end);
  }

  /**
   * Replaces JSON texts, which nobody else holds, by the text that was handed over; returns the position of each in it.
   * So they die young, and the garbage collector moves a few long strings instead of many short ones. If less than half
   * of the log is JSON the texts stay, because whoever wrote the other values holds those.
   */
  #spans(): Uint32Array | undefined {
    if (!this.#json) return undefined;
    let json = 0;
    for (let at = 0; at < this.size; at += 1) if (this.#kinds[at] === 1) json += this.valueUnits(at);
    if (2 * json < this.units) return undefined;
    const spans = new Uint32Array(this.size);
    let at = 0;
    for (const [text, end] of this.#parts) {
      let from = 0;
      for (; at < end; at += 1) {
        const units = this.valueUnits(at);
        from += this.#lengths[2 * at] as number;
        if (this.#kinds[at] === 1 && units < SPAN) {
          this.#texts[2 * at + 1] = text;
          spans[at] = from * SPAN + units;
        }
        from += units;
      }
    }
    return spans;
  }
}

/** The marks of a log, by kind. */
const marksOfLog = () => ({ 0: new Mark(0), 1: new Mark(1) }) as const;
