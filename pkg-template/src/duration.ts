/**
 * Durations: turns `'1.5s'` into 1500. Everything behind this file counts in milliseconds.
 */
import { invalid } from './errors.js';
import type { Duration } from './types/data.js';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The milliseconds of a duration, rounded up. Throws `ARGUMENT_INVALID` if it is negative, infinite or malformed. */
export function milliseconds(duration: Duration, name: string): number {
  const parts = typeof duration === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) : null;
  const ms = parts === null ? duration : Number(parts[1]) * (UNITS[parts[2] ?? ''] ?? Number.NaN);
  if (typeof ms === 'number' && ms >= 0 && ms <= Number.MAX_SAFE_INTEGER) return Math.ceil(ms);
  throw invalid(`${name} is a duration: milliseconds, or a number with ms, s, m, h or d, such as '5s'`);
}

/** The same, for intervals, which must be greater than 0. */
export function interval(duration: Duration, name: string): number {
  const ms = milliseconds(duration, name);
  if (ms > 0) return ms;
  throw invalid(`${name} is longer than nothing`);
}

/** As {@link milliseconds}; undefined if none is given. */
export function optional(duration: Duration | undefined, name: string): number | undefined {
  return duration === undefined ? undefined : milliseconds(duration, name);
}
