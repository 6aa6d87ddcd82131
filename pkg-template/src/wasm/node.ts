// `#wasm` in Node: reads the module's file, which is installed beside this one. That takes a tenth of the time of
// reading and unpacking the text. A bundle of the package contains the text, and has no such file, or another build's.
import whole from './whole.js';

let compiled: Promise<WebAssembly.Module> | undefined;

export function load(): Promise<WebAssembly.Module> {
  const bytes = compiled === undefined ? file() : undefined;
  // A damaged file usually does not compile; the text still does.
  compiled ??= (bytes === undefined ? text() : WebAssembly.compile(bytes).catch(text)).catch((error: unknown) => {
    compiled = undefined; // as in inline.ts
    throw error;
  });
  // Every replica needs randomness. Node initialises `crypto` at first use, which takes 2 ms; meanwhile another thread
  // compiles.
  void globalThis.crypto;
  return compiled;
}

async function text(): Promise<WebAssembly.Module> {
  return (await import('./inline.js')).load();
}

/** The module's bytes, if the file exists and belongs to this build. */
function file(): Uint8Array<ArrayBuffer> | undefined {
  try {
    // Bundlers that copy files look for this URL expression in one piece.
    const here = import.meta.url;
    const bytes = process.getBuiltinModule('node:fs').readFileSync(new URL('edge_session.wasm', here));
    return bytes.toString('latin1', bytes.length - whole.length) === whole ? bytes : undefined;
  } catch {
    return undefined;
  }
}
