// `#wasm` on every platform but workerd: the module travels inside the package as text, so that no bundler, server or
// file system has to know of it. Nothing happens at import; the first load() compiles, once in a realm.
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
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return WebAssembly.compile(bytes);
}
