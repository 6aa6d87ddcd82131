/**
 * Objects with many entries, for the benchmark: ours, and a Yjs document whose state lies in the object's SQLite in blobs, as those
 * who keep Yjs in objects do it. Each answers `/fill` (one batch) and `/get`, for which it is first constructed and loaded.
 */
import { DurableObject } from 'cloudflare:workers';
import { ReplicaObject } from 'edge-session/cloudflare';
import * as Y from 'yjs';

// The most that a row of SQLite in an object may hold is 2 MB.
const BLOB = 1 << 20;

export class Ours extends ReplicaObject {
  async fetch(request) {
    const session = (await this.replica).session();
    if (request.method === 'GET') return Response.json(await session.get(new URL(request.url).searchParams.get('key')));
    for (const [key, value] of await request.json()) session.sync.set(key, value);
    await (await this.replica).flush();
    return Response.json(null);
  }
}

export class Yjs extends DurableObject {
  #doc = new Y.Doc();

  constructor(ctx, env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS state (part INTEGER PRIMARY KEY, bytes BLOB)');
      const parts = ctx.storage.sql.exec('SELECT bytes FROM state ORDER BY part').toArray();
      if (parts.length > 0) Y.applyUpdate(this.#doc, new Uint8Array(await new Blob(parts.map(({ bytes }) => bytes)).arrayBuffer()));
    });
  }

  async fetch(request) {
    const map = this.#doc.getMap('store');
    if (request.method === 'GET') return Response.json(map.get(new URL(request.url).searchParams.get('key')));
    const entries = await request.json();
    this.#doc.transact(() => entries.forEach(([key, value]) => map.set(key, value)));
    this.#save();
    return Response.json(null);
  }

  #save() {
    const state = Y.encodeStateAsUpdate(this.#doc);
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.sql.exec('DELETE FROM state');
      for (let at = 0; at < state.byteLength; at += BLOB) this.ctx.storage.sql.exec('INSERT INTO state VALUES (?, ?)', at / BLOB, state.slice(at, at + BLOB));
    });
  }
}

export default {
  fetch(request, env) {
    const [, binding] = new URL(request.url).pathname.split('/');
    // Wakes workerd and nothing else.
    return env[binding] === undefined ? new Response('awake') : env[binding].getByName('one').fetch(request);
  },
};
