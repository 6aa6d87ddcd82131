/**
 * Copies that came with a read, as they came: keys and values joined to one text, and where each begins. For each two texts of
 * its own and a place in a map would cost several times what it costs to find it here, and most are read once, one after the
 * other, or never.
 *
 * Invariant: of a key that is on a listed page the table names the place, or it is not answered; and before a copy that is no
 * longer true is looked for, all pages are listed. Two places of one key there never are on pages that are listed; on those that
 * are not both are true. A page that is walked through need not be listed.
 */
import { Copy, Mark } from './copy.js';

/** Numbers of a copy: where its key begins, where its value, and its write. What it ends with begins the next one. */
const ROW = 3;
/** Numbers of a write: its origin, and the lower and the upper half of its sequence. */
const WRITE = 3;
/** The write of a copy that is no longer true. */
const GONE = 0x7fff_ffff;
/** No write, and not that. */
const NO_WRITE = 0x7fff_fffe;
/** The most copies on a page: as many as the core hands over. */
const PAGE = 1_024;
/** The most pages, those included that are gone: then all are dropped, and come again as they are read. */
const PAGES = 65_536;
/** The most pages that are not listed: so many are looked through at the end of one. */
const UNLISTED = 128;
/** Rows of a table at first, each a hash and a place. A quarter is always free. */
const ROWS = 256;
const FACTOR = 0x9e3779b1;

/** What came in one crossing. */
class Page {
  /** How many copies there are. */
  readonly size: number;
  /** The place behind the one that was read last. The first is what the core was asked for. */
  next = 1;
  readonly #text: string;
  /** How many there are; the rows; where the text ends; the writes. */
  readonly #numbers: Uint32Array;
  #gone = 0;
  /** The write that was read last, and its mark. */
  #write = NO_WRITE;
  #mark = new Mark(0);

  constructor(text: string, numbers: Uint32Array) {
    this.#text = text;
    this.#numbers = numbers;
    this.size = numbers[0] as number;
  }

  /** Whether the key at a place is this one. */
  is(key: string, at: number): boolean {
    if (at >= this.size) return false;
    const row = ROW * at + 1;
    const from = this.#numbers[row] as number;
    return (this.#numbers[row + 1] as number) - from === key.length && this.#text.startsWith(key, from);
  }

  key(at: number): string {
    return this.#text.slice(this.#numbers[ROW * at + 1], this.#numbers[ROW * at + 2]);
  }

  hash(at: number, seed: number): number {
    return hash(this.#text, this.#numbers[ROW * at + 1] as number, this.#numbers[ROW * at + 2] as number, seed);
  }

  /** The copy at a place, to a reader. */
  read(at: number): Copy | undefined {
    const row = ROW * at + 1;
    const write = this.#numbers[row + 2] as number;
    this.next = at + 1;
    if (write !== this.#write) {
      if (write === GONE) return undefined;
      this.#turn(write);
    }
    return new Copy(this.#text.slice(this.#numbers[row + 1], this.#numbers[row + 3]), this.#mark);
  }

  /** Makes the mark of a write. Mostly many copies of one are read one after the other. */
  #turn(write: number): void {
    const at = ROW * this.size + 2 + WRITE * (write >>> 1);
    const [origin, low, high] = [this.#numbers[at] as number, this.#numbers[at + 1] as number, this.#numbers[at + 2] as number];
    this.#write = write;
    this.#mark = new Mark((write & 1) as 0 | 1, origin, high * 2 ** 32 + low);
  }

  /** The copy at a place is no longer true. False once so many are that the page is not worth its memory. */
  drop(at: number): boolean {
    const row = ROW * at + 1;
    if (this.#numbers[row + 2] !== GONE) this.#gone += 1;
    this.#numbers[row + 2] = GONE;
    return 2 * this.#gone < this.size;
  }
}

/** A hash of a part of a text. Nobody who does not know the seed can choose keys that are slow to find. */
function hash(text: string, from: number, until: number, seed: number): number {
  let [sum, at] = [seed, from];
  for (; at + 1 < until; at += 2) {
    sum = Math.imul(sum ^ text.charCodeAt(at) ^ (text.charCodeAt(at + 1) << 16), FACTOR);
    sum ^= sum >>> 15;
  }
  if (at === until) return sum;
  sum = Math.imul(sum ^ text.charCodeAt(at), FACTOR);
  return sum ^ (sum >>> 15);
}

const NONE = new Page('', new Uint32Array([0, 0]));

export class Pages {
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  #pages: (Page | undefined)[] = [];
  /** How many pages are in the table, or were: the first ones. */
  #listed = 0;
  /** Rows of two: the hash of a key, and its place, counted through all pages from 1 on; 0 where a row is free. */
  #table = new Int32Array(0);
  #taken = 0;
  /** The page that was read last, or came last; and its number. */
  #open = NONE;
  #number = 0;
  /** Whether a copy was read that came with a read of another key. */
  #served = false;

  /** Whether anything that came with reads of other keys was read since this was asked last. */
  served(): boolean {
    const served = this.#served;
    this.#served = false;
    return served;
  }

  /** Whether the last place that was read is the end of its page. */
  get walked(): boolean {
    return this.#open.size > 0 && this.#open.next === this.#open.size;
  }

  /** Takes a page; its first copy is that of the key that the core was asked for. */
  add(text: string, numbers: Uint32Array): void {
    if (this.#pages.length === PAGES) this.clear();
    this.#open = new Page(text, numbers);
    this.#number = this.#pages.push(this.#open) - 1;
  }

  /** The copy of a key. It goes into `places`, where it is found sooner, unless a walk goes on with it. */
  read(key: unknown, places: Map<string, Copy>): Copy | undefined {
    const open = this.#open;
    if (typeof key !== 'string') return undefined;
    if (open.is(key, open.next)) {
      this.#served ||= open.next > 0;
      const copy = open.read(open.next);
      if (copy !== undefined) return copy;
    }
    return this.#pages.length === 0 ? undefined : this.#leave(key, places);
  }

  /** The copy of a key that is not the next one on the open page. */
  #leave(key: string, places: Map<string, Copy>): Copy | undefined {
    // A walk goes on at the beginning of the next page, as a rule.
    const next = this.#number + 1;
    if (next >= this.#listed && this.#pages[next]?.is(key, 0)) return this.#openAt(next)?.read(0);
    if (this.walked && this.#pages.length - this.#listed <= UNLISTED) {
      // Or at that of another one, or of none. Where it does not, the core is asked once for nothing.
      const number = this.#beginning(key);
      if (number !== undefined) return this.#openAt(number)?.read(0);
      if (this.#listed === 0) return undefined;
    } else this.#list();
    const row = this.#find(key);
    const page = this.#page(row);
    if (page === undefined) return undefined;
    const at = this.#at(row);
    this.#served ||= at > 0;
    const walk = at === page.next;
    const copy = page.read(at);
    this.#open = page;
    this.#number = this.#numberAt(row);
    // With the reader's own text as its key: a slice of the page's would be slow to compare ever after.
    if (copy !== undefined && !walk) places.set(key, copy);
    return copy;
  }

  /** Which of the pages that are not listed begins with a key. */
  #beginning(key: string): number | undefined {
    for (let number = this.#listed; number < this.#pages.length; number += 1) if (this.#pages[number]?.is(key, 0)) return number;
    return undefined;
  }

  #openAt(number: number): Page | undefined {
    const page = this.#pages[number];
    if (page === undefined) return undefined;
    this.#open = page;
    this.#number = number;
    return page;
  }

  delete(key: string): void {
    if (this.#pages.length === 0) return;
    this.#list();
    this.#drop(this.#find(key));
  }

  clear(): void {
    this.#pages = [];
    this.#listed = 0;
    this.#table = new Int32Array(0);
    this.#taken = 0;
    this.#open = NONE;
    this.#number = 0;
  }

  /** Puts the pages into the table that are not there yet. */
  #list(): void {
    for (; this.#listed < this.#pages.length; this.#listed += 1) {
      const page = this.#pages[this.#listed] as Page;
      if (8 * (this.#taken + page.size) > 3 * this.#table.length) this.#rebuild(page.size);
      const first = PAGE * this.#listed + 1;
      for (let at = 0; at < page.size; at += 1) this.#put(page, at, first + at);
    }
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
    return (sum << 1) & (this.#table.length - 1);
  }

  #page(row: number): Page | undefined {
    const place = this.#table[row + 1] as number;
    return place === 0 ? undefined : this.#pages[(place - 1) >> 10];
  }

  /** The number of the page of a row that is taken. */
  #numberAt(row: number): number {
    return ((this.#table[row + 1] as number) - 1) >> 10;
  }

  #at(row: number): number {
    return ((this.#table[row + 1] as number) - 1) & (PAGE - 1);
  }

  #drop(row: number): void {
    const page = this.#page(row);
    if (page === undefined || page.drop(this.#at(row))) return;
    this.#pages[this.#numberAt(row)] = undefined;
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
      let to = ((old[row] as number) << 1) & (table.length - 1);
      while (table[to + 1] !== 0) to = (to + 2) & (table.length - 1);
      table[to] = old[row] as number;
      table[to + 1] = old[row + 1] as number;
    }
    this.#table = table;
  }
}
