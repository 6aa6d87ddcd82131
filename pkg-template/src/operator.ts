/**
 * The operator's calls under a session: carried out here if this replica has the cluster's secret, otherwise by a
 * replica that has it.
 *
 * Invariant: both ways go through `admin.as(session)`, under the session's role. Only the calls listed here can be
 * asked of another replica.
 */
import { AdminHandle } from './admin.js';
import { ask, callerOf } from './calls.js';
import { invalid } from './errors.js';
import type { Handle } from './handle.js';
import { dispose } from './platform.js';
import type { ReplicaHandle } from './replica.js';
import type { SessionAdmin } from './types/service.js';
import type { Session } from './types/session.js';

/** Every call except `run`, which is the session's own. */
const CALLS = [
  'sessions', 'killSession', 'killSessions', 'queries', 'killQuery', 'createUser', 'dropUser', 'setPassword', 'users', 'roles', 'grant', 'revoke',
  'createSpace', 'dropSpace', 'spaces', 'log', 'cache',
] as const;
type Name = (typeof CALLS)[number];
type Operate = (name: Name, args: readonly unknown[]) => unknown;

/** The answer of a call, and the session's token after it. */
export interface Operated {
  readonly answer: unknown;
  readonly token: string;
}

/** The operator's calls of a session. */
export function operatorOf(handle: Handle, session: Session<any>): SessionAdmin {
  const operate: Operate = async (name, args) => {
    const { driver, raw } = handle;
    const token = callerOf(driver, raw);
    if (token === undefined) return call(new AdminHandle(driver, handle), name, args);
    const { answer, token: later } = await ask<Operated>(driver, handle, 'admin', [name, JSON.stringify(args)], token, undefined);
    session.merge(later);
    return answer ?? undefined;
  };
  const calls = CALLS.map((name) => [name, (...args: unknown[]) => operate(name, args)] as const);
  return { ...Object.fromEntries(calls), run: (statement: string, options?: never) => session.run(statement, options) } as unknown as SessionAdmin;
}

/** Carries out a call for a client, under the session of its token. */
export async function operateFor(replica: ReplicaHandle<any>, token: string, name: string, args: string): Promise<Operated> {
  const [known, given] = [CALLS.find((one) => one === name), parsed(args)];
  if (known === undefined || !Array.isArray(given)) throw invalid('a call of the operator has a name and a list of arguments');
  const session = replica.session(token);
  try {
    const answer = await call(replica.admin.as(session), known, given);
    return { answer: answer ?? null, token: await session.sealed() };
  } finally {
    session[dispose]();
  }
}

async function call(admin: ReturnType<AdminHandle['as']>, name: Name, args: readonly unknown[]): Promise<unknown> {
  // JSON has turned omitted arguments into null.
  return (admin[name] as (...args: unknown[]) => unknown)(...args.map((one) => one ?? undefined));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid('the arguments of a call are JSON', cause);
  }
}
