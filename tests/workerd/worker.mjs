// A worker as a user would write one, and beside it what the tests look at. Everything is imported at the top: workerd refuses
// clocks, timers and randomness there, so a worker that starts has shown that the import does nothing.
import { EdgeSessionError } from 'edge-session';
import { ReplicaObject, routeReplica } from 'edge-session/cloudflare';

// How often the class was constructed in this process, by the name of the object.
const constructions = new Map();

export class Edge extends ReplicaObject {
  // Set after the constructor of the class that it extends: options() is asked for only then.
  label = 'edge';
  #meeting = { waiting: [], count: 0 };
  #told;
  // Statements that only the host knows: how many have begun, and those that wait for `/release`.
  #ran = 0;
  // Where the environment says so the object answers roles itself: of each space, by user.
  #members = {};
  #held = [];

  constructor(ctx, env) {
    super(ctx, env);
    constructions.set(ctx.id.toString(), (constructions.get(ctx.id.toString()) ?? 0) + 1);
  }

  options() {
    const execute = async (statement) => {
      if (!statement.startsWith('count')) throw new EdgeSessionError('SYNTAX', 'this host counts');
      this.#ran += 1;
      if (statement === 'count slowly') await new Promise((resolve) => this.#held.push(resolve));
      return [{ ran: this.#ran }];
    };
    const passwords = !this.env.PASSWORDS_UNSAID && { authenticate: 'accounts' };
    return { id: this.label, execute, ...passwords, ...(this.env.TOKEN_SECRET && { secret: { kid: '1', key: this.env.TOKEN_SECRET } }), ...(this.env.HOST_ROLES && { roleOf: (user, space) => this.#members[space]?.[user] ?? null }) };
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/do') return this.#do(await request.json());
    if (pathname === '/inspect') return this.#inspect();
    if (pathname === '/admin') return Response.json(await (await this.replica).admin.run(await request.text()));
    if (pathname === '/members') return Response.json((this.#members = await request.json()));
    if (pathname === '/ran') return Response.json(this.#ran);
    if (pathname === '/release') return Response.json(this.#held.splice(0).map((go) => go()).length);
    return super.fetch(request);
  }

  /** Carries out steps under one session, as one request. */
  async #do({ token = null, user, steps = [], ...terms }) {
    const replica = await this.replica;
    const answers = [];
    try {
      const session = replica.session({ token, user, ...terms });
      for (const [name, ...args] of steps) answers.push((await this.#step(session, name, args)) ?? null);
      answers.push(session.user);
      return Response.json({ answers, token: await session.sealed(), writes: session.inspect().writes });
    } catch (error) {
      if (!EdgeSessionError.is(error)) throw error;
      return Response.json({ code: error.code, message: error.message, answers });
    }
  }

  async #step(session, name, args) {
    if (name === 'meet') return this.#meet(...args);
    if (name === 'members') return (this.#members = args[0]);
    if (name === 'sync') return session.sync[args[0]](...args.slice(1));
    if (name === 'list') return Array.fromAsync(session.list(...args), ({ key, value, version }) => [key, value, version]);
    return session[name](...args);
  }

  /** Waits in the middle of a request until so many requests wait here. */
  #meet(count) {
    return new Promise((resolve) => {
      this.#meeting.waiting.push(resolve);
      if (this.#meeting.waiting.length < count) return;
      for (const go of this.#meeting.waiting.splice(0)) go();
    });
  }

  /** How often each thing went wrong that nobody was told of. */
  async #errors() {
    if (this.#told === undefined) {
      this.#told = {};
      (await this.replica).on('error', ({ code }) => (this.#told[code] = (this.#told[code] ?? 0) + 1));
    }
    return this.#told;
  }

  async #inspect() {
    const replica = await this.replica;
    const errors = await this.#errors();
    const alarm = await this.ctx.storage.getAlarm();
    const { vectors, peers, storage, sessions } = replica.inspect();
    const attachments = this.ctx.getWebSockets().map((socket) => socket.deserializeAttachment()?.note?.byteLength ?? null);
    return Response.json({ id: replica.id, vectors, errors, peers, storage, sessions: sessions.length, alarm, now: Date.now(), attachments, constructions: constructions.get(this.ctx.id.toString()) });
  }
}

/** Collects the garbage of this isolate, which its objects share. Twice: what waited for the first is let go of by the second. */
function collected() {
  gc();
  gc();
  return Response.json(true);
}

const nameOf = (request) => new URL(request.url).searchParams.get('name') ?? 'one';

export default {
  async fetch(request, env) {
    const routed = await routeReplica(request, env.EDGE, { path: '/sync', name: nameOf });
    if (routed !== null) return routed;
    if (new URL(request.url).pathname === '/collect') return collected();
    // Asked without waking the object.
    if (new URL(request.url).pathname === '/constructions') return Response.json(constructions.get(env.EDGE.idFromName(nameOf(request)).toString()) ?? 0);
    return env.EDGE.get(env.EDGE.idFromName(nameOf(request))).fetch(request);
  },
};
