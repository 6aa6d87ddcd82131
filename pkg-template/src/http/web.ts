/**
 * The shapes of the Fetch standard's objects: requests, responses, headers.
 *
 * Described by shape, so that they compile with the DOM library, with a worker's types and with neither. Looked up when
 * used, never at import.
 */

/** The part of `Headers` that is used here. */
export interface HeadersShape {
  get(name: string): string | null;
  has(name: string): boolean;
  set(name: string, value: string): void;
  append(name: string, value: string): void;
  delete(name: string): void;
}

/** The part of `Request` that is used here: its headers. */
export interface RequestShape {
  readonly headers: HeadersShape;
}

/** The part of `Response` that is used here. */
export interface ResponseShape {
  readonly headers: HeadersShape;
}

/** Any platform's `fetch`. */
export type FetchShape = (input: any, init?: any) => Promise<ResponseShape>;

/** The platform's `Response`, as the compiler knows it. */
export type PlatformResponse = typeof globalThis extends { Response: { prototype: infer R } } ? R : ResponseShape;

/** The platform's `fetch`, as the compiler knows it. */
export type PlatformFetch = typeof globalThis extends { fetch: infer F } ? (F extends FetchShape ? F : FetchShape) : FetchShape;

interface Web {
  readonly fetch: FetchShape;
  readonly Headers: new (init?: unknown) => HeadersShape;
  readonly Response: new (body: unknown, init?: unknown) => ResponseShape & { readonly body: unknown };
  readonly URL: new (url: string, base?: string) => { readonly origin: string };
  readonly crypto: { getRandomValues(bytes: Uint8Array): Uint8Array };
  readonly location?: { readonly origin: string; readonly href: string };
}

/** The globals of this platform. */
export const web = (): Web => globalThis as unknown as Web;
