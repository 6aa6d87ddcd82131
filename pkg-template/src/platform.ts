/**
 * The few globals that a platform lends: timers, console, byte streams, broadcast channels.
 *
 * The only file that names them. They are looked up when used, never at import, and described by their shape, so that
 * nothing here needs the DOM library.
 */
import type { AbortSignalLike, ByteReadable, ByteWritable } from './types/plug.js';

export interface Timer {
  /** Whether the process stays alive for it, on platforms where that is a question. */
  hold(alive: boolean): void;
  cancel(): void;
}

export interface Control {
  readonly signal: AbortSignalLike;
  abort(reason?: unknown): void;
}

export interface MessageChannelLike {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** Runs `run` once after about `ms` milliseconds. Early is no harm: who asked looks at the clock, and asks again. */
export type Timers = (run: () => void, ms: number) => Timer;

interface Globals {
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
  console?: { error(...args: unknown[]): void };
  TransformStream: new (transformer?: object, writable?: Strategy, readable?: Strategy) => { readable: ByteReadable; writable: ByteWritable };
  ReadableStream: new (source: ByteSource, strategy?: Strategy) => ByteReadable;
  WritableStream: new (sink: ByteSink, strategy?: Strategy) => ByteWritable;
  AbortController: new () => Control;
  URL: new (url: string, base?: string) => { readonly href: string; protocol: string; hash: string };
  location?: { readonly href: string };
  BroadcastChannel?: new (name: string) => MessageChannelLike;
  addEventListener?(type: string, listener: (event: { readonly persisted?: boolean }) => void): void;
  removeEventListener?(type: string, listener: (event: { readonly persisted?: boolean }) => void): void;
  document?: { addEventListener(type: string, listener: () => void): void; removeEventListener(type: string, listener: () => void): void };
  Deno?: { refTimer?(id: number): void; unrefTimer?(id: number): void };
}

interface Strategy {
  highWaterMark: number;
  size?(chunk: Uint8Array): number;
}

export interface ByteController {
  readonly desiredSize: number | null;
  enqueue(chunk: Uint8Array): void;
  close(): void;
}

interface ByteSource {
  start?(controller: ByteController): void;
  cancel?(): void;
}

interface ByteSink {
  write?(chunk: Uint8Array): void;
  abort?(): void;
}

/** The globals of this platform. */
export const platform = (): Globals => globalThis as unknown as Globals;

// The longest delay of setTimeout; beyond it fires at once.
const LONGEST = 2 ** 31 - 1;

/** Runs `run` once after `ms` milliseconds, or earlier where that is longer than a timer can be. */
export function timer(run: () => void, ms: number): Timer {
  const { Deno } = platform();
  const handle = platform().setTimeout(run, Math.min(Math.max(Math.ceil(ms), 1), LONGEST));
  const own = handle as { ref?(): void; unref?(): void };
  return {
    hold(alive) {
      if (typeof handle === 'number') (alive ? Deno?.refTimer : Deno?.unrefTimer)?.(handle);
      else if (alive) own.ref?.();
      else own.unref?.();
    },
    cancel: () => platform().clearTimeout(handle),
  };
}

/** Tells people what nobody else takes: never silence, never an exception. */
export function report(...args: unknown[]): void {
  platform().console?.error(...args);
}

/** The symbol of `using`, also where the platform does not have it yet. Compilers that lower `using` look up the same. */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
/** The symbol of `await using`, likewise. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
