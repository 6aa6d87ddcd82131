/**
 * A copy of a value, and whose write it is.
 *
 * What a reader gets of it is the reader's own: whoever changes an object that was handed out changes nothing for others.
 */
import { fresh } from './value.js';

/** How a value is stored: 0 a string as it is, 1 JSON text; 3, in the log alone: nothing, for the key was deleted. */
export type Stored = 0 | 1 | 3;

/**
 * Whose write a copy is. The copies of one write share theirs: that the log has become a write is said once, not for each.
 * Without a sequence the write is in the log.
 */
export class Mark {
  /** Of whoever has read a copy of it last: what stands for all that he has read since the core was told. */
  noted: object | undefined = undefined;

  constructor(
    readonly kind: Stored,
    /** The number that the core gave to a replica. */
    public origin = 0,
    public sequence = 0,
  ) {}
}

/** A value that may be answered until it is to be forgotten: a string; JSON text, or what came out of it and nobody holds. */
export class Copy {
  constructor(
    public value: string | object,
    public mark: Mark,
  ) {}
}

/** Of so many texts that are parsed, what comes out of one is kept: what is read again and again is among them soon, what is read once is seldom. */
const PARSED = 8;
let parsed = 0;

/** The value of a copy of JSON, the reader's own. What came out of a text may take its place, once the log does not need it. */
export function own(copy: Copy): unknown {
  const { value } = copy;
  if (typeof value === 'object') return fresh(value);
  const made: unknown = JSON.parse(value);
  parsed = (parsed + 1) % PARSED;
  if (parsed === 0 && typeof made === 'object' && made !== null && copy.mark.sequence > 0) copy.value = fresh(made) ?? value;
  return made;
}
