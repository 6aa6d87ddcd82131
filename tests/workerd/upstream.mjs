// An object with an upstream that can be made to hang: it takes a request, and never settles, whatever its signal says.
import { ReplicaObject } from 'edge-session/cloudflare';

export class Linked extends ReplicaObject {
  #hangs = null;
  #rings = 0;
  /** The signals of the requests that it hangs with. */
  #hanging = [];

  options() {
    return { id: 'linked', secret: { kid: '1', key: this.env.TOKEN_SECRET }, session: { timeout: '300ms' } };
  }

  upstreams() {
    const { LINKED } = this.env;
    if (!this.ctx.id.equals(LINKED.idFromName('one'))) return [];
    return [{ fetch: (request) => this.#hang(request) ?? LINKED.getByName('other').fetch(request) }];
  }

  #hang({ signal }) {
    if (this.#hangs === null) return undefined;
    this.#hanging.push(signal);
    if (this.#hangs === 'before') return new Promise(() => {});
    return Promise.resolve(new Response(new ReadableStream({ start: (body) => body.enqueue(new Uint8Array(1)) })));
  }

  alarm() {
    this.#rings += 1;
    return super.alarm();
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (request.headers.get('Content-Type') === 'application/vnd.edge-session') return super.fetch(request);
    const replica = await this.replica;
    switch (pathname) {
      case '/hang':
        this.#hangs = await request.json();
        return Response.json(null);
      case '/hanging':
        return Response.json(this.#hanging.map(({ aborted }) => aborted));
      case '/set':
        return Response.json((await replica.session({ user: 'ann' }).set(await request.json(), 1).catch(({ code }) => code)) ?? null);
      case '/keys':
        return Response.json(await Array.fromAsync(replica.session({ user: 'ann', guarantees: 'none' }).list(), ({ key }) => key));
      case '/rings':
        return Response.json(this.#rings);
      case '/persisted':
        return Response.json(replica.status.persisted);
      case '/sql':
        return Response.json(this.ctx.storage.sql.exec(await request.json()).toArray());
    }
    return new Response(null, { status: 404 });
  }
}

export default {
  fetch: (request, env) => env.LINKED.getByName(new URL(request.url).searchParams.get('of') ?? 'one').fetch(request),
};
