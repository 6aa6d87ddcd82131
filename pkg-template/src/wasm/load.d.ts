// The types of `#wasm`, the one import that differs between platforms (see "imports" in package.json).

/** A compiled `WebAssembly.Module`; opaque here, because only the DOM library names it. */
export type Module = object;

/** The compiled module, the same one at every call. Rejects where WebAssembly is refused (a Content-Security-Policy without `wasm-unsafe-eval`). */
export function load(): Promise<Module>;
