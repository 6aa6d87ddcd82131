// An object that is a replica, and whose storage can be made to fail: by triggers in its database, as a full or damaged disk does it,
// and by transactions of its own.
import { EdgeSessionError } from 'edge-session';
import { ReplicaObject } from 'edge-session/cloudflare';

export class Faulty extends ReplicaObject {
  #told = [];
  #refused = 0;

  options() {
    return { id: 'faulty', secret: { kid: '1', key: this.env.TOKEN_SECRET }, session: { timeout: '300ms' } };
  }

  constructor(ctx, env) {
    super(ctx, env);
    this.replica.then((replica) => replica.on('error', ({ code }) => this.#told.push(code)), () => {});
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    try {
      switch (pathname) {
        case '/sql':
          return Response.json(this.ctx.storage.sql.exec(await request.text()).toArray());
        case '/do':
          return Response.json(await this.#do(await request.json()));
        case '/inspect': {
          const replica = await this.replica;
          return Response.json({ id: replica.id, vector: replica.inspect().vectors.default ?? {}, persisted: replica.status.persisted, told: this.#told });
        }
        case '/delete':
          return Response.json((await this.ctx.storage.deleteAll()) ?? null);
        case '/alarm':
          return Response.json(await this.ctx.storage.getAlarm());
        case '/refuse-alarms':
          return Response.json(this.#refuseAlarms(await request.json()));
        case '/refused':
          return Response.json(this.#refused);
        case '/undone':
          return Response.json(await this.#undone(await this.replica, await request.json()));
      }
    } catch (error) {
      return Response.json({ code: error.code ?? null, message: String(error.message) }, { status: 500 });
    }
    return super.fetch(request);
  }

  /** A transaction of the application, in which it writes and then thinks better of it. */
  async #undone(replica, { key, late }) {
    const session = replica.session({ user: 'ann' });
    const { storage } = this.ctx;
    const write = () => {
      session.sync.set(key, true);
      throw new Error('undone');
    };
    const wait = async () => {
      await session.set(key, true);
      await scheduler.wait(20);
      throw new Error('undone');
    };
    const error = await (async () => (late ? storage.transaction(wait) : storage.transactionSync(write)))().catch((thrown) => thrown);
    return { message: error.message, there: session.sync.get(key) ?? null };
  }

  /** The platform refuses alarms: by a promise, or at once; until it is told to take them. */
  #refuseAlarms(how) {
    const { storage } = this.ctx;
    this.#refused = 0;
    if (how === null) delete storage.setAlarm;
    else {
      storage.setAlarm = () => {
        this.#refused += 1;
        const error = new Error('the alarm is refused');
        if (how === 'thrown') throw error;
        return Promise.reject(error);
      };
    }
    return null;
  }

  async #do({ token = null, user = 'ann', steps = [], ...terms }) {
    const replica = await this.replica;
    const answers = [];
    try {
      const session = replica.session({ token, user, ...terms });
      for (const [name, ...args] of steps) {
        const answer = name === 'keys' ? Array.fromAsync(session.list(), ({ key }) => key) : name === 'batch' ? session.batch((tx) => args.forEach(([key, value]) => tx.set(key, value))) : session[name](...args);
        answers.push((await answer) ?? null);
      }
      return { answers, token: await session.sealed() };
    } catch (error) {
      if (!EdgeSessionError.is(error)) throw error;
      return { code: error.code, message: error.message, answers };
    }
  }
}

export default {
  // Of an object that does not open the platform says nothing to whoever is outside.
  fetch: (request, env) => env.FAULTY.getByName('one').fetch(request).catch(({ message }) => Response.json({ message }, { status: 500 })),
};
