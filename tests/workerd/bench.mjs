// The object of the storage tests: adapters of its own storage, driven from outside, one request a call.
import { DurableObject } from 'cloudflare:workers';
import { EdgeSessionError } from 'edge-session';
import { durableObjectStorage } from 'edge-session/cloudflare';

/** Byte strings in a row, each after its length. */
const pack = (list) => new Blob(list.flatMap((bytes) => [Uint32Array.of(bytes.byteLength), bytes]));

function unpack(buffer) {
  const list = [];
  for (let at = 0; at < buffer.byteLength; ) {
    const length = new DataView(buffer).getUint32(at, true);
    list.push(new Uint8Array(buffer, at + 4, length));
    at += 4 + length;
  }
  return list;
}

export class Bench extends DurableObject {
  #adapters = new Map();
  #unlocks = new Map();
  #failing = false;
  #statements = 0;

  /** The object's real storage. While it is failing, each second statement is refused, as one is when the disk is full. */
  #storage = {
    sql: {
      exec: (...args) => {
        this.#statements += 1;
        if (this.#failing && this.#statements % 2 === 0) throw new Error('SQLITE_FULL');
        return this.ctx.storage.sql.exec(...args);
      },
    },
    transactionSync: (run) => this.ctx.storage.transactionSync(run),
  };

  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    try {
      return await this.#answer(pathname.slice(1), searchParams.get('adapter'), await request.arrayBuffer());
    } catch (error) {
      const { message } = error;
      return Response.json(EdgeSessionError.is(error) ? { code: error.code, details: error.details, message } : { message }, { status: 500 });
    }
  }

  async #answer(name, id, body) {
    const adapter = this.#adapters.get(id) ?? durableObjectStorage(this.#storage);
    this.#adapters.set(id, adapter);
    switch (name) {
      case 'lock': {
        const unlock = await adapter.lock();
        if (unlock !== null) this.#unlocks.set(id, unlock);
        return Response.json(unlock !== null);
      }
      case 'unlock':
        this.#unlocks.get(id)?.();
        return new Response();
      case 'load': {
        const { snapshot, records } = await adapter.load();
        const all = [];
        for await (const record of records) all.push(record);
        return new Response(pack([snapshot ?? new Uint8Array(), ...all]), { headers: { snapshot: String(snapshot !== null) } });
      }
      case 'append':
        adapter.append(unpack(body));
        return new Response();
      case 'compact':
        await adapter.compact(unpack(body)[0]);
        return new Response();
      case 'fail':
        this.#failing = id === 'true';
        this.#statements = 0;
        return new Response();
      case 'rows':
        return Response.json(this.ctx.storage.sql.exec('SELECT record, part, parts, length(bytes) AS bytes FROM edge_session_log').toArray());
      case 'sql':
        // What a fault of the disk does, done by hand.
        return Response.json(this.ctx.storage.sql.exec(new TextDecoder().decode(body)).rowsWritten);
    }
  }
}

export default {
  fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const [, name, ...rest] = pathname.split('/');
    return env.BENCH.getByName(name).fetch(new Request(`http://bench/${rest.join('/')}${search}`, request));
  },
};
