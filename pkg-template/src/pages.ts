/**
 * Copies that came with a read, as they came: keys and values joined to one text. For each two texts of its own and a place in a
 * map would cost several times what it costs to find it here, and most are read once, one after the other, or never.
 *
 * Invariant: of a key that is on a page the table names the place, or it is not answered: so a copy that is no longer true is
 * found by whoever deletes it. Two places of one key there never are.
 */
import { Copy, Mark } from './copy.js';

/** What the core tells of each copy: the length of its key, of its value with its kind below, its origin, its sequence. */
const NUMBERS = 4;
/** The most copies on a page: more than the core hands over. */
const PAGE = 1_024;
/** The most pages, those included that are gone: then all are dropped, and come again as they are read. */
const PAGES = 65_536;
/** Rows of a table at first, each a hash and a place. A quarter is always free. */
const ROWS = 256;
const FACTOR = 0x9e3779b1;

/** What came in one crossing. */
class Page {
  /** How many copies there are. */
  readonly size: number;
  /** The place behind the one that was read last. */
  next = 0;
  readonly #text: string;
  /** Where each key begins, and each value; and the end. */
  readonly #starts: Uint32Array;
  /** Whose writes they are; of what is no longer true there is none. */
  readonly #marks: (Mark | undefined)[] = [];
  #gone = 0;

  constructor(text: string, numbers: Float64Array) {
    const size = Math.min(numbers.length / NUMBERS, PAGE);
    const starts = new Uint32Array(2 * size + 1);
    const last: [Mark, Mark] = [new Mark(0), new Mark(1)];
    let from = 0;
    for (let at = 0; at < size; at += 1) {
      const packed = numbers[NUMBERS * at + 1] as number;
      const kind = (packed & 1) as 0 | 1;
      const [origin, sequence] = [numbers[NUMBERS * at + 2] as number, numbers[NUMBERS * at + 3] as number];
      if (last[kind].sequence !== sequence || last[kind].origin !== origin) last[kind] = new Mark(kind, origin, sequence);
      this.#marks.push(last[kind]);
      from += numbers[NUMBERS * at] as number;
      starts[2 * at + 1] = from;
      from += packed >>> 2;
      starts[2 * at + 2] = from;
    }
    this.#text = text;
    this.#starts = starts;
    this.size = size;
  }

  /** Whether the key at a place is this one. */
  is(key: string, at: number): boolean {
    const from = this.#starts[2 * at] as number;
    return at < this.size && (this.#starts[2 * at + 1] as number) - from === key.length && this.#text.startsWith(key, from);
  }

  key(at: number): string {
    return this.#text.slice(this.#starts[2 * at], this.#starts[2 * at + 1]);
  }

  hash(at: number, seed: number): number {
    return hash(this.#text, this.#starts[2 * at] as number, this.#starts[2 * at + 1] as number, seed);
  }

  /** The copy at a place, to a reader. */
  read(at: number): Copy | undefined {
    const mark = this.#marks[at];
    this.next = at + 1;
    return mark && new Copy(this.#text.slice(this.#starts[2 * at + 1], this.#starts[2 * at + 2]), mark);
  }

  /** The copy at a place is no longer true. False once so many are that the page is not worth its memory. */
  drop(at: number): boolean {
    if (this.#marks[at] !== undefined) this.#gone += 1;
    this.#marks[at] = undefined;
    return 2 * this.#gone < this.size;
  }
}

/** A hash of a part of a text. Nobody who does not know the seed can choose keys that are slow to find. */
function hash(text: string, from: number, until: number, seed: number): number {
  let sum = seed;
  for (let at = from; at < until; at += 1) {
    sum = Math.imul(sum ^ text.charCodeAt(at), FACTOR);
    sum ^= sum >>> 15;
  }
  return sum;
}

const NONE = new Page('', new Float64Array());

export class Pages {
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  #pages: (Page | undefined)[] = [];
  /** Rows of two: the hash of a key, and its place, counted through all pages from 1 on; 0 where a row is free. */
  #table = new Int32Array(0);
  #taken = 0;
  /** The page that was read last, or came last. */
  #open = NONE;

  /** Whether the last place that was read is the end of its page. */
  get walked(): boolean {
    return this.#open.size > 0 && this.#open.next === this.#open.size;
  }

  add(text: string, numbers: Float64Array): void {
    if (this.#pages.length === PAGES) this.clear();
    const page = new Page(text, numbers);
    if (8 * (this.#taken + page.size) > 3 * this.#table.length) this.#rebuild(page.size);
    const first = PAGE * (this.#pages.push(page) - 1) + 1;
    for (let at = 0; at < page.size; at += 1) this.#put(page, at, first + at);
    this.#open = page;
  }

  /** The copy of a key. It goes into `places`, where it is found sooner, unless it is the next on its page or the first. */
  read(key: unknown, places: Map<string, Copy>): Copy | undefined {
    const open = this.#open;
    if (typeof key !== 'string' || this.#taken === 0) return undefined;
    if (open.is(key, open.next)) {
      const copy = open.read(open.next);
      if (copy !== undefined) return copy;
    }
    const row = this.#find(key);
    const page = this.#page(row);
    if (page === undefined) return undefined;
    const at = this.#at(row);
    const walk = at === 0 || at === page.next;
    const copy = page.read(at);
    this.#open = page;
    // With the reader's own text as its key: a slice of the page's would be slow to compare ever after.
    if (copy !== undefined && !walk) places.set(key, copy);
    return copy;
  }

  delete(key: string): void {
    if (this.#taken > 0) this.#drop(this.#find(key));
  }

  clear(): void {
    this.#pages = [];
    this.#table = new Int32Array(0);
    this.#taken = 0;
    this.#open = NONE;
  }

  #put(page: Page, at: number, place: number): void {
    const [sum, table] = [page.hash(at, this.#seed), this.#table];
    let row = this.#row(sum);
    for (; table[row + 1] !== 0; row = (row + 2) & (table.length - 1)) {
      if (table[row] !== sum || !this.#page(row)?.is(page.key(at), this.#at(row))) continue;
      // As true as the one that was there, and next to what is read now.
      this.#drop(row);
      break;
    }
    if (table[row + 1] === 0) this.#taken += 1;
    table[row] = sum;
    table[row + 1] = place;
  }

  /** The row of a key, or a free one. There are rows. */
  #find(key: string): number {
    const [sum, table] = [hash(key, 0, key.length, this.#seed), this.#table];
    let row = this.#row(sum);
    while (table[row + 1] !== 0 && (table[row] !== sum || !this.#page(row)?.is(key, this.#at(row)))) row = (row + 2) & (table.length - 1);
    return row;
  }

  #row(sum: number): number {
    return (2 * sum) & (this.#table.length - 1);
  }

  #page(row: number): Page | undefined {
    const place = this.#table[row + 1] as number;
    return place === 0 ? undefined : this.#pages[(place - 1) >> 10];
  }

  #at(row: number): number {
    return ((this.#table[row + 1] as number) - 1) & (PAGE - 1);
  }

  #drop(row: number): void {
    const page = this.#page(row);
    if (page === undefined || page.drop(this.#at(row))) return;
    this.#pages[((this.#table[row + 1] as number) - 1) >> 10] = undefined;
    if (this.#open === page) this.#open = NONE;
  }

  /** A table with place for some more, at most half full then. The rows of pages that are gone are not in it. */
  #rebuild(more: number): void {
    const old = this.#table;
    let rows = more;
    for (let row = 0; row < old.length; row += 2) if (this.#page(row) !== undefined) rows += 1;
    this.#taken = rows - more;
    const table = new Int32Array(Math.max(2 * ROWS, 4 * 2 ** Math.ceil(Math.log2(rows))));
    for (let row = 0; row < old.length; row += 2) {
      if (this.#page(row) === undefined) continue;
      let to = (2 * (old[row] as number)) & (table.length - 1);
      while (table[to + 1] !== 0) to = (to + 2) & (table.length - 1);
      table[to] = old[row] as number;
      table[to + 1] = old[row + 1] as number;
    }
    this.#table = table;
  }
}
