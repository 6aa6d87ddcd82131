/**
 * The public types in reading order: what is stored, the session that reads and writes it, the replica that serves it, the
 * plug points for storage and transport.
 *
 * They name nothing of the DOM and nothing newer than ES2022, so that every consumer can compile them with library
 * checks on; what a platform brings (signals, byte streams) is described by its shape.
 */
export type * from './types/data.js';
export type * from './types/session.js';
export type * from './types/service.js';
export type * from './types/replica.js';
export type * from './types/plug.js';

declare global {
  // The names that `using` and `await using` look up, for compilers whose library does not have them yet; where it has
  // them, these declarations merge with its own.
  interface SymbolConstructor {
    readonly dispose: unique symbol;
    readonly asyncDispose: unique symbol;
  }
  interface Disposable {
    [Symbol.dispose](): void;
  }
  interface AsyncDisposable {
    [Symbol.asyncDispose](): PromiseLike<void>;
  }
}
