/**
 * Copies that came with a read, as they came: keys and values joined to one text, and where each begins. Most are read once, one
 * after the other, or never.
 */
import { Mark } from './copy.js';
import { hash, type Sheet } from './sheet.js';

/** Numbers before the rows: how many copies there are, and between which places of the core's they stand. */
const HEAD = 3;
/** Numbers of a copy: where its key begins, where its value, and its write. What it ends with begins the next one. */
const ROW = 3;
/** Numbers of a write: its origin, and the lower and the upper half of its sequence. */
const WRITE = 3;
/** The write of a copy that is no longer true. */
const GONE = 0x7fff_ffff;
/** No write, and not that. */
const NO_WRITE = 0x7fff_fffe;

export class Page implements Sheet {
  readonly unasked = true;
  /** How many copies there are, or were. The first is what the core was asked for. */
  readonly size: number;
  at = 0;
  /** It came because somebody reads. */
  seen = true;
  mark = new Mark(0);
  readonly #text: string;
  /** The head; the rows; where the text ends; the writes. */
  readonly #numbers: Uint32Array;
  #gone = 0;
  /** The write of the mark. */
  #write = NO_WRITE;

  constructor(text: string, numbers: Uint32Array) {
    this.#text = text;
    this.#numbers = numbers;
    this.size = numbers[0] as number;
  }

  /** The first place of the core's of which there is a copy; and the one behind the last. No two keys have the same. */
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
    // Whoever reads here and there is mostly told so by the last unit. Not where it starts: Node 20 takes three times as long for that.
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

  /** Makes the mark of a write. In a walk many copies of one are mostly read one after the other. */
  #turn(write: number): void {
    const at = HEAD + ROW * this.size + 1 + WRITE * (write >>> 1);
    const [origin, low, high] = [this.#numbers[at] as number, this.#numbers[at + 1] as number, this.#numbers[at + 2] as number];
    this.#write = write;
    this.mark = new Mark((write & 1) as 0 | 1, origin, high * 2 ** 32 + low);
  }
}
