/**
 * Explains why WebAssembly is unavailable and what to do about it. Platforms give the reason only in the text of their
 * errors, each in its own words; an error that matches none of these patterns keeps its cause.
 */
import { EdgeSessionError } from './errors.js';

const CURES: readonly (readonly [RegExp, string])[] = [
  [
    /unsafe-eval|content.security.policy|\bCSP\b/i,
    "this page's policy refuses WebAssembly; allow it by the header Content-Security-Policy: script-src 'wasm-unsafe-eval', beside the sources that it names already",
  ],
  [
    /code generation disallowed/i,
    "this platform compiles no WebAssembly while it runs; let the bundler resolve packages with the condition 'workerd', so that the module is deployed beside the code",
  ],
  [/WebAssembly.*(not defined|undefined)|find variable: WebAssembly/i, 'this platform has no WebAssembly; a browser in its lockdown mode has none'],
];

/** `WASM_UNAVAILABLE`, with the remedy if the platform's message is known. */
export function unavailable(cause: unknown): EdgeSessionError {
  const [, cure] = CURES.find(([words]) => words.test(String(cause))) ?? [];
  return new EdgeSessionError('WASM_UNAVAILABLE', cure ?? 'the wasm module cannot be loaded here', { cause });
}
