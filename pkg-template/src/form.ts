/**
 * What many options have in common, checked alike everywhere: that there is an object where there should be one, a signal, a list of
 * texts. `invalid` names what is wrong; nothing else is looked at.
 */
import { invalid } from './errors.js';
import type { AbortSignalLike } from './types/plug.js';
import type { SessionInit } from './types/session.js';

/** The names of options: that none is left out is for the compiler. */
export type Names<T> = Readonly<Record<keyof T, 1>>;

/**
 * Options: an object, or nothing at all. One that nobody knows would go unnoticed, and with it what it was to say: that there is a
 * secret, or whom a kill is to spare. Throws `ARGUMENT_INVALID`.
 */
export function optionsOf<T extends object>(given: T | undefined, names: Names<T>, what = 'options'): Partial<T> {
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw invalid(`${what}: an object is expected, with the options by their names`);
  for (const name of Object.keys(given)) if (!Object.hasOwn(names, name)) throw invalid(`${what}: there is no '${name}', but ${Object.keys(names).join(', ')}`);
  return given;
}

/** How a session begins, wherever that is said; and where its token comes from elsewhere. */
export const BEGIN: Names<Omit<SessionInit, 'token'>> = { space: 1, guarantees: 1, user: 1, client: 1, clientIp: 1, onStale: 1, timeout: 1, expiresIn: 1, onRefused: 1 };
export const INIT: Names<SessionInit> = { token: 1, ...BEGIN };

/** A signal; nothing, and `null` as `fetch` takes it, are none. Throws `ARGUMENT_INVALID`. */
export function signalOf(given: AbortSignalLike | null | undefined): AbortSignalLike | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given.aborted === 'boolean' && typeof given.addEventListener === 'function') return given;
  throw invalid('signal is an AbortSignal, such as the one of an AbortController');
}

/** Throws `ARGUMENT_INVALID` for what is there and no text. */
export function textOrNothing(given: unknown, name: string): void {
  if (given !== undefined && typeof given !== 'string') throw invalid(`${name} is a string`);
}

/** Throws `ARGUMENT_INVALID` for what is there and no list of texts. */
export function textsOrNothing(given: unknown, name: string): void {
  if (given !== undefined && !(Array.isArray(given) && given.every((one) => typeof one === 'string'))) throw invalid(`${name} is a list of strings`);
}
