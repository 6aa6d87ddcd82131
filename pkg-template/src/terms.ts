/**
 * Converts the options of an operation to their crossing form: guarantees and policy as bits, the timeout as a number.
 *
 * Everything is checked here, before the core is called: an argument of the wrong form throws and has no effect.
 */
import type { RawRange } from './binding.js';
import { milliseconds } from './duration.js';
import { EdgeSessionError, aborted, invalid } from './errors.js';
import { type Names, optionsOf, signalOf } from './form.js';
import type { Duration, Guarantee, Guarantees, KeyRange } from './types/data.js';
import type { AbortSignalLike } from './types/plug.js';
import type { StalePolicy, Wait } from './types/session.js';
import { wellFormed } from './value.js';

/** The guarantees in the order of their bits. */
const GUARANTEES = ['read-your-writes', 'monotonic-reads', 'monotonic-writes', 'writes-follow-reads'] as const satisfies readonly Guarantee[];
/** The policies in the order of their numbers; 0 means the session's own. */
const POLICIES = [undefined, 'wait', 'throw', 'serve'] as const;

const GIVEN = 1 << 4;
const SYNC = 1 << 7;

/** The terms of an operation in their crossing form. */
export interface Terms {
  readonly bits: number;
  /** Milliseconds; negative for the session's default. */
  readonly timeout: number;
  readonly signal: AbortSignalLike | undefined;
}

/** The options of calls that take only a timeout and a signal. */
export const PATIENCE: Names<Pick<Wait, 'signal' | 'timeout'>> = { signal: 1, timeout: 1 };
export const WAIT: Names<Wait> = { ...PATIENCE, guarantees: 1, onStale: 1 };
export const RANGE: Names<KeyRange> = { prefix: 1, start: 1, end: 1, limit: 1, reverse: 1 };
export const TTL: Names<{ ttl?: Duration }> = { ttl: 1 };

const PLAIN: Terms = Object.freeze({ bits: 0, timeout: -1, signal: undefined });

/**
 * The terms in a `Wait`, whose options may have these names. Throws `ARGUMENT_INVALID`, or `ABORTED` if the signal is
 * aborted.
 */
export function toTerms<T extends Wait>(wait: T | undefined, names: Names<T>): Terms {
  if (wait === undefined) return PLAIN;
  const signal = signalOf(optionsOf(wait, names).signal);
  if (signal?.aborted) throw aborted(signal.reason);
  return {
    bits: (wait.guarantees === undefined ? 0 : GIVEN | guaranteeBits(wait.guarantees)) | (policyNumber(wait.onStale) << 5),
    timeout: wait.timeout === undefined ? -1 : milliseconds(wait.timeout, 'timeout'),
    signal,
  };
}

/** The bits of an operation that never waits. */
export function syncBits(guarantees?: Guarantees): number {
  return guarantees === undefined ? SYNC : SYNC | GIVEN | guaranteeBits(guarantees);
}

export function guaranteeBits(guarantees: Guarantees): number {
  if (guarantees === 'all') return 15;
  if (guarantees === 'none') return 0;
  if (!Array.isArray(guarantees)) throw invalid(`guarantees are 'all', 'none' or a list of ${GUARANTEES.join(', ')}`);
  return guarantees.reduce<number>((bits, name) => {
    const at = GUARANTEES.indexOf(name);
    if (at < 0) throw invalid(`a guarantee is one of ${GUARANTEES.join(', ')}`);
    return bits | (1 << at);
  }, 0);
}

export function guaranteeNames(bits: number): readonly Guarantee[] {
  return Object.freeze(GUARANTEES.filter((_, at) => bits & (1 << at)));
}

/** The public form of an inspection, with guarantees by name. */
export function named<T extends { readonly guarantees: number | null }>(view: T) {
  return { ...view, guarantees: view.guarantees === null ? null : guaranteeNames(view.guarantees) } as {
    [K in keyof T]: K extends 'guarantees' ? readonly Guarantee[] | Extract<T[K], null> : T[K];
  };
}

export function policyNumber(policy: StalePolicy | undefined): number {
  const at = POLICIES.indexOf(policy);
  if (at < 0) throw invalid("onStale is 'wait', 'throw' or 'serve'");
  return at;
}

/** The milliseconds of `ttl` among options of these names; negative for none. */
export function toTtl<T extends { ttl?: Wait['timeout'] }>(options: T | undefined, names: Names<T>): number {
  if (options === undefined) return -1;
  const { ttl } = optionsOf(options, names);
  return ttl === undefined ? -1 : milliseconds(ttl, 'ttl');
}

/** Checks that a key can cross. The core checks its length. */
export function toKey(key: unknown): string {
  if (typeof key === 'string' && wellFormed(key)) return key;
  throw new EdgeSessionError('KEY_INVALID', 'a key is a well-formed string');
}

/** The crossing form of a range among options of these names. */
export function toRange<T extends KeyRange>(range: T | undefined, names: Names<T>): RawRange {
  const raw: RawRange = {};
  if (range === undefined) return raw;
  optionsOf(range, names, 'a range');
  for (const name of ['prefix', 'start', 'end'] as const) {
    const bound = range[name];
    if (bound === undefined) continue;
    if (typeof bound !== 'string' || !wellFormed(bound)) throw invalid(`${name} is a well-formed string`);
    raw[name] = bound;
  }
  if (range.limit !== undefined) {
    if (!Number.isSafeInteger(range.limit) || range.limit < 0) throw invalid('limit is a whole number, not negative');
    raw.limit = range.limit;
  }
  if (range.reverse !== undefined) raw.reverse = Boolean(range.reverse);
  return raw;
}
