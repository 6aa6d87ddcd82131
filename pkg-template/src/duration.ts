/**
 * Durations: `'1.5s'` to 1500. Milliseconds everywhere behind this file.
 */
import { invalid } from './errors.js';
import type { Duration } from './types/data.js';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The milliseconds of a duration. Throws `ARGUMENT_INVALID` for what is negative, endless or not of the form. */
export function milliseconds(duration: Duration, name: string): number {
  const parts = typeof duration === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) : null;
  const ms = parts === null ? duration : Number(parts[1]) * (UNITS[parts[2] ?? ''] ?? Number.NaN);
  if (typeof ms === 'number' && ms >= 0 && ms <= Number.MAX_SAFE_INTEGER) return Math.ceil(ms);
  throw invalid(`${name} is a duration: milliseconds, or a number with ms, s, m, h or d, such as '5s'`);
}

/** The same, of what is done again and again after so long: more than nothing. */
export function interval(duration: Duration, name: string): number {
  const ms = milliseconds(duration, name);
  if (ms > 0) return ms;
  throw invalid(`${name} is longer than nothing`);
}

/** As {@link milliseconds}, or undefined where none is given. */
export function optional(duration: Duration | undefined, name: string): number | undefined {
  return duration === undefined ? undefined : milliseconds(duration, name);
}
