/**
 * Checks that many options have in common: that an object, a signal or a list of strings is one. The error of `invalid`
 * names what is wrong; nothing else is checked here.
 */
import { invalid } from './errors.js';
import type { AbortSignalLike } from './types/plug.js';
import type { SessionInit } from './types/session.js';

/** The names of options; as a record, so that the compiler reports a missing one. */
export type Names<T> = Readonly<Record<keyof T, 1>>;

/**
 * An options object, or nothing. Unknown names are refused: otherwise a misspelt option would go unnoticed, be it the
 * secret or the session that a kill is to spare. Throws `ARGUMENT_INVALID`.
 */
export function optionsOf<T extends object>(given: T | undefined, names: Names<T>, what = 'options'): Partial<T> {
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw invalid(`${what}: an object is expected, with the options by their names`);
  for (const name of Object.keys(given)) if (!Object.hasOwn(names, name)) throw invalid(`${what}: there is no '${name}', but ${Object.keys(names).join(', ')}`);
  return given;
}

/** The options with which a session begins: without its token, where that comes from elsewhere, and with it. */
export const BEGIN: Names<Omit<SessionInit, 'token'>> = { space: 1, guarantees: 1, user: 1, client: 1, clientIp: 1, onStale: 1, timeout: 1, expiresIn: 1, onRefused: 1 };
export const INIT: Names<SessionInit> = { token: 1, ...BEGIN };

/** A signal. Undefined, and `null` as `fetch` accepts it, mean none. Throws `ARGUMENT_INVALID`. */
export function signalOf(given: AbortSignalLike | null | undefined): AbortSignalLike | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given.aborted === 'boolean' && typeof given.addEventListener === 'function') return given;
  throw invalid('signal is an AbortSignal, such as the one of an AbortController');
}

/** Throws `ARGUMENT_INVALID` unless the option is absent or a string. */
export function textOrNothing(given: unknown, name: string): void {
  if (given !== undefined && typeof given !== 'string') throw invalid(`${name} is a string`);
}

/** Throws `ARGUMENT_INVALID` unless the option is absent or a list of strings. */
export function textsOrNothing(given: unknown, name: string): void {
  if (given !== undefined && !(Array.isArray(given) && given.every((one) => typeof one === 'string'))) throw invalid(`${name} is a list of strings`);
}
