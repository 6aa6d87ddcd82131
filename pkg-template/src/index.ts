/**
 * edge-session: a replicated key-value store whose sessions never see a past they have left.
 *
 * Importing this does nothing; {@link openReplica} loads the wasm module.
 */
export { openReplica } from './open.js';
export { EdgeSessionError, ERROR_CODES, type ErrorCode } from './errors.js';
export { memory } from './storage/memory.js';
export { pair } from './transport/pair.js';
export { channel } from './transport/channel.js';
export { type WebSocketOptions, webSocket } from './transport/websocket.js';
export { type HttpOptions, type ResponseLike, http } from './transport/http.js';
export type { Address, TokenSource } from './transport/retry.js';
export type * from './types.js';
