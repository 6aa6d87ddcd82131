// A worker whose one object is an edge of the fleet: it serves the sync protocol, keeps in step with the other edge, and carries out
// clients' requests.
import { ReplicaObject, routeReplica } from 'edge-session/cloudflare';
import { perform, stateOf } from './perform.mjs';

export class Edge extends ReplicaObject {
  options() {
    return { id: this.env.LABEL, secret: { kid: '1', key: this.env.TOKEN_SECRET } };
  }

  upstreams() {
    return [this.env.OTHER];
  }

  async fetch(request) {
    const replica = await this.replica;
    const { pathname } = new URL(request.url);
    if (pathname === '/do') return Response.json(await perform(replica, await request.json()));
    if (pathname === '/state') return Response.json(await stateOf(replica));
    return super.fetch(request);
  }
}

export default {
  async fetch(request, env) {
    const edge = env.EDGE.get(env.EDGE.idFromName('edge'));
    return (await routeReplica(request, env.EDGE, { path: '/sync', name: () => 'edge' })) ?? edge.fetch(request);
  },
};
