// One edge, in workerd: an object for each world, which is a replica with its state on disk. Beside the sync protocol it answers
// requests of the shop and of the operations console, one session a request, and tells the pages that watch it what it shows. It
// knows no other edge.

import { EdgeSessionError } from 'edge-session';
import { ReplicaObject, routeReplica } from 'edge-session/cloudflare';
import { observe } from '../observe.js';
import { serve } from '../serve.js';
import { log, run, signIn } from './operations.js';
import { report } from './report.js';

/** Path → what answers it. */
const CALLS = { '/ask': serve, '/sign-in': signIn, '/run': run, '/log': log };

export class Edge extends ReplicaObject {
  options() {
    const secret = { kid: 'demo', key: this.env.TOKEN_SECRET };
    return { id: this.env.PLACE, secret, heartbeat: '2s', execute: report, authenticate: (user, password) => this.#knows(user, password) };
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (Object.hasOwn(CALLS, pathname)) return this.#answer(CALLS[pathname], await request.json());
    if (pathname === '/watch') return this.#watch(await this.replica);
    return super.fetch(request);
  }

  /** The roads carry what edges say to each other, and both ends are called by the road: who knows the secret is believed. */
  async authorize(request) {
    return request.headers.get('Authorization') === this.env.TOKEN_SECRET ? 'trusted' : true;
  }

  /**
   * What a call answers, or its error: code, message, details. Whoever asked may be gone before; the work goes on all the same.
   * A refusal is an answer: of any other status a browser complains in its console.
   */
  async #answer(call, request) {
    try {
      const answer = call(await this.replica, request, this.env.PLACE);
      this.ctx.waitUntil(answer.catch(() => {}));
      return Response.json(await answer);
    } catch (error) {
      if (!EdgeSessionError.is(error)) throw error;
      const { code, message, details } = error;
      return Response.json({ error: { code, message, details } });
    }
  }

  /** Whether it is the password that this run of the demo has made for the user. */
  #knows(user, password) {
    const passwords = JSON.parse(this.env.PASSWORDS);
    const [right, given] = [Object.hasOwn(passwords, user) ? passwords[user] : '', password].map((text) => new TextEncoder().encode(text));
    return right.length > 0 && right.length === given.length && crypto.subtle.timingSafeEqual(right, given);
  }

  /** A page that watches keeps the object awake; an edge that nobody looks at hibernates. */
  #watch(replica) {
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    let token = null; // the session whose needs are compared with what is here
    const tell = (message) => {
      if (server.readyState === WebSocket.OPEN) server.send(JSON.stringify(message));
    };
    const ends = [
      observe(replica, () => token, tell),
      replica.on('error', ({ code, message }) => tell({ type: 'failed', message: `${code}: ${message}` })),
    ];
    const end = () => ends.splice(0).forEach((stop) => stop());
    server.addEventListener('message', ({ data }) => ({ token } = JSON.parse(data)));
    server.addEventListener('close', end);
    server.addEventListener('error', end);
    return new Response(null, { status: 101, webSocket: client });
  }
}

const worldOf = (request) => new URL(request.url).searchParams.get('world');

export default {
  async fetch(request, env) {
    const origin = request.headers.get('Origin');
    // Any page of the web may knock at an address of this machine.
    if (origin !== null && !/^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?$/.test(origin)) return new Response('not from there\n', { status: 403 });
    if (!/^[a-z0-9]{8,40}$/.test(worldOf(request) ?? '')) return new Response('which world?\n', { status: 400 });
    const routed = await routeReplica(request, env.EDGES, { path: '/sync', name: worldOf });
    if (routed !== null) return routed;
    const answer = await env.EDGES.get(env.EDGES.idFromName(worldOf(request))).fetch(request);
    if (answer.webSocket || origin === null) return answer;
    const headers = new Headers(answer.headers);
    headers.set('Access-Control-Allow-Origin', origin);
    return new Response(answer.body, { status: answer.status, headers });
  },
};
