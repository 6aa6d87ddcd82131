// `#wasm` on workerd, which refuses to compile bytes and compiles imported modules itself, before the worker starts.
import module from './edge_session.wasm';

export function load(): Promise<WebAssembly.Module> {
  return Promise.resolve(module);
}
