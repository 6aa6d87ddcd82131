// The conformance suite of storage adapters on the SQLite database of Durable Objects. A crash is a kill -9 of workerd.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EdgeSessionError } from 'edge-session';
import { storageCases } from 'edge-session/testing';
import { Workerd } from './support.mjs';

let workerd;
let count = 0;
const ends = [];
before(async () => {
  workerd = await Workerd.start({ after: (end) => ends.push(end) }, './bench.mjs', { BENCH: 'Bench' });
});
after(() => Promise.all(ends.map((end) => end())));

const pack = (list) => Buffer.concat(list.flatMap((bytes) => [new Uint8Array(Uint32Array.of(bytes.byteLength).buffer), bytes]));

function unpack(buffer) {
  const list = [];
  for (let at = 0; at < buffer.byteLength; ) {
    const length = new DataView(buffer).getUint32(at, true);
    list.push(new Uint8Array(buffer, at + 4, length));
    at += 4 + length;
  }
  return list;
}

async function call(state, name, adapter = '', body = new Uint8Array()) {
  const response = await workerd.fetch(`/${state}/${name}?adapter=${adapter}`, { method: 'POST', body });
  if (response.ok) return response;
  const { code, details, message } = await response.json();
  throw code === undefined ? new Error(message) : new EdgeSessionError(code, message, { details });
}

/** The adapter in the object, from here. */
class Remote {
  kind = 'remote';
  #state;
  #id = `adapter-${(count += 1)}`;

  constructor(state) {
    this.#state = state;
  }

  async lock() {
    const got = await (await call(this.#state, 'lock', this.#id)).json();
    return got ? () => void call(this.#state, 'unlock', this.#id).catch(() => {}) : null;
  }

  async load() {
    const response = await call(this.#state, 'load', this.#id);
    const [snapshot, ...records] = unpack(await response.arrayBuffer());
    return { snapshot: response.headers.get('snapshot') === 'true' ? snapshot : null, records };
  }

  append(records) {
    // Taken as they are now, as in one process.
    return call(this.#state, 'append', this.#id, pack(records)).then(() => {});
  }

  compact(snapshot) {
    return call(this.#state, 'compact', this.#id, pack([snapshot])).then(() => {});
  }
}

const bench = {
  create: () => `place-${(count += 1)}`,
  open: (state) => new Remote(state),
  kill: () => workerd.restart(),
  fail: (state, _, failing) => call(state, 'fail', failing),
  corrupt: (state, record) => call(state, 'sql', '', Buffer.from(`UPDATE edge_session_log SET bytes = zeroblob(length(bytes)) WHERE id = (SELECT id FROM edge_session_log ORDER BY id LIMIT 1 OFFSET ${record})`)),
};

describe('durableObjectStorage', () => {
  for (const { name, skip, run } of storageCases(bench)) test(name, { skip }, run);

  test('a record larger than a row is cut into several, none above 1 MiB', async () => {
    const state = bench.create();
    const adapter = bench.open(state);
    await adapter.lock();
    await adapter.load();
    await adapter.append([Buffer.alloc(10), Buffer.alloc((2 << 20) + 1, 7)]);
    const rows = await (await call(state, 'rows')).json();
    assert.deepEqual(rows.map(({ record, part, parts, bytes }) => [record, part, parts, bytes]), [[1, 0, 1, 10], [2, 0, 3, 1 << 20], [2, 1, 3, 1 << 20], [2, 2, 3, 1]]);
  });

  for (const [what, sql, name] of [
    ['a row that is missing in the middle of the log', 'DELETE FROM edge_session_log WHERE record = 2', /record 0 of the log is missing/],
    ['a part of a record that is missing', 'DELETE FROM edge_session_log WHERE record = 3 AND part = 1', /record 1 of the log: part 2 of 2 is missing/],
    ['a damaged part of the snapshot', 'UPDATE edge_session_snapshot SET bytes = zeroblob(length(bytes)) WHERE part = 1', /the snapshot is damaged: the checksum of part 2 of 2/],
    ['a missing part of the snapshot', 'DELETE FROM edge_session_snapshot WHERE part = 0', /the snapshot: part 1 of 2 is missing/],
  ]) {
    test(`${what} is named`, async () => {
      const state = bench.create();
      const adapter = bench.open(state);
      await adapter.lock();
      await adapter.load();
      await adapter.append([Buffer.alloc(10, 1)]);
      await adapter.compact(Buffer.alloc((1 << 20) + 5, 2));
      await adapter.append([Buffer.alloc(10, 3)]);
      await adapter.append([Buffer.alloc((1 << 20) + 5, 4)]);
      assert.ok((await (await call(state, 'sql', '', Buffer.from(sql))).json()) > 0);
      await assert.rejects(() => adapter.load(), (error) => EdgeSessionError.is(error, 'STORAGE_FAILED') && name.test(error.message));
    });
  }
});
