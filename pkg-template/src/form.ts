/**
 * What many options have in common, checked alike everywhere: that there is an object where there should be one, a signal, a list of
 * texts. `invalid` names what is wrong; nothing else is looked at.
 */
import { invalid } from './errors.js';
import type { AbortSignalLike } from './types/plug.js';

/** Options: an object, or nothing at all. Throws `ARGUMENT_INVALID`. */
export function optionsOf<T extends object>(given: T | undefined, name = 'options'): Partial<T> {
  if (given === undefined) return {};
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given;
  throw invalid(`${name}: an object is expected, with the options by their names`);
}

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
