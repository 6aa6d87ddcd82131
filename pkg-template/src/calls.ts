/**
 * Calls: what a replica without a secret asks one of the cluster to do for it, and what a replica with a secret does
 * for clients.
 *
 * Invariants:
 * - What is done for a client is done under the session of its token, in the same way as for a local session.
 * - A call is carried out once, whatever the network repeats; the core ensures that.
 * - A refusal reveals its code, message and details only.
 * - Logins are checked one after the other, because each needs much memory for a moment.
 */
import type { CoreSession, CoreTable, Effect } from './binding.js';
import type { Driver } from './driver.js';
import { EdgeSessionError, aborted, invalid } from './errors.js';
import { type Control, dispose, platform, report } from './platform.js';
import { type Operated, operateFor } from './operator.js';
import { type Read, readFor } from './remote.js';
import type { ReplicaHandle } from './replica.js';
import { PATIENCE, toTerms } from './terms.js';
import type { QueryOptions } from './types/service.js';
import type { Wait } from './types/session.js';
import { parse } from './value.js';
import { unlessAborted } from './waits.js';

/** The result of a call's statements, and the session's token after them. */
export interface Ran {
  readonly table: CoreTable;
  readonly token: string;
}

/** Asks a replica of the cluster and resolves with its answer. Rejects with its error, or with `TIMEOUT`. */
export async function ask<T>(driver: Driver, owner: object, method: string, args: readonly string[], token: string, options: Pick<Wait, 'signal' | 'timeout'> | undefined): Promise<T> {
  const { timeout, signal } = toTerms(options, PATIENCE);
  const text = JSON.stringify(args);
  return JSON.parse(await driver.operate<string>(owner, (core, now) => core.call(method, text, token, timeout, now), signal)) as T;
}

/**
 * The token of a session on a replica without a secret, if the cluster has signed it: then the cluster runs its
 * statements. Otherwise undefined.
 */
export function callerOf(driver: Driver, raw: CoreSession): string | undefined {
  if (driver.keyed) return undefined;
  const token = driver.call((_, now) => raw.token(now));
  return token.startsWith('~') ? undefined : token;
}

type Call = Extract<Effect, { kind: 'call' }>;

/** The calls that a replica carries out. */
export class Calls {
  readonly #replica: ReplicaHandle<any>;
  readonly #driver: Driver;
  readonly #running = new Map<number, Control>();
  #logins: Promise<unknown> = Promise.resolve();

  constructor(replica: ReplicaHandle<any>, driver: Driver) {
    this.#replica = replica;
    this.#driver = driver;
  }

  take(call: Call): void {
    const control = new (platform().AbortController)();
    this.#running.set(call.call, control);
    const reply = (code: string | undefined, text: string, details?: string) => {
      this.#running.delete(call.call);
      this.#driver.tryCall((core, now) => core.replied(call.call, code, text, details, now));
    };
    // After the core's other effects are performed.
    Promise.resolve()
      .then(() => this.#perform(call, { timeout: call.timeout, signal: control.signal }))
      .then(
        (answer) => reply(undefined, JSON.stringify(answer)),
        (cause: unknown) => {
          if (EdgeSessionError.is(cause)) return reply(cause.code, cause.message, plainly(cause.details));
          report('edge-session: a call could not be carried out', cause);
          reply('REPLICA_CRASHED', 'the call could not be carried out');
        },
      );
  }

  /** Nobody waits for the call any more. */
  over(call: number): void {
    this.#running.get(call)?.abort(aborted('nobody waits for the answer'));
  }

  async #perform({ method, args, token }: Call, options: QueryOptions): Promise<Ran | Read | Operated | string> {
    const [first, second] = strings(args);
    if (method === 'run' && first !== undefined) return this.#run(first, token, options);
    if (method === 'login' && first !== undefined && second !== undefined) return this.#login(first, second, options);
    if ((method === 'entry' || method === 'list') && first !== undefined && second !== undefined) return readFor(this.#replica, token, first, method, second, options);
    if (method === 'admin' && first !== undefined && second !== undefined) return operateFor(this.#replica, token, first, second);
    throw new EdgeSessionError('PROTOCOL_MISMATCH', 'this replica does not know such a call');
  }

  async #run(statement: string, token: string, options: QueryOptions): Promise<Ran> {
    const session = this.#replica.session(token);
    try {
      const table = await session.run(statement, options);
      return { table: [[...table.columns], table.rows.map((row) => [...row]), String(table)], token: await session.sealed() };
    } finally {
      session[dispose]();
    }
  }

  #login(user: string, password: string, options: QueryOptions): Promise<string> {
    const login = async () => {
      // The login's turn may come when nobody waits for it any more; this throws then, before anything is hashed.
      toTerms(options, PATIENCE);
      const session = await this.#replica.login(user, password);
      try {
        return await session.sealed();
      } finally {
        session[dispose]();
      }
    };
    const { timeout, signal } = toTerms(options, PATIENCE);
    const late = (fail: (error: unknown) => void) => this.#driver.timer(() => fail(new EdgeSessionError('TIMEOUT', 'the login was not decided in time')), timeout);
    // The host's `authenticate` may never settle; the deadline lets the next login have its turn.
    const turn = this.#logins.then(() => unlessAborted(login(), signal, late));
    this.#logins = turn.catch(() => {});
    return turn;
  }
}

/** The details of an error as JSON; undefined if there are none, or if they are not JSON. */
function plainly(details: Readonly<Record<string, unknown>>): string | undefined {
  if (Object.keys(details).length === 0) return undefined;
  try {
    return JSON.stringify(details);
  } catch {
    return undefined; // The host may have thrown anything.
  }
}

function strings(args: string): readonly string[] {
  const list = parse(args);
  if (Array.isArray(list) && list.every((one) => typeof one === 'string')) return list;
  throw invalid('the arguments of a call are strings');
}
