/**
 * The session of the request that is being answered, anywhere in the call stack, also after an `await`.
 *
 * For servers, which have `AsyncLocalStorage`; it is looked up at the first use. Browsers get `context.browser.ts`
 * instead of this file (the import `#context`). There is one store for all replicas and requests; outside of a `run` it
 * holds no session.
 */
import { EdgeSessionError, invalid } from '../errors.js';
import type { KeyMap } from '../types/data.js';
import type { Session } from '../types/session.js';

interface Storage {
  getStore(): unknown;
  run<T>(store: unknown, run: () => T): T;
}

interface Host {
  readonly AsyncLocalStorage?: new () => Storage;
  readonly process?: { getBuiltinModule?(name: string): { readonly AsyncLocalStorage?: new () => Storage } | undefined };
}

let storage: Storage | undefined;

/**
 * Runs `run`, and everything that it calls and awaits, with `session` as {@link currentSession}. Returns what `run`
 * returns.
 *
 * Throws `UNSUPPORTED` if there is no `AsyncLocalStorage`: in browsers, and in workers without the flag `nodejs_compat`
 * (or `nodejs_als`).
 *
 * @example
 * ```ts
 * return runWithSession(session, () => handle(request));
 * ```
 */
export function runWithSession<T>(session: Session<any>, run: () => T): T {
  if (typeof run !== 'function') throw invalid('runWithSession takes a session and a function');
  return open().run(session, run);
}

/**
 * The session of the innermost {@link runWithSession} around this call; `undefined` outside of one, and in browsers.
 */
export function currentSession<M = KeyMap>(): Session<M> | undefined {
  return storage?.getStore() as Session<M> | undefined;
}

/** Whether {@link runWithSession} works here. */
export function hasContext(): boolean {
  return storage !== undefined || find() !== undefined;
}

function open(): Storage {
  if (storage !== undefined) return storage;
  const AsyncLocalStorage = find();
  if (AsyncLocalStorage !== undefined) return (storage = new AsyncLocalStorage());
  const what = 'runWithSession needs AsyncLocalStorage: Node 20.16 or newer, Deno, Bun, or a worker with the flag nodejs_compat';
  throw new EdgeSessionError('UNSUPPORTED', what);
}

function find(): Host['AsyncLocalStorage'] {
  const { AsyncLocalStorage, process } = globalThis as unknown as Host;
  return AsyncLocalStorage ?? process?.getBuiltinModule?.('node:async_hooks')?.AsyncLocalStorage;
}
