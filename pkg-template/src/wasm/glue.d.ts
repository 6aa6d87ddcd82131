// The types of glue.js, which is generated: wasm-bindgen's output as a factory.
import type * as bindings from './bindings.js';
import type { Module } from './load.js';

/** Everything that the module exports. */
export type Bindings = typeof bindings;

/** Makes an instance with a memory of its own; a crash in it affects no other instance. */
export function instantiate(module: Module): Bindings;
