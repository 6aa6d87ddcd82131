/**
 * `edge-session/node`: what a replica needs on a server, in Node, Deno and Bun.
 */
export { fileStorage } from '../storage/file.js';
