/**
 * The parts of a conformance suite: named cases, and the checks that they share. Needs no test framework or platform.
 */
import { timer } from '../platform.js';

/** One requirement of an adapter. `run` rejects if it is not met, saying what was expected. */
export interface ConformanceCase {
  readonly name: string;
  /** Why the case cannot run (the bench lacks what it needs), or false. */
  readonly skip: string | false;
  run(): Promise<void>;
}

// Only a failing case waits so long.
const DEADLINE = 20_000;

/** Throws unless `holds`. */
export function ensure(holds: boolean, expected: string): asserts holds {
  if (!holds) throw new Error(expected);
}

/** Waits some milliseconds of the platform's time. */
export const rest = (ms: number): Promise<void> => new Promise((resolve) => void timer(resolve, ms));

/** Polls `ask` until its answer is not undefined, for at most `deadline` milliseconds. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>, deadline = DEADLINE): Promise<T> {
  for (let waited = 0; waited < deadline; waited += 20) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await rest(20);
  }
  throw new Error(`waited in vain: ${what}`);
}

/** Resolves with the reason for which the promise rejects. */
export async function rejected(promise: Promise<unknown>, what: string): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} was expected to reject`);
}
