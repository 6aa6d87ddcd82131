/**
 * edge-session in Cloudflare Workers: a Durable Object that is a replica, and the way to it.
 *
 * For workers alone: it imports `cloudflare:workers`. Importing it does nothing; a worker may do so at its top.
 */
export { ReplicaObject } from './cloudflare/object.js';
export { type ReplicaNamespace, type RouteOptions, routeReplica } from './cloudflare/route.js';
export type { Upstream } from './cloudflare/upstream.js';
export { type DurableStorageLike, durableObjectStorage } from '../storage/durable-object.js';
