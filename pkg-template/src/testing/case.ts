/**
 * What a conformance suite is made of: named cases, and the few checks that they share. No test framework, no platform.
 */
import { timer } from '../platform.js';

/** One thing that an adapter must do. `run` rejects, saying what was expected, where it does not. */
export interface ConformanceCase {
  readonly name: string;
  /** Why it cannot be tried here (the bench lacks what it needs), or false. */
  readonly skip: string | false;
  run(): Promise<void>;
}

// Only a case that fails waits so long.
const DEADLINE = 20_000;

/** Throws unless `holds`. */
export function ensure(holds: boolean, expected: string): asserts holds {
  if (!holds) throw new Error(expected);
}

/** Waits some milliseconds of whatever the platform calls time. */
export const rest = (ms: number): Promise<void> => new Promise((resolve) => void timer(resolve, ms));

/** Asks again and again until the answer is not undefined, for `deadline` milliseconds. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>, deadline = DEADLINE): Promise<T> {
  for (let waited = 0; waited < deadline; waited += 20) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await rest(20);
  }
  throw new Error(`waited in vain: ${what}`);
}

/** Resolves with what the promise rejects with. */
export async function rejected(promise: Promise<unknown>, what: string): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} was expected to reject`);
}
