// `#wasm` in Node: the module's file, which lies beside this one where the package was installed. To read it takes a tenth of what it takes to read and unpack the
// text; who bundled the package has the text with it, and no such file, or another one.
import whole from './whole.js';

let compiled: Promise<WebAssembly.Module> | undefined;

export function load(): Promise<WebAssembly.Module> {
  const bytes = compiled === undefined ? file() : undefined;
  // A file that is damaged is no module, as a rule; the text still is one.
  compiled ??= (bytes === undefined ? text() : WebAssembly.compile(bytes).catch(text)).catch((error: unknown) => {
    compiled = undefined; // as in inline.ts
    throw error;
  });
  // Every replica draws randomness, which Node makes ready when it is first named: 2 ms, in which another thread compiles.
  void globalThis.crypto;
  return compiled;
}

async function text(): Promise<WebAssembly.Module> {
  return (await import('./inline.js')).load();
}

/** The module, if its file is to be had and is that of this build. */
function file(): Uint8Array<ArrayBuffer> | undefined {
  try {
    // Bundlers that copy files look for an address written in one piece.
    const here = import.meta.url;
    const bytes = process.getBuiltinModule('node:fs').readFileSync(new URL('edge_session.wasm', here));
    return bytes.toString('latin1', bytes.length - whole.length) === whole ? bytes : undefined;
  } catch {
    return undefined;
  }
}
