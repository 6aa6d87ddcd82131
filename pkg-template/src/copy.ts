/**
 * What a reader gets of a copy, and whose write it is.
 *
 * What a reader gets is the reader's own, or frozen (`frozen.ts`): whoever changes an object that was handed out changes nothing for others.
 */
import { fresh, parse } from './value.js';

/** How a value is stored: 0 a string as it is, 1 JSON text; 3, in the log alone: nothing, for the key was deleted. */
export type Stored = 0 | 1 | 3;

/**
 * Whose write a copy is. The copies of one write share theirs: that the log has become a write is said once, not for each.
 * Without a sequence the write is in the log.
 */
export class Mark {
  constructor(
    readonly kind: Stored,
    /** The number that the core gave to a replica. */
    public origin = 0,
    public sequence = 0,
  ) {}
}

/** The marks of a log, by the kind of what it has written. */
export type Marks = Readonly<Record<0 | 1, Mark>>;

/** Of so many texts that are parsed, what comes out of one is kept: what is read again and again is among them soon, what is read once is seldom. */
const PARSED = 8;
let parsed = 0;

/** A value that is not a string: its text, or what came out of it and nobody holds. */
export class Json {
  #value: string | object;

  constructor(text: string) {
    this.#value = text;
  }

  /** The value, the reader's own. */
  own(): unknown {
    if (typeof this.#value === 'object') return fresh(this.#value);
    const made = parse(this.#value);
    parsed = (parsed + 1) % PARSED;
    if (parsed === 0 && typeof made === 'object' && made !== null) this.#value = fresh(made) ?? this.#value;
    return made;
  }
}

/** What a copy answers: a `Json`, of which each reader gets his own, or what every reader gets as it is. */
export type Copy = unknown;

const OBJECT = 0x7b;
const LIST = 0x5b;

/** The copy of a stored text: of what has no parts the value itself, which nobody can change. */
export function toCopy(kind: Stored, text: string): Copy {
  if (kind === 0) return text;
  const first = text.charCodeAt(0);
  if (first === OBJECT || first === LIST) return new Json(text);
  const value = parse(text);
  return typeof value === 'object' && value !== null ? new Json(text) : value;
}
