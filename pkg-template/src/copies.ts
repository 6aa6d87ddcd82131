/**
 * The copies of the values of one space. They stay on the sheets on which they arrived (`sheet.ts`); a table maps keys
 * to places (`shelf.ts`). To *list* a sheet is to enter its keys into the table.
 *
 * Invariants:
 * - All sheets are listed before a copy is dropped, and before the table is searched at random, so that no sheet
 *   answers for which a later sheet has a newer copy.
 * - A walk along pages needs no table, because everything on a page is true until it is dropped.
 *
 * Logs that arrive before anyone reads, or while nobody does, are listed when somebody reads: entering each write into
 * a table would cost what most writes never repay.
 */
import type { Copy, Mark, Marks } from './copy.js';
import type { Values } from './frozen.js';
import { Page } from './page.js';
import type { Reader, Ready } from './ready.js';
import { Loose, SHEET, SHEET_BITS, type Sheet, Written } from './sheet.js';
import { NOWHERE, SHEETS, Shelf } from './shelf.js';

/**
 * The most written text that all spaces of a replica keep, in UTF-16 units, with `WRITE_UNITS` more for each write.
 * Above it, sheets that nobody reads are released.
 */
export const WRITTEN_UNITS = 1 << 24;
const WRITE_UNITS = 32;
/** If so much was written in a space since its last read, copies that were read earlier are released as well. */
const UNREAD_UNITS = WRITTEN_UNITS / 2;
/** The most neighbours that are fetched with one read, and with a read that continues a walk. */
const AHEAD = 64;
const WALK = 1_024;
/** Fetching one more copy costs about a tenth of a crossing, so it pays if one in eight is read. */
const WORTH = 8;
/**
 * If it does not pay, one read in five still asks for one neighbour. The number is odd because that neighbour is
 * alternately the one before and the one after the key: with an even number a walk would always get the one that it has
 * already read, and would never be recognised.
 */
const TRIED = 5;
/** After so many fetched copies, the counts so far are halved. */
const RECENT = 512;
/**
 * The most unlisted sheets when a page arrives that does not continue a walk. Listing drops all but the last of pages
 * that arrived repeatedly. The pages of a walk have no key in common, so their number needs no limit.
 */
const UNLISTED = 128;
const NONE = new Loose();

/** How much written text is kept in all spaces of a replica. */
export interface Budget {
  units: number;
}

/** A reader that records whose writes it has read. */
export interface Noting extends Reader {
  note(mark: Mark): void;
  /** The core has answered the reader with this write, so the core already knows of the read. */
  told(mark: Mark): void;
}

/** An answer of the core to a reader. */
export interface Told {
  readonly key: string;
  readonly value: string;
  readonly mark: Mark;
  readonly reader: Noting;
}

/** The copies of a space. */
export class Copies {
  readonly #budget: Budget;
  /** This space's share of the budget. */
  #units = 0;
  #shelf = this.#empty();
  /** The sheet that was read, or arrived, last; and its number. */
  #open: Sheet = NONE;
  #number = 0;
  /** Whether reads proceed from one place to the next. */
  #walking = false;
  /**
   * Whether nobody has looked for a key since the last two logs at least. Then unlisted writes can wait: nobody looks
   * them up, and a reader of ready values comes here first, because each log makes the front check anew what the reader
   * covers.
   */
  #quiet = true;
  /** The weight of the logs that arrived since the last lookup. */
  #unread = Number.POSITIVE_INFINITY;
  /** The first key of each unlisted page, and the page's number. */
  readonly #begins = new Map<string, number>();
  /** The core's place behind the last page. */
  #until = 0;
  /** The sheet for copies that arrive one at a time. */
  #loose: Loose | undefined;
  #looseNumber = 0;
  /**
   * How many neighbours the next crossing read asks for: adapts, so that scattered reads pay for none and walks rarely
   * cross.
   */
  #ahead = 0;
  /** How many neighbours have been fetched recently, and how many of them were read. */
  #came = 0;
  #served = 0;
  #tried = 0;

  /** The values that were read at random. */
  readonly ready: Ready;

  /** How values are handed out here. */
  readonly values: Values;

  constructor(budget: Budget, ready: Ready, values: Values) {
    this.#budget = budget;
    this.ready = ready;
    this.values = values;
  }

  /** The copy of a key for a reader, if it is not ready as it is. */
  get(key: string, reader: Noting): Copy | undefined {
    if (this.#shelf.size === 0) return undefined;
    const open = this.#open;
    if (!this.#walking || !open.is(key, open.at + 1)) return this.ready.json(key, reader) ?? this.#look(key, reader);
    if (open.unasked) this.#served += 1;
    return this.#show(key, open, open.at + 1, reader);
  }

  /** Records a new value of a key. */
  put(key: string, value: string, mark: Mark): void {
    if (this.#put(key, value, mark)) this.#weigh(1, key.length + value.length);
  }

  /** Keeps an answer of the core. */
  keep(told: Told): void {
    if (this.#put(told.key, told.value, told.mark) && this.#loose !== undefined) this.#loose.seen = true;
    this.#ready(told);
  }

  /**
   * Takes a log that was handed over. The first log after a read is listed, because more reads may follow; later ones
   * wait for the next read.
   */
  write(texts: string[], kinds: Uint8Array, spans: Uint32Array | undefined, marks: Marks, units: number): void {
    this.#add(new Written(texts, kinds, spans, marks));
    const read = this.#unread === 0;
    this.#unread += this.#weigh(kinds.length, units);
    if (read) return this.#list();
    this.#quiet = true;
    this.#leave();
  }

  /** Takes a page: the entry that was asked for, then its neighbours. */
  add(told: Told, text: string, numbers: Uint32Array): void {
    this.#wake();
    const page = new Page(text, numbers);
    if (page.from < this.#until && this.#shelf.size - this.#shelf.listed >= UNLISTED) this.#list();
    this.#until = page.until;
    // Only if neighbours do not pay: otherwise the next walk along here must find the page by this key.
    if (!this.#worth) this.#ready(told);
    this.#came += page.size - 1;
    if (this.#came > RECENT) {
      this.#came >>= 1;
      this.#served = Math.min(this.#served >> 1, this.#came);
    }
    this.#number = this.#add(page);
    this.#open = page;
    this.#begins.set(told.key, this.#number);
    this.#walking = true;
  }

  /** How many neighbours to ask the core for with the next read. */
  ahead(): number {
    const ahead = this.#ahead;
    this.#tried = (this.#tried + 1) % TRIED;
    if (this.#worth) this.#ahead = Math.min(this.#walked ? WALK : AHEAD, 2 * ahead + 1);
    else this.#ahead = ahead > 1 || this.#tried > 0 ? ahead >> 1 : 1;
    return ahead;
  }

  /** Whether enough of the fetched neighbours were read. */
  get #worth(): boolean {
    return WORTH * this.#served >= this.#came;
  }

  /** Whether a walk has just reached the end of a page and would continue behind it. */
  get #walked(): boolean {
    return this.#walking && this.#open.unasked && this.#open.at + 1 === this.#open.size;
  }

  /** Drops the copy of a key, if there is one. */
  delete(key: string): void {
    if (this.#shelf.size === 0) return;
    this.#list();
    const place = this.#shelf.find(key);
    if (place === NOWHERE) return;
    this.#shelf.drop(key, place);
    this.#thin();
  }

  /**
   * Releases written sheets of which nothing was read, or everything if nobody has read for long. The rest stops
   * counting against the budget: it holds what is being read, once for each key.
   */
  relieve(): void {
    if (this.#unread > UNREAD_UNITS) return this.clear();
    this.#list();
    for (let number = 0; number < this.#shelf.size; number += 1) {
      const sheet = this.#shelf.sheet(number);
      if (sheet !== undefined && !(sheet instanceof Page) && !sheet.seen) this.#shelf.remove(number);
    }
    this.#spend();
    this.#see();
  }

  clear(): void {
    this.#shelf = this.#empty();
    this.ready.clear();
    this.#begins.clear();
    this.#spend();
    this.#see();
    this.#quiet = true;
    this.#unread = Number.POSITIVE_INFINITY;
  }

  /** The copy of a key that is not the next one of a walk. */
  #look(key: string, reader: Noting): Copy | undefined {
    this.#wake();
    const place = this.#find(key);
    if (place === NOWHERE) return undefined;
    const [number, at] = [place >> SHEET_BITS, place & (SHEET - 1)];
    const sheet = this.#shelf.sheet(number) as Sheet;
    this.#walking = (number === this.#number && at === sheet.at + 1) || (at === 0 && this.#walked);
    if (sheet.unasked && at > 0) this.#served += 1;
    this.#open = sheet;
    this.#number = number;
    const copy = this.#show(key, sheet, at, reader);
    return this.#walking ? copy : this.ready.put(key, copy, sheet.mark, reader);
  }

  /** The place of a key. Unlisted sheets are listed only for random reads. */
  #find(key: string): number {
    const [open, shelf] = [this.#open, this.#shelf];
    if (open.is(key, open.at + 1)) return (this.#number << SHEET_BITS) | (open.at + 1);
    // A walk usually continues at the start of a page. If it does not, one crossing is wasted.
    const begun = this.#begins.get(key);
    if (begun !== undefined && shelf.sheet(begun)?.is(key, 0) === true) return begun << SHEET_BITS;
    // While somebody reads, only pages are unlisted, and they are no newer than what is listed.
    const place = shelf.find(key);
    if (place !== NOWHERE || this.#walked || shelf.listed === shelf.size) return place;
    this.#list();
    return shelf.find(key);
  }

  /** Opens a copy, records the read and returns the value. */
  #show(key: string, sheet: Sheet, at: number, reader: Noting): Copy {
    sheet.open(at);
    const { mark } = sheet;
    reader.note(mark);
    return this.values.copy(mark.kind, key, sheet.value);
  }

  /** Makes an answer of the core ready, so that the next read needs no table. */
  #ready({ key, value, mark, reader }: Told): void {
    reader.told(mark);
    this.ready.put(key, this.values.copy(mark.kind, key, value), mark, reader);
  }

  #empty(): Shelf {
    return new Shelf((key) => this.ready.delete(key));
  }

  /** Puts a copy onto the loose sheet, or replaces it there; true if the key had none there. */
  #put(key: string, value: string, mark: Mark): boolean {
    this.#list();
    const place = this.#shelf.find(key);
    const sheet = place === NOWHERE ? undefined : this.#shelf.sheet(place >> SHEET_BITS);
    if (sheet instanceof Loose) {
      this.ready.delete(key);
      sheet.renew(place & (SHEET - 1), value, mark);
      return false;
    }
    const loose = this.#room();
    this.#shelf.enter(this.#looseNumber, loose.add(key, value, mark));
    this.#thin();
    return true;
  }

  /** The loose sheet, or a new one if that is full. All sheets must be listed. */
  #room(): Loose {
    if (this.#loose !== undefined && this.#loose.size < SHEET) return this.#loose;
    const loose = new Loose();
    this.#looseNumber = this.#add(loose);
    this.#shelf.list();
    return (this.#loose = loose);
  }

  #add(sheet: Sheet): number {
    if (this.#shelf.size === SHEETS) this.clear();
    return this.#shelf.add(sheet);
  }

  /** Somebody reads: lists what was written while nobody did. */
  #wake(): void {
    if (this.#quiet) this.#list();
    this.#quiet = false;
    this.#unread = 0;
  }

  #list(): void {
    if (this.#shelf.listed === this.#shelf.size) return;
    this.#shelf.list();
    this.#begins.clear();
    this.#thin();
  }

  /** Charges writes to the budget until they are released or the sheets are known to be read; returns the weight. */
  #weigh(writes: number, units: number): number {
    const weight = units + WRITE_UNITS * writes;
    this.#budget.units += weight;
    this.#units += weight;
    return weight;
  }

  /** Stops charging this space. */
  #spend(): void {
    this.#budget.units -= this.#units;
    this.#units = 0;
  }

  /**
   * Releases sheets of which too little is left. If a written sheet is being read, its remaining copies move to the
   * loose sheet first: asking the core again for each would take several times as long.
   */
  #thin(): void {
    const shelf = this.#shelf;
    for (const number of shelf.thin) {
      const sheet = shelf.sheet(number);
      if (this.#looseNumber === number) this.#loose = undefined;
      if (sheet !== undefined && sheet.seen && !(sheet instanceof Page)) this.#move(shelf, sheet, number);
      shelf.remove(number);
    }
    shelf.thin.clear();
    this.#see();
  }

  #move(shelf: Shelf, sheet: Sheet, number: number): void {
    for (let at = 0; at < sheet.size; at += 1) {
      if (!sheet.has(at)) continue;
      const loose = this.#room();
      // `#room` clears everything if there are too many sheets.
      if (this.#shelf !== shelf) return;
      sheet.open(at);
      const { mark, value } = sheet;
      // Looking into the string makes the engine flatten it, so that it does not keep the longer text alive.
      value.charCodeAt(0);
      loose.seen = true;
      shelf.move((number << SHEET_BITS) | at, (this.#looseNumber << SHEET_BITS) | loose.add(sheet.key(at), value, mark));
    }
  }

  /**
   * Forgets references to released sheets. A walk must not continue on one, because it is not told of drops any more.
   */
  #see(): void {
    if (this.#loose !== this.#shelf.sheet(this.#looseNumber)) this.#loose = undefined;
    if (this.#open !== this.#shelf.sheet(this.#number)) this.#leave();
  }

  /** Ends the walk. */
  #leave(): void {
    this.#open = NONE;
    this.#walking = false;
  }
}
