// Two regions, each an object that is a replica, in step with each other; users whose sessions roam between them.
//
//   POST /login?region=eu   {"user":"ann"}      begins a session; its token comes in the header Edge-Session
//   PUT  /cart?region=eu    ["book"]            writes under the session of the token that is sent, and answers the next token
//   GET  /cart?region=us                        reads in the other region: never older than what the token has seen
//   /sync?region=eu                             for replicas elsewhere: tabs, servers
//
// The objects talk by requests, not over a WebSocket of their own: a socket that an object has opened ends when the object
// is evicted, and keeps it from hibernating until then. A request needs nothing that has to survive. What one has written
// is sent at once; where that fails, the object's alarm wakes it to try again, and once in ten minutes it asks in any case.
import type { ReplicaOptions, Session } from 'edge-session';
import { ReplicaObject, type Upstream, routeReplica } from 'edge-session/cloudflare';
import { readToken, toResponse, writeToken } from 'edge-session/http';

interface Env {
  REGIONS: DurableObjectNamespace<Region>;
  TOKEN_SECRET: string;
}

type Keys = { [cart: `cart:${string}`]: string[] };

const REGIONS = ['eu', 'us'] as const;

export class Region extends ReplicaObject<Env, Keys> {
  protected override options(): ReplicaOptions {
    return { id: this.ctx.id.name, secret: { kid: '1', key: this.env.TOKEN_SECRET }, session: { expiresIn: '30d' } };
  }

  protected override upstreams(): readonly Upstream[] {
    return REGIONS.filter((name) => name !== this.ctx.id.name).map((name) => regionOf(this.env, name));
  }

  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname !== '/login' && pathname !== '/cart') return super.fetch(request);
    const replica = await this.replica;
    try {
      // One session a request; nothing of it outlives the request, and no other request sees it.
      if (pathname === '/login') {
        // Here your own login asks for more than a name.
        const { user } = await request.json<{ user: string }>();
        using session = replica.session({ user });
        return await answer(request, session, { user });
      }
      using session = replica.session(readToken(request));
      if (session.user === null) return Response.json({ code: 'TOKEN_INVALID' }, { status: 401 });
      if (request.method === 'PUT') await session.set(`cart:${session.user}`, await request.json<string[]>());
      return await answer(request, session, (await session.get(`cart:${session.user}`)) ?? []);
    } catch (error) {
      return toResponse(error, { request });
    }
  }
}

/** What a session has to say, with its token; the next request, wherever it goes, brings that along. */
async function answer(request: Request, session: Session<Keys>, body: unknown): Promise<Response> {
  return writeToken(Response.json(body), await session.sealed({ detached: true }), { request });
}

function regionOf(env: Env, name: string): DurableObjectStub<Region> {
  const locationHint = name === 'eu' ? 'weur' : 'enam';
  return env.REGIONS.get(env.REGIONS.idFromName(name), { locationHint });
}

/** The region that the request names, or the one that is near. */
function near(request: Request): string {
  const asked = new URL(request.url).searchParams.get('region');
  if (REGIONS.some((name) => name === asked)) return asked as string;
  return request.cf?.continent === 'EU' ? 'eu' : 'us';
}

export default {
  async fetch(request, env): Promise<Response> {
    return (await routeReplica(request, env.REGIONS, { path: '/sync', name: near })) ?? regionOf(env, near(request)).fetch(request);
  },
} satisfies ExportedHandler<Env>;
