/**
 * Copies of the values of a space, on the sheets on which they came (`sheet.ts`), found by a table of them (`shelf.ts`).
 *
 * Invariants: a sheet is listed before anything is looked for in the table, and before any copy is dropped, so that none is
 * answered that another sheet knows better; what somebody walks through needs no list, for all on it is true. What was written
 * before anybody reads, or while nobody does, is listed when somebody does: to put each into a table when it is written would cost what most never repay.
 */
import type { Copy, Mark, Marks } from './copy.js';
import type { Values } from './frozen.js';
import { Page } from './page.js';
import type { Reader, Ready } from './ready.js';
import { Loose, SHEET, SHEET_BITS, type Sheet, Written } from './sheet.js';
import { NOWHERE, SHEETS, Shelf } from './shelf.js';

/** The most that is kept of what was written in all spaces of a replica, in UTF-16 units of text, where a write counts as some more: then that is let go of which nobody reads. */
export const WRITTEN_UNITS = 1 << 24;
const WRITE_UNITS = 32;
/** So much of it in one space since anybody has read there: then what was read before is let go of as well. */
const UNREAD_UNITS = WRITTEN_UNITS / 2;
/** The most copies that are fetched with one read; and with one that goes on where the last copy fetched was. */
const AHEAD = 64;
const WALK = 1_024;
/** To fetch one more copy costs about a tenth of a crossing: so it is worth it where one in so many is read. */
const WORTH = 8;
/**
 * Where it is not, one read in so many asks for one all the same. Odd, as the one is by turns what lies before and what lies behind:
 * a walk would else find the one that it has read each time, and never be seen.
 */
const TRIED = 5;
/** After so many what came before counts half. */
const RECENT = 512;
/**
 * The most sheets that are not listed when a page comes that a walk does not go on with: of pages that came again and again all but
 * the last go when they are. The pages of a walk hold no key twice, however many they are.
 */
const UNLISTED = 128;
const NONE = new Loose();

/** How much is kept of what was written in all spaces of a replica. */
export interface Budget {
  units: number;
}

/** Whoever reads, and is to know whose writes he has read. */
export interface Noting extends Reader {
  note(mark: Mark): void;
  /** The core has answered him with this write, and knows it. */
  told(mark: Mark): void;
}

/** What the core has answered a reader. */
export interface Told {
  readonly key: string;
  readonly value: string;
  readonly mark: Mark;
  readonly reader: Noting;
}

/** The copies of a space. */
export class Copies {
  readonly #budget: Budget;
  /** How much of it is this space's. */
  #units = 0;
  #shelf = this.#empty();
  /** The sheet that was read last, or came last; and its number. */
  #open: Sheet = NONE;
  #number = 0;
  /** Whether whoever reads goes from one place to the next. */
  #walking = false;
  /**
   * Whether nobody has looked for anything since the last two logs at least: what stands on no sheet that was listed is then missed by nobody, and
   * who comes to what is ready looks here first, for with each log whatever he has covered is asked for again.
   */
  #quiet = true;
  /** How much was written in logs since anybody has looked for something. */
  #unread = Number.POSITIVE_INFINITY;
  /** What pages begin with that are not listed. */
  readonly #begins = new Map<string, number>();
  /** The place of the core's behind the last page. */
  #until = 0;
  /** Where copies go that come one at a time. */
  #loose: Loose | undefined;
  #looseNumber = 0;
  /** How many neighbours the next read that crosses asks for: whoever reads a few keys pays for none, a walk for few crossings. */
  #ahead = 0;
  /** How many have come of late, and how many reads there were of such. */
  #came = 0;
  #served = 0;
  #tried = 0;

  /** What was read here and there. */
  readonly ready: Ready;

  /** How values are handed out here. */
  readonly values: Values;

  constructor(budget: Budget, ready: Ready, values: Values) {
    this.#budget = budget;
    this.ready = ready;
    this.values = values;
  }

  /** The copy of a key that is not ready to be handed out as it is, to a reader. */
  get(key: string, reader: Noting): Copy | undefined {
    if (this.#shelf.size === 0) return undefined;
    const open = this.#open;
    if (!this.#walking || !open.is(key, open.at + 1)) return this.ready.json(key, reader) ?? this.#look(key, reader);
    if (open.unasked) this.#served += 1;
    return this.#show(key, open, open.at + 1, reader);
  }

  /** A key was written, and has another value now. */
  put(key: string, value: string, mark: Mark): void {
    if (this.#put(key, value, mark)) this.#weigh(1, key.length + value.length);
  }

  /** Takes what the core has answered. */
  keep(told: Told): void {
    if (this.#put(told.key, told.value, told.mark) && this.#loose !== undefined) this.#loose.seen = true;
    this.#ready(told);
  }

  /** Takes a log that the core was given. One behind reads is listed, for more may follow; of those behind it all at once, when somebody reads. */
  write(texts: string[], kinds: Uint8Array, spans: Uint32Array | undefined, marks: Marks, units: number): void {
    this.#add(new Written(texts, kinds, spans, marks));
    const read = this.#unread === 0;
    this.#unread += this.#weigh(kinds.length, units);
    if (read) return this.#list();
    this.#quiet = true;
    this.#leave();
  }

  /** Takes what came with an answer: first the copy that the core was asked for. */
  add(told: Told, text: string, numbers: Uint32Array): void {
    this.#wake();
    const page = new Page(text, numbers);
    if (page.from < this.#until && this.#shelf.size - this.#shelf.listed >= UNLISTED) this.#list();
    this.#until = page.until;
    // Who walks this way again is to find the page by it.
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

  /** How many copies of neighbours the core is asked for now. */
  ahead(): number {
    const ahead = this.#ahead;
    this.#tried = (this.#tried + 1) % TRIED;
    if (this.#worth) this.#ahead = Math.min(this.#walked ? WALK : AHEAD, 2 * ahead + 1);
    else this.#ahead = ahead > 1 || this.#tried > 0 ? ahead >> 1 : 1;
    return ahead;
  }

  /** Whether enough of what has come was read. */
  get #worth(): boolean {
    return WORTH * this.#served >= this.#came;
  }

  /** Whether somebody has read on to the end of a page just now, and would go on behind it. */
  get #walked(): boolean {
    return this.#walking && this.#open.unasked && this.#open.at + 1 === this.#open.size;
  }

  /** The copy of a key, if there is one, is no longer true. */
  delete(key: string): void {
    if (this.#shelf.size === 0) return;
    this.#list();
    const place = this.#shelf.find(key);
    if (place === NOWHERE) return;
    this.#shelf.drop(key, place);
    this.#thin();
  }

  /** Lets go of what was written and of which nobody has read anything; of all where nobody has read for long. The rest counts no longer: it holds what is read, once of each key. */
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

  /** Where the copy of a key stands. What is not listed is listed only for those who do not walk. */
  #find(key: string): number {
    const [open, shelf] = [this.#open, this.#shelf];
    if (open.is(key, open.at + 1)) return (this.#number << SHEET_BITS) | (open.at + 1);
    // A walk goes on at the beginning of a page, as a rule. Where it does not, the core is asked once for nothing.
    const begun = this.#begins.get(key);
    if (begun !== undefined && shelf.sheet(begun)?.is(key, 0) === true) return begun << SHEET_BITS;
    // Since somebody reads, nothing but pages is unlisted: what is listed is as true.
    const place = shelf.find(key);
    if (place !== NOWHERE || this.#walked || shelf.listed === shelf.size) return place;
    this.#list();
    return shelf.find(key);
  }

  /** Shows a copy to a reader. */
  #show(key: string, sheet: Sheet, at: number, reader: Noting): Copy {
    sheet.open(at);
    const { mark } = sheet;
    reader.note(mark);
    return this.values.copy(mark.kind, key, sheet.value);
  }

  /** What was asked of the core is read again without a look at where it is kept. */
  #ready({ key, value, mark, reader }: Told): void {
    reader.told(mark);
    this.ready.put(key, this.values.copy(mark.kind, key, value), mark, reader);
  }

  #empty(): Shelf {
    return new Shelf((key) => this.ready.delete(key));
  }

  /** Puts a copy where others are that came one at a time; whether there was none of the key among these. */
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

  /** Where there is room for one more copy that comes by itself. All sheets are listed. */
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

  /** Somebody reads. What has been written since something was listed may stand there otherwise. */
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

  /** So many writes of so many units of text count, until they are let go of or somebody is seen to read there; how much that is. */
  #weigh(writes: number, units: number): number {
    const weight = units + WRITE_UNITS * writes;
    this.#budget.units += weight;
    this.#units += weight;
    return weight;
  }

  /** Nothing counts any more. */
  #spend(): void {
    this.#budget.units -= this.#units;
    this.#units = 0;
  }

  /**
   * Lets go of the sheets of which too little is left. Where somebody reads, what is left of writes goes where copies are that come one at a
   * time: to ask the core for each again takes several times as long.
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
      // Where there was no more room all was let go of.
      if (this.#shelf !== shelf) return;
      sheet.open(at);
      const { mark, value } = sheet;
      // To be looked into makes it a text of its own.
      value.charCodeAt(0);
      loose.seen = true;
      shelf.move((number << SHEET_BITS) | at, (this.#looseNumber << SHEET_BITS) | loose.add(sheet.key(at), value, mark));
    }
  }

  /** Sees which sheets are gone. Nobody reads on from one, for it is not told any longer what is no longer true. */
  #see(): void {
    if (this.#loose !== this.#shelf.sheet(this.#looseNumber)) this.#loose = undefined;
    if (this.#open !== this.#shelf.sheet(this.#number)) this.#leave();
  }

  /** Nobody reads on. */
  #leave(): void {
    this.#open = NONE;
    this.#walking = false;
  }
}
