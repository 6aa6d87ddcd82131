/**
 * Queries: work that runs under a plan of the core, which may kill it; and statements, which the core runs itself.
 *
 * Invariant: the caller's promise settles when the core ends the query, whatever the work does; a later result of the
 * work is discarded.
 */
import { load } from '#wasm';
import type { CoreReplica, CoreTable } from './binding.js';
import type { Driver } from './driver.js';
import { EdgeSessionError, aborted, fromCore, invalid } from './errors.js';
import type { Handle } from './handle.js';
import { platform } from './platform.js';
import { PATIENCE, toTerms } from './terms.js';
import type { AbortSignalLike, PlatformSignal } from './types/plug.js';
import type { Cell, QueryContext, QueryOptions, Table } from './types/service.js';
import { textOf, wellFormed } from './value.js';
import { instantiate } from './wasm/glue.js';

/** The table of a statement's result. */
export class Rows implements Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly #text: string;

  constructor([columns, rows, text]: CoreTable) {
    this.columns = columns;
    this.rows = rows;
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

/**
 * Throws `ARGUMENT_INVALID` unless it is a well-formed string: different ill-formed names and passwords would cross as
 * the same text.
 */
export function toStatement(statement: unknown): asserts statement is string {
  if (typeof statement !== 'string' || !wellFormed(statement)) throw invalid('a statement is a well-formed string');
}

/** Runs `work` as a query of a session. */
export async function track<T>(handle: Handle, statement: string, work: (query: QueryContext) => T | PromiseLike<T>, options?: QueryOptions): Promise<T> {
  toStatement(statement);
  if (typeof work !== 'function') throw invalid('the work of a query is a function');
  const { timeout, signal } = toTerms(options, PATIENCE);
  if (signal?.aborted) throw aborted(signal.reason);
  const { driver } = handle;
  const control = new (platform().AbortController)();
  let [planId, until] = [0, -1];
  const fail = (failure: string) => driver.tryCall((core, now) => core.endQuery(planId, 0, failure, now));
  let stop = (_: EdgeSessionError) => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = (error) => {
      reject(error);
      control.abort(error);
    };
  });
  // It may reject before anybody waits for it.
  stopped.catch(() => {});
  const cancel = () => {
    fail('aborted');
    stop(aborted(signal?.reason));
  };
  // Beginning the query may end it: its deadline has passed, or a listener kills it.
  handle.call(
    (raw, now) => raw.beginQuery(statement, timeout, now),
    ([plan = 0, deadline = -1]) => {
      [planId, until] = [plan, deadline];
      driver.queries.set(plan, stop);
    },
  );
  signal?.addEventListener('abort', cancel);
  try {
    const context: QueryContext = { planId, signal: control.signal as PlatformSignal, deadline: until < 0 ? null : until };
    // The work begins at once, unless the query was stopped already, and may throw at once.
    const begun = () => new Promise<T>((resolve) => resolve(work(context)));
    const result = await (control.signal.aborted ? stopped : Promise.race([stopped, begun()]));
    driver.call((core, now) => core.endQuery(planId, Array.isArray(result) ? result.length : 0, undefined, now));
    return result;
  } catch (error) {
    // Changes nothing if the query was stopped, because then it has ended already.
    fail(whyOf(error));
    throw error;
  } finally {
    driver.queries.delete(planId);
    signal?.removeEventListener('abort', cancel);
  }
}

/** The text by which a failed query is remembered. What the work throws need not have one. */
function whyOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return 'what was thrown has no text';
  }
}

/** Runs statements of the core, for the session of a handle or for the host itself. The text must be well formed. */
export async function run(driver: Driver, statement: string, handle: Handle | undefined, options?: QueryOptions): Promise<Table> {
  const { timeout, signal } = toTerms(options, PATIENCE);
  const answers: string[] = [];
  // `handle.raw` is read again after the waits, because the handle may have been released meanwhile.
  const first = handle?.raw;
  for (const [password, ...hash] of driver.call((core) => (first ?? core).secrets(statement), undefined, handle?.asking(statement))) {
    const known = hash[0] ?? '';
    answers.push(hash.length === 0 ? await hashed(password) : `${(await verified(password, known || null)) ? '' : '!'}${known}`);
    if (signal?.aborted) throw aborted(signal.reason);
  }
  const raw = handle?.raw;
  const begin = (core: CoreReplica, now: number) => (raw ?? core).run(statement, answers, timeout, now);
  return new Rows(await driver.operate<CoreTable>(handle ?? driver, begin, signal as AbortSignalLike | undefined, handle?.asking(statement)));
}

/** The result of the host's `execute` as a table. The result may be a table, rows as objects, or one value. */
export function toTable(result: unknown): Table {
  const { columns, rows } = (typeof result === 'object' && result !== null ? result : {}) as Partial<Table>;
  if (Array.isArray(columns) && Array.isArray(rows) && rows.every(Array.isArray)) return print(columns.map(String), rows.map((row) => row.map(toCell)));
  const records = result === undefined ? [] : Array.isArray(result) ? result : [result];
  const plain = records.every((record) => typeof record === 'object' && record !== null);
  if (!plain) return print(['value'], records.map((record) => [toCell(record)]));
  const names = [...new Set(records.flatMap((record) => Object.keys(record)))];
  return print(names, records.map((record) => names.map((name) => toCell(record[name]))));
}

function toCell(value: unknown): Cell {
  if (typeof value === 'string' || typeof value === 'number') return value;
  // As text, because it may have more digits than a number.
  if (typeof value === 'bigint') return String(value);
  return value === null ? null : (textOf(value) ?? null);
}

function print(columns: readonly string[], rows: readonly (readonly Cell[])[]): Table {
  const lines = [columns, ...rows.map((row) => row.map((cell) => String(cell ?? '')))];
  // A loop, because `Math.max(...)` takes only so many arguments.
  const widths = columns.map((_, at) => lines.reduce((most, line) => Math.max(most, (line[at] ?? '').length), 0));
  const rule = `${widths.map((width) => `+${'-'.repeat(width + 2)}`).join('')}+\n`;
  const [head = '', ...body] = lines.map((line) => `${widths.map((width, at) => `| ${(line[at] ?? '').padEnd(width)} `).join('')}|\n`);
  return new Rows([[...columns], rows.map((row) => [...row]), `${rule}${head}${rule}${body.join('')}${rule}`]);
}

interface Passwords {
  hashPassword(password: string): string;
  verifyPassword(password: string, hash: string | undefined): boolean;
}

/** A temporary instance: hashing takes 19 MiB, and the memory of an instance never shrinks. */
async function passwords(): Promise<Passwords> {
  return instantiate(await load()) as unknown as Passwords;
}

/** The hash of a password. */
async function hashed(password: string): Promise<string> {
  const { hashPassword } = await passwords();
  try {
    return hashPassword(password);
  } catch (thrown) {
    throw fromCore(thrown) ?? thrown;
  }
}

/** Whether a password matches a hash. Without a hash it returns false, after the same time. */
export async function verified(password: string, hash: string | null): Promise<boolean> {
  return (await passwords()).verifyPassword(password, hash ?? undefined);
}
