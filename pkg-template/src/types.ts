/**
 * The public types in reading order: stored data, the session that reads and writes it, the replica that serves it, and
 * the plug points for storage and transport.
 *
 * They use no DOM types and nothing newer than ES2022, so that every consumer can compile them with library checks on.
 * Objects of the platform (signals, byte streams) are described by their shape.
 */
export type * from './types/data.js';
export type * from './types/session.js';
export type * from './types/service.js';
export type * from './types/replica.js';
export type * from './types/plug.js';

declare global {
  // The names that `using` and `await using` look up, for compilers whose library lacks them. If the library has them,
  // these declarations merge with its own.
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
