/**
 * A page: copies that the core returned with a read, in the form in which they arrived, as one text of keys and values
 * and an array of positions. Most are read once, one after the other, or never.
 */
import { Mark } from './copy.js';
import { hash, type Sheet } from './sheet.js';

/** The header: the number of copies, and the range of the core's places that they cover. */
const HEAD = 3;
/**
 * Numbers for each copy: the start of its key, the start of its value, its write. It ends where the next one starts.
 */
const ROW = 3;
/** Numbers for each write: its origin, and the lower and upper half of its sequence. */
const WRITE = 3;
/** The write of a dropped copy. */
const GONE = 0x7fff_ffff;
/** No write; differs from `GONE`. */
const NO_WRITE = 0x7fff_fffe;

export class Page implements Sheet {
  readonly unasked = true;
  /** The number of copies, dropped ones included. The first is the one that was asked for. */
  readonly size: number;
  at = 0;
  /** A page arrives only because somebody reads. */
  seen = true;
  mark = new Mark(0);
  readonly #text: string;
  /** The header; the rows; the end of the text; the writes. */
  readonly #numbers: Uint32Array;
  #gone = 0;
  /** The write that `mark` describes. */
  #write = NO_WRITE;

  constructor(text: string, numbers: Uint32Array) {
    this.#text = text;
    this.#numbers = numbers;
    this.size = numbers[0] as number;
  }

  /** The core's places that the page covers: from the first, up to but excluding `until`. No two keys share a place. */
  get from(): number {
    return this.#numbers[1] as number;
  }

  get until(): number {
    return this.#numbers[2] as number;
  }

  get value(): string {
    const row = ROW * this.at + HEAD;
    return this.#text.slice(this.#numbers[row + 1], this.#numbers[row + ROW]);
  }

  is(key: string, at: number): boolean {
    if (!this.has(at)) return false;
    const row = ROW * at + HEAD;
    const until = this.#numbers[row + 1] as number;
    if (until - (this.#numbers[row] as number) !== key.length) return false;
    // The last unit decides most random lookups. `endsWith`, because `startsWith` at a position takes Node 20 three
    // times as long.
    return this.#text.charCodeAt(until - 1) === key.charCodeAt(key.length - 1) && this.#text.endsWith(key, until);
  }

  has(at: number): boolean {
    return at < this.size && this.#numbers[ROW * at + HEAD + 2] !== GONE;
  }

  key(at: number): string {
    return this.#text.slice(this.#numbers[ROW * at + HEAD], this.#numbers[ROW * at + HEAD + 1]);
  }

  hash(at: number, seed: number): number {
    return hash(this.#text, this.#numbers[ROW * at + HEAD] as number, this.#numbers[ROW * at + HEAD + 1] as number, seed);
  }

  open(at: number): void {
    this.at = at;
    const write = this.#numbers[ROW * at + HEAD + 2] as number;
    if (write !== this.#write) this.#turn(write);
  }

  drop(at: number): void {
    this.#numbers[ROW * at + HEAD + 2] = GONE;
    this.#gone += 1;
  }

  get worth(): boolean {
    return 2 * this.#gone < this.size;
  }

  /** Makes the mark of a write. A walk usually reads many copies of one write in sequence. */
  #turn(write: number): void {
    const at = HEAD + ROW * this.size + 1 + WRITE * (write >>> 1);
    const [origin, low, high] = [this.#numbers[at] as number, this.#numbers[at + 1] as number, this.#numbers[at + 2] as number];
    this.#write = write;
    this.mark = new Mark((write & 1) as 0 | 1, origin, high * 2 ** 32 + low);
  }
}
