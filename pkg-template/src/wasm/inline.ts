// `#wasm` on every platform but workerd: the module travels inside the package as text, so that no bundler, server or
// file system has to know of it; packed, because base64 hides from a server's compression what there is to compress. Nothing happens at import; the first load() compiles, once in a realm.
import base64 from './base64.js';

let compiled: Promise<WebAssembly.Module> | undefined;

export function load(): Promise<WebAssembly.Module> {
  compiled ??= compile().catch((error: unknown) => {
    compiled = undefined; // a refusal today (memory, a policy) may be none tomorrow
    throw error;
  });
  return compiled;
}

async function compile(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await unpacked());
}

/** Where Node's own functions are at hand, they take a tenth of the time of streams. */
async function unpacked(): Promise<BufferSource> {
  const zlib = globalThis.process?.getBuiltinModule?.('node:zlib');
  if (zlib !== undefined) return zlib.gunzipSync(Buffer.from(base64, 'base64'));
  const packed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
}
