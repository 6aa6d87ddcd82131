/**
 * Writes that were accepted in front of the core, in their order, until it is given them.
 *
 * Invariants: what is found of a key is the last that was written of it; and a string that has no UTF-8 leaves as JSON text,
 * which has. A table of the keys is made only where somebody reads, or writes a key again: most keys are written once, and to
 * look each up, were it in vain, would cost more than to hand one over twice.
 */
import type { CoreSession } from './binding.js';
import type { Copies, Noting } from './copies.js';
import { type Copy, Mark, type Stored } from './copy.js';
import type { Held } from './hold.js';
import { SPAN } from './sheet.js';
import { wellFormed } from './value.js';

/** The most writes of a log: as many keys as a batch may have, unless the limits say less. */
export const LOG_WRITES = 1_000;
/**
 * The most UTF-16 units of text in one crossing, because larger strings cost twice as much; and what is text of the western languages
 * is then one block of the core's memory. A log of keys that do not come again is no longer: in two parts it took a sixth more.
 */
const TEXT_UNITS = 40_000;
/** For so many writes one key is watched for: whether keys come again is seen by whether it does. */
const WATCHED = 2 * LOG_WRITES;
/** Where fewer than one of so many writes is of a key that is there, they are not looked up any longer. */
const WORTH = 8;
/**
 * Whether the engine is as old as Node 20's, by what it lacks. To its `join` a text that has been the name of a property, as a key that was put
 * together and then read, is one of two bytes a unit, and so is all that it is joined with, which is kept where there is JSON in it.
 */
const OLD = !('withResolvers' in Promise);
/** No place. */
const NOWHERE = -1;
/**
 * So many writes at once stay together for whoever reads them: an application that is interrupted hands over fewer than it might. So do
 * fewer right behind so many: they are what an interruption has left, and to list them would list all that was written before.
 */
const MANY = 16;

export class Log {
  /** How many writes there are, and the units of their keys and values; and how many of these are worth waiting for. */
  size = 0;
  units = 0;
  most = 0;
  #bound = 0;
  /** Whether there was no place for a write; and whether there was none in the log before. */
  full = false;
  #short = false;
  /** Whether the log before had many writes. */
  #many = false;
  /** Key, value, key, value, …: of a key that was written again there may be several. Values that are held are texts before they leave. */
  #texts: (string | Held)[] = [];
  readonly #kinds = new Uint8Array(LOG_WRITES);
  /** Of each key its length, and of each value, shifted left by two bits, with the kind below. */
  readonly #lengths = new Uint32Array(2 * LOG_WRITES);
  /** The last write of each key among the first `#known` writes. */
  readonly #places = new Map<string, number>();
  #known = 0;
  /** The marks of its writes, by their kind. */
  #marks = marksOfLog();
  /** Whether keys come again, so that each is looked up; and how many were found. */
  #hot = false;
  #found = 0;
  /** Whether any value is held; and whether more are, for nobody has read one, and none was more than can be. */
  #held = false;
  #holds = true;
  /** Whether any value is JSON text; and what was handed over, in parts, with the place behind the last write of each. */
  #json = false;
  #parts: (readonly [text: string, end: number])[] = [];
  /** The key that was looked up by `holds`, since the last write of a new one, and where it stands. */
  #asked: string | undefined;
  #place = NOWHERE;
  #watched: string | undefined;
  /** Its last character. */
  #ending = 0;
  #watching = 0;

  /** So many units of text are no more than may be handed over. */
  bound(units: number): void {
    this.#bound = units;
    this.#heat(this.#hot);
  }

  /** Where the value of a key stands that is about to be written, or -1: as far as keys are looked up at all. */
  again(key: string): number {
    if (key === this.#asked) return this.#place;
    if (this.#hot) return this.find(key);
    // Engines compare two keys in a call, and most differ here.
    return key.charCodeAt(key.length - 1) === this.#ending ? this.#seen(key) : NOWHERE;
  }

  /** Whether a value that is about to be written takes the place of another, and may be held. */
  holds(key: string): boolean {
    if (!this.#holds) return false;
    this.#place = this.again(key);
    // It is looked up again when it is written.
    this.#asked = key;
    return this.#place !== NOWHERE;
  }

  /** No more values of this log are held. */
  unheld(): void {
    this.#holds = false;
  }

  /** Where the last write of a key stands, or -1. */
  find(key: string): number {
    for (; this.#known < this.size; this.#known += 1) this.#places.set(this.#texts[2 * this.#known] as string, this.#known);
    return this.#places.get(key) ?? NOWHERE;
  }

  add(key: string, kind: Stored, value: string): void {
    // Where the log before was large, its place is there: to append grows a list, and copies it, again and again.
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

  /** Puts a value in the place of another. */
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

  /** What was written of a key, to a reader of the space's copies: undefined where it was deleted. */
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

  /** Gives everything to the core, which makes one write of it. */
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

  /** What was sent is from now on answered by copies: many, and of keys that do not come again, stay together. */
  leave(copies: Copies): void {
    if (!this.#hot && (this.size >= MANY || this.#many)) return copies.write(this.#texts as string[], this.#kinds.slice(0, this.size), this.#spans(), this.#marks, this.units);
    for (let at = 0; at < this.size; at += 1) {
      const [key, value, kind] = [this.#texts[2 * at] as string, this.#texts[2 * at + 1] as string, this.#kinds[at] as Stored];
      if (kind === 3) copies.delete(key);
      else copies.put(key, value, this.#marks[kind]);
    }
  }

  /** Nothing is in it any more, whatever has become of it. */
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

  /** A key whose last character is the watched one's. */
  #seen(key: string): number {
    if (key !== this.#watched) return NOWHERE;
    this.#heat(true);
    return this.find(key);
  }

  /** Whether keys come again, as they still may while no log was full: then more of them are waited for than make one crossing. */
  #heat(hot: boolean): void {
    this.#hot = hot;
    this.most = hot || !this.#short ? this.#bound : Math.min(this.#bound, TEXT_UNITS);
  }

  /** Makes the text of a value that is held. */
  #write(at: number): void {
    const value = this.#texts[2 * at + 1] as string | Held;
    if (typeof value === 'string') return;
    const { text } = value;
    this.units += text.length - value.length;
    this.#texts[2 * at + 1] = text;
    this.#say(at, 1, text);
  }

  /** Notes of what kind a value is and how long. */
  #say(at: number, kind: Stored, { length }: string | Held): void {
    this.#kinds[at] = kind;
    this.#json ||= kind === 1;
    this.#lengths[2 * at + 1] = (length << 2) | kind;
  }

  /** Where the part of the log ends that begins at `from`. */
  #end(from: number): number {
    if (from === 0 && this.units <= TEXT_UNITS) return this.size;
    let end = from;
    for (let units = 0; end < this.size && units < TEXT_UNITS; end += 1) units += (this.#lengths[2 * end] as number) + this.valueUnits(end);
    return end;
  }

  /** A part of what is handed over. */
  #part(from: number, end: number): string {
    const texts = this.#json && OLD ? this.#pairs(from, end) : end - from === this.size ? this.#texts : this.#texts.slice(2 * from, 2 * end);
    // All are texts by now.
    const text = texts.join('');
    this.#parts.push([text, end]);
    return text;
  }

  /** A part of it with each key added to its value: what comes of that is of one byte a unit where both are. It is not worth it for texts that nobody keeps. */
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
   * The last part again, where something in it may have no UTF-8: to look for that in every text before it crosses took a twentieth of a
   * write. Keys are well formed.
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
   * Puts what was handed over in the place of JSON texts, which nobody else has, and answers where in it each stands. So they die young,
   * and an engine's garbage collector moves a few long texts and no short ones. Where they are less than half of the log they stay, for
   * who wrote the other texts has them.
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

/** The marks of a log, by the kind of its copies. */
const marksOfLog = () => ({ 0: new Mark(0), 1: new Mark(1) }) as const;
