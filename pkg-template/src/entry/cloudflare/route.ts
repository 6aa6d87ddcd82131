/**
 * The way from a plain worker to the object that is the replica. A worker is not one: it mints no replica id and keeps nothing.
 */
import { invalid } from '../../errors.js';
import { optionsOf } from '../../form.js';
import { NOT_SYNC, below, isMessage, offered } from '../../transport/admit.js';

/** What is used of a namespace; `DurableObjectNamespace<YourClass>` fits. */
export interface ReplicaNamespace {
  idFromName(name: string): DurableObjectId;
  get(id: DurableObjectId): { fetch(request: Request): Promise<Response> };
}

/** Options of {@link routeReplica}. */
export interface RouteOptions {
  /** Requests to this path, and to what lies below it, are routed; `'/sync'` unless said otherwise. */
  path?: string | undefined;
  /**
   * The name of the object that answers, or null for a request that is not to be routed; `'default'` for all of them
   * unless said otherwise. Whoever may ask for a name that did not exist makes an object: check it.
   */
  name?: ((request: Request) => string | null) | undefined;
}

/**
 * Hands a request of the sync protocol (a WebSocket or a POST of `application/vnd.edge-session`) to an object of
 * `namespace`. Answers null for what is not its affair; the worker goes on with that. What is no such request, though its path
 * says so, is answered with 426 and wakes no object.
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

/** Whether a request is one of the sync protocol. */
export function isSync(request: Request): boolean {
  return isSocket(request) || isExchange(request);
}

export function isSocket(request: Request): boolean {
  return request.headers.get('Upgrade')?.toLowerCase() === 'websocket' && offered(request.headers.get('Sec-WebSocket-Protocol')).known;
}

export function isExchange(request: Request): boolean {
  return request.method === 'POST' && isMessage(request.headers.get('Content-Type'));
}

/** What a request of another kind is answered. */
export function notSync(): Response {
  return new Response(NOT_SYNC, { status: 426, headers: { Upgrade: 'websocket' } });
}
