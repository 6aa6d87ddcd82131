/**
 * `edge-session/node`: what a replica needs on a server, in Node, Deno and Bun.
 */
export { fileStorage } from '../storage/file.js';
export { type ServeOptions, type Serving, serveReplica } from './node/serve.js';
