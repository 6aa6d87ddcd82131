/**
 * Sheets in the order in which they came, and a table of where the copy of each key stands: numbers alone, of which the engine's
 * garbage collector sees nothing.
 *
 * Invariant: of a key that is on a listed sheet the table names the place, or there is no copy of it on any listed sheet. What is
 * listed later takes the place of what was listed before.
 */
import { hash, type Sheet, SHEET_BITS } from './sheet.js';

/** The most sheets, those included that are gone: their numbers have to go into the table. */
export const SHEETS = 1 << 20;
/** Rows of a table at first, each a hash and a place. A quarter is always free. */
const ROWS = 256;
const MASK = (1 << SHEET_BITS) - 1;
/** No place. */
export const NOWHERE = -1;

export class Shelf {
  readonly #seed = (Math.random() * 2 ** 32) | 1;
  #sheets: (Sheet | undefined)[] = [];
  /** How many sheets are in the table, or were: the first ones. */
  #listed = 0;
  /** Rows of two: the hash of a key, and its place, from 1 on; 0 where a row is free. */
  #rows = new Int32Array(0);
  #taken = 0;
  /** The sheets of which too little is left: whoever has dropped something moves what is there, or lets go of it, before anything else. */
  readonly thin = new Set<number>();
  /** Is told the keys of copies that were dropped, or are gone with their sheet. */
  readonly #dropped: (key: string) => void;

  constructor(dropped: (key: string) => void) {
    this.#dropped = dropped;
  }

  /** How many sheets there are, those included that are gone. */
  get size(): number {
    return this.#sheets.length;
  }

  /** How many are listed: the first ones. */
  get listed(): number {
    return this.#listed;
  }

  /** The sheet of a number, if it is not gone. */
  sheet(number: number): Sheet | undefined {
    return this.#sheets[number];
  }

  /** Puts a sheet behind the others; its number. */
  add(sheet: Sheet): number {
    return this.#sheets.push(sheet) - 1;
  }

  /** The place of a key's copy on a listed sheet, or `NOWHERE`. */
  find(key: string): number {
    const rows = this.#rows;
    if (rows.length === 0) return NOWHERE;
    const sum = hash(key, 0, key.length, this.#seed);
    const mask = rows.length - 1;
    for (let row = (sum << 1) & mask; ; row = (row + 2) & mask) {
      const place = (rows[row + 1] as number) - 1;
      if (place < 0) return NOWHERE;
      if (rows[row] === sum && this.#sheets[place >> SHEET_BITS]?.is(key, place & MASK)) return place;
    }
  }

  /** Puts all sheets into the table that are not there yet. */
  list(): void {
    let more = 0;
    for (let number = this.#listed; number < this.#sheets.length; number += 1) more += this.#sheets[number]?.size ?? 0;
    this.#reserve(more);
    for (; this.#listed < this.#sheets.length; this.#listed += 1) {
      const sheet = this.#sheets[this.#listed];
      if (sheet === undefined) continue;
      for (let at = 0; at < sheet.size; at += 1) this.#enter(sheet, at, (this.#listed << SHEET_BITS) | at);
      // What it has deleted is deleted.
      if (!sheet.worth) this.thin.add(this.#listed);
    }
  }

  /** Puts what was added to a listed sheet into the table. */
  enter(number: number, at: number): void {
    this.#reserve(1);
    this.#enter(this.#sheets[number] as Sheet, at, (number << SHEET_BITS) | at);
  }

  /** The copy at a place stands at another one from now on. */
  move(from: number, to: number): void {
    const [rows, sheet] = [this.#rows, this.#sheets[from >> SHEET_BITS] as Sheet];
    const mask = rows.length - 1;
    let row = (sheet.hash(from & MASK, this.#seed) << 1) & mask;
    while (rows[row + 1] !== from + 1) row = (row + 2) & mask;
    rows[row + 1] = to + 1;
    sheet.drop(from & MASK);
  }

  /** The copy at a place, which is of this key, is no longer true. */
  drop(key: string, place: number): void {
    this.#dropped(key);
    this.#take(place);
  }

  #take(place: number): void {
    const sheet = this.#sheets[place >> SHEET_BITS];
    sheet?.drop(place & MASK);
    if (sheet?.worth === false) this.thin.add(place >> SHEET_BITS);
  }

  /** Lets go of a sheet. */
  remove(number: number): void {
    const sheet = this.#sheets[number];
    this.#sheets[number] = undefined;
    if (sheet === undefined) return;
    for (let at = 0; at < sheet.size; at += 1) if (sheet.has(at)) this.#dropped(sheet.key(at));
  }

  #enter(sheet: Sheet, at: number, place: number): void {
    const [sum, rows] = [sheet.hash(at, this.#seed), this.#rows];
    const mask = rows.length - 1;
    let row = (sum << 1) & mask;
    for (; rows[row + 1] !== 0; row = (row + 2) & mask) {
      const other = (rows[row + 1] as number) - 1;
      if (rows[row] !== sum) continue;
      const key = sheet.key(at);
      if (!this.#sheets[other >> SHEET_BITS]?.is(key, other & MASK)) continue;
      // Who has read the one will read the other.
      sheet.seen ||= this.#sheets[other >> SHEET_BITS]?.seen === true;
      // What has come with an answer says what was true before it came: so what is ready stays true.
      if (sheet.unasked) this.#take(other);
      else this.drop(key, other);
      break;
    }
    if (!sheet.has(at)) return;
    if (rows[row + 1] === 0) this.#taken += 1;
    rows[row] = sum;
    rows[row + 1] = place + 1;
  }

  /** Makes a table with place for some more, at most half full then; of copies that are gone there are no rows in it. */
  #reserve(more: number): void {
    const old = this.#rows;
    if (8 * (this.#taken + more) <= 3 * old.length) return;
    const live = (row: number) => {
      const place = (old[row + 1] as number) - 1;
      return place >= 0 && this.#sheets[place >> SHEET_BITS]?.has(place & MASK) === true;
    };
    let taken = 0;
    for (let row = 0; row < old.length; row += 2) if (live(row)) taken += 1;
    const rows = new Int32Array(Math.max(2 * ROWS, 4 * 2 ** Math.ceil(Math.log2(taken + more))));
    const mask = rows.length - 1;
    for (let row = 0; row < old.length; row += 2) {
      if (!live(row)) continue;
      let to = ((old[row] as number) << 1) & mask;
      while (rows[to + 1] !== 0) to = (to + 2) & mask;
      rows[to] = old[row] as number;
      rows[to + 1] = old[row + 1] as number;
    }
    this.#rows = rows;
    this.#taken = taken;
  }
}
