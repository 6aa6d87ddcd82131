/**
 * Routes requests from a plain worker to the object that is the replica. The worker itself is not a replica: it has no
 * replica id and stores nothing.
 */
import { invalid } from '../../errors.js';
import { optionsOf } from '../../form.js';
import { NOT_SYNC, below, isMessage, offered } from '../../transport/admit.js';

/** The part of a namespace that is used here; `DurableObjectNamespace<YourClass>` fits. */
export interface ReplicaNamespace {
  idFromName(name: string): DurableObjectId;
  get(id: DurableObjectId): { fetch(request: Request): Promise<Response> };
}

/** Options of {@link routeReplica}. */
export interface RouteOptions {
  /** Requests to this path, and below it, are routed; `'/sync'` by default. */
  path?: string | undefined;
  /**
   * The name of the object that answers, or null for a request that is not to be routed; always `'default'` by default.
   * A new name creates an object, so check names that clients choose.
   */
  name?: ((request: Request) => string | null) | undefined;
}

/**
 * Hands a request of the sync protocol (a WebSocket or a POST of `application/vnd.edge-session`) to an object of
 * `namespace`. Returns null for another path, or if `name` does; the worker then handles the request itself. Any other
 * request to the path is answered with 426 and wakes no object.
 *
 * @example
 * ```ts
 * export default {
 *   async fetch(request, env) {
 *     return (await routeReplica(request, env.CARTS, { path: '/sync', name: () => 'eu' })) ?? new Response('hello');
 *   },
 * } satisfies ExportedHandler<Env>;
 * ```
 */
export async function routeReplica(request: Request, namespace: ReplicaNamespace, options: RouteOptions = {}): Promise<Response | null> {
  const { path = '/sync', name = () => 'default' } = optionsOf(options, { path: 1, name: 1 });
  if (typeof path !== 'string' || !path.startsWith('/')) throw invalid("a path begins with '/'");
  if (typeof name !== 'function') throw invalid('name is a function');
  const { pathname } = new URL(request.url);
  if (!below(pathname, path)) return null;
  const called = name(request);
  if (called === null) return null;
  if (!isSync(request)) return notSync();
  return namespace.get(namespace.idFromName(called)).fetch(request);
}

/** Whether a request belongs to the sync protocol. */
export function isSync(request: Request): boolean {
  return isSocket(request) || isExchange(request);
}

export function isSocket(request: Request): boolean {
  return request.headers.get('Upgrade')?.toLowerCase() === 'websocket' && offered(request.headers.get('Sec-WebSocket-Protocol')).known;
}

export function isExchange(request: Request): boolean {
  return request.method === 'POST' && isMessage(request.headers.get('Content-Type'));
}

/** The answer to any other request. */
export function notSync(): Response {
  return new Response(NOT_SYNC, { status: 426, headers: { Upgrade: 'websocket' } });
}
