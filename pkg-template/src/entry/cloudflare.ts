/**
 * `edge-session/cloudflare`: a Durable Object that is a replica, and the routing of requests to it.
 *
 * For workers only: it imports `cloudflare:workers`. The import itself does nothing, so a worker may import it at its
 * top.
 */
export { ReplicaObject } from './cloudflare/object.js';
export { type ReplicaNamespace, type RouteOptions, routeReplica } from './cloudflare/route.js';
export type { Upstream } from './cloudflare/upstream.js';
export { type DurableStorageLike, durableObjectStorage } from '../storage/durable-object.js';
