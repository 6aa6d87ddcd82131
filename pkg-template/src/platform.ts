/**
 * The few globals that this package needs from a platform: timers, console, byte streams, broadcast channels.
 *
 * This is the only file that names them. They are looked up when used, never at import, and described by their shape,
 * so that nothing needs the DOM library.
 */
import type { AbortSignalLike, ByteReadable, ByteWritable } from './types/plug.js';

export interface Timer {
  /** Sets whether the timer keeps the process alive, on platforms where that makes a difference. */
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

/**
 * Runs `run` once after about `ms` milliseconds. It may run early: the caller looks at the clock and sets a new timer.
 */
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

// The longest delay of setTimeout; with a longer one it fires at once.
const LONGEST = 2 ** 31 - 1;

/** Runs `run` once after `ms` milliseconds, or earlier if `ms` exceeds the longest delay of a timer. */
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

/** Prints what nobody else handles. Does nothing without a console; never throws. */
export function report(...args: unknown[]): void {
  platform().console?.error(...args);
}

/** The symbol of `using`, also where the platform lacks it. Compilers that lower `using` look up the same symbol. */
export const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
/** The symbol of `await using`, likewise. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
