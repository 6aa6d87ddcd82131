// A worker whose objects serve requests under sessions that travel in headers and cookies: by hand, and with Hono.
import { Hono } from 'hono';
import { ReplicaObject } from 'edge-session/cloudflare';
import { edgeSession } from 'edge-session/hono';
import { currentSession, readToken, runWithSession, toResponse, writeToken } from 'edge-session/http';

const handle = async (request) => {
  const session = currentSession();
  const { pathname } = new URL(request.url);
  await scheduler.wait(Math.random() * 5);
  if (request.method === 'PUT') await currentSession().set(pathname, await request.json());
  // What was looked up before the waits and after them is the same.
  return Response.json({ user: session.user, same: session === currentSession(), value: (await currentSession().get(pathname)) ?? null });
};

export class Shop extends ReplicaObject {
  #app = new Hono()
    .use(edgeSession(() => this.replica, { onStale: 'throw', serverTiming: true }))
    .all('*', async (c) => handle(c.req.raw));

  options() {
    return { secret: { kid: '1', key: this.env.TOKEN_SECRET } };
  }

  async fetch(request) {
    const { searchParams } = new URL(request.url);
    if (searchParams.has('hono')) return this.#app.fetch(request);
    const replica = await this.replica;
    try {
      const user = searchParams.get('user');
      const session = user === null ? replica.session({ token: readToken(request), onStale: 'throw' }) : replica.session({ user });
      const response = await runWithSession(session, () => handle(request));
      return writeToken(response, await session.sealed({ detached: true }), { request });
    } catch (error) {
      return toResponse(error, { request });
    }
  }
}

export default {
  fetch: (request, env) => env.SHOPS.getByName(new URL(request.url).searchParams.get('shop') ?? 'one').fetch(request),
};
