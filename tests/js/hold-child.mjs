// Objects that are overwritten in a program whose prototypes are frozen: there an assignment of a name that these have fails.
import assert from 'node:assert/strict';
import { openReplica } from 'edge-session';

const replica = await openReplica();
const session = replica.session();
const { sync } = session;
for (let n = 0; n < 3; n += 1) {
  sync.set('key', { n });
  sync.get('key');
}
Object.freeze(Object.prototype);
Object.freeze(Array.prototype);
for (let n = 0; n < 3; n += 1) {
  const value = { constructor: 'Baker & Sons', part: [{ toString: n, valueOf: { n } }] };
  sync.set('key', { n });
  sync.set('key', value);
  assert.equal(JSON.stringify(sync.get('key')), JSON.stringify(value));
  void session.satisfied();
}
await replica.close();
