/**
 * `edge-session/browser`: what only pages need.
 */
export { idb, type IdbOptions } from '../storage/idb.js';
export { flushOnHide } from './lifecycle.js';
export { shared } from '../transport/shared.js';
