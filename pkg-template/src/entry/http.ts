/**
 * `edge-session/http`: session tokens in HTTP, on servers and in browsers: headers, cookies, `fetch`, errors as
 * responses.
 *
 * Importing it does nothing, and loads no wasm module.
 */
export { type Reply, clearToken, readToken, toResponse, writeToken } from '../http/tokens.js';
export { type WithTokenOptions, withToken } from '../http/fetch.js';
export { currentSession, runWithSession } from '#context';
export type { Carrier, CookieOptions } from '../http/carrier.js';
export type { FetchShape, HeadersShape, PlatformFetch, PlatformResponse, RequestShape, ResponseShape } from '../http/web.js';
