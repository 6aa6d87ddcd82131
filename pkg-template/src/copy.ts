/**
 * What a reader gets from a copy, and the mark that says whose write it is.
 *
 * A reader gets a value of its own, or a frozen one (`frozen.ts`), so changing an object never affects other readers.
 */
import { fresh, parse } from './value.js';

/** How a value is stored: 0 as a string, 1 as JSON text; 3, only in the log, marks a deletion. */
export type Stored = 0 | 1 | 3;

/**
 * The write of a copy. All copies of one write share a mark, so that a log gets its dot in one assignment. Sequence 0
 * means that the write is still in the log.
 */
export class Mark {
  constructor(
    readonly kind: Stored,
    /** The number that the core has given to the origin. */
    public origin = 0,
    public sequence = 0,
  ) {}
}

/** The marks of a log, by kind. */
export type Marks = Readonly<Record<0 | 1, Mark>>;

/**
 * One in eight parsed results is kept: a text that is read repeatedly soon has its result kept, one that is read once
 * rarely.
 */
const PARSED = 8;
let parsed = 0;

/** A value that is not a string: its JSON text, or a parsed form that nobody else holds. */
export class Json {
  #value: string | object;

  constructor(text: string) {
    this.#value = text;
  }

  /** A value of the reader's own. */
  own(): unknown {
    if (typeof this.#value === 'object') return fresh(this.#value);
    const made = parse(this.#value);
    parsed = (parsed + 1) % PARSED;
    if (parsed === 0 && typeof made === 'object' && made !== null) this.#value = fresh(made) ?? this.#value;
    return made;
  }
}

/** What a copy answers: a `Json`, from which each reader gets its own value, or a value that all readers share. */
export type Copy = unknown;

const OBJECT = 0x7b;
const LIST = 0x5b;

/** The copy of a stored text. A primitive is the copy itself, because nobody can change it. */
export function toCopy(kind: Stored, text: string): Copy {
  if (kind === 0) return text;
  const first = text.charCodeAt(0);
  if (first === OBJECT || first === LIST) return new Json(text);
  const value = parse(text);
  return typeof value === 'object' && value !== null ? new Json(text) : value;
}
