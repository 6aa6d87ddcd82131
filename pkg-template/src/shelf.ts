/**
 * The sheets of a space in order of arrival, and a hash table from keys to places: open addressing with linear probing,
 * in an array of numbers that the garbage collector need not scan.
 *
 * Invariants:
 * - If a listed sheet holds a copy of a key, the table names its place; otherwise no listed sheet has one.
 * - A sheet that is listed later replaces the copies of earlier ones.
 */
import { hash, type Sheet, SHEET_BITS } from './sheet.js';

/** The most sheets, removed ones included: a place in the table has room for 20 bits of sheet number. */
export const SHEETS = 1 << 20;
/** The initial number of rows, each a hash and a place. At least a quarter of the rows is always free. */
const ROWS = 256;
const MASK = (1 << SHEET_BITS) - 1;
/** No place. */
export const NOWHERE = -1;

export class Shelf {
  readonly #seed = (Math.random() * 2 ** 32) | 1;
  #sheets: (Sheet | undefined)[] = [];
  /** How many sheets are in the table: the first ones. */
  #listed = 0;
  /** Rows of two numbers: the hash of a key, and its place plus one; 0 if the row is free. */
  #rows = new Int32Array(0);
  #taken = 0;
  /** Sheets of which too little is left. Whoever drops a copy must then move or remove them before anything else. */
  readonly thin = new Set<number>();
  /** Called with the key of each copy that is dropped or removed with its sheet. */
  readonly #dropped: (key: string) => void;

  constructor(dropped: (key: string) => void) {
    this.#dropped = dropped;
  }

  /** The number of sheets, removed ones included. */
  get size(): number {
    return this.#sheets.length;
  }

  /** How many sheets are listed: the first ones. */
  get listed(): number {
    return this.#listed;
  }

  /** A sheet by its number; undefined if it was removed. */
  sheet(number: number): Sheet | undefined {
    return this.#sheets[number];
  }

  /** Appends a sheet; returns its number. */
  add(sheet: Sheet): number {
    return this.#sheets.push(sheet) - 1;
  }

  /** The place of a key on a listed sheet, or `NOWHERE`. */
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

  /** Enters all unlisted sheets into the table. */
  list(): void {
    let more = 0;
    for (let number = this.#listed; number < this.#sheets.length; number += 1) more += this.#sheets[number]?.size ?? 0;
    this.#reserve(more);
    for (; this.#listed < this.#sheets.length; this.#listed += 1) {
      const sheet = this.#sheets[this.#listed];
      if (sheet === undefined) continue;
      for (let at = 0; at < sheet.size; at += 1) this.#enter(sheet, at, (this.#listed << SHEET_BITS) | at);
      // A sheet that holds only deletions has done its work by now.
      if (!sheet.worth) this.thin.add(this.#listed);
    }
  }

  /** Enters one copy that was added to a listed sheet. */
  enter(number: number, at: number): void {
    this.#reserve(1);
    this.#enter(this.#sheets[number] as Sheet, at, (number << SHEET_BITS) | at);
  }

  /** Moves a copy to another place: updates the table and drops it at the old place. */
  move(from: number, to: number): void {
    const [rows, sheet] = [this.#rows, this.#sheets[from >> SHEET_BITS] as Sheet];
    const mask = rows.length - 1;
    let row = (sheet.hash(from & MASK, this.#seed) << 1) & mask;
    while (rows[row + 1] !== from + 1) row = (row + 2) & mask;
    rows[row + 1] = to + 1;
    sheet.drop(from & MASK);
  }

  /** Drops the copy of a key at its place. */
  drop(key: string, place: number): void {
    this.#dropped(key);
    this.#take(place);
  }

  #take(place: number): void {
    const sheet = this.#sheets[place >> SHEET_BITS];
    sheet?.drop(place & MASK);
    if (sheet?.worth === false) this.thin.add(place >> SHEET_BITS);
  }

  /** Removes a sheet. */
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
      // A reader of the old copy will probably read the new one.
      sheet.seen ||= this.#sheets[other >> SHEET_BITS]?.seen === true;
      // A prefetched copy is no newer than what it replaces, so a ready value stays true.
      if (sheet.unasked) this.#take(other);
      else this.drop(key, other);
      break;
    }
    if (!sheet.has(at)) return;
    if (rows[row + 1] === 0) this.#taken += 1;
    rows[row] = sum;
    rows[row + 1] = place + 1;
  }

  /** Grows the table for `more` entries, to at most half full; rows of dropped copies are left out. */
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
