// What a replica shows, as a visitor would see it whose sessions promise nothing: every key and its version at one moment,
// reported whenever it changes; and its vectors. It leaves no trace in anybody else's session.

import { now } from './serve.js';

/** How often vectors are looked at, for changes that no key shows (a write that was superseded on its way). */
const LOOK_EVERY_MS = 150;

/**
 * Calls `report` with `{ type: 'seen', at, versions, values }` and `{ type: 'vectors', replica, vector, missing }`.
 * `wanted()` names the token whose session the replica is asked about. Returns a function that ends it.
 */
export function observe(db, wanted, report) {
  let visitor = visit(db);
  let shown = '';
  let told = '';

  // Read in the listener itself: a delta is one atomic step, and the first of its changes already finds all of it.
  const look = () => {
    const versions = {};
    const values = {};
    try {
      for (const { key, version, value } of visitor.sync.list()) {
        versions[key] = version;
        values[key] = value;
      }
    } catch (error) {
      // What storage has not confirmed yet is shown to nobody, nor is anything to who may not read; the next look is soon.
      if (error?.code === 'STALE_REPLICA' || error?.code === 'PERMISSION_DENIED') return;
      throw error;
    }
    const text = JSON.stringify(versions);
    if (text === shown) return;
    shown = text;
    report({ type: 'seen', at: now(), versions, values });
  };
  const vectors = () => {
    const { replica, vectors } = db.inspect();
    const token = wanted();
    const missing = token ? visitor.missing({ token }) : [];
    const message = { type: 'vectors', replica, vector: vectors.default ?? {}, missing };
    const text = JSON.stringify(message);
    if (text === told) return;
    told = text;
    report(message);
  };

  const both = () => {
    // Its time is over, or an operator has killed it.
    if (visitor.reason !== null) visitor = visit(db);
    look();
    vectors();
  };
  const off = db.on('change', both);
  const timer = setInterval(both, LOOK_EVERY_MS);
  both();
  return () => {
    off();
    clearInterval(timer);
    visitor[Symbol.dispose]?.();
  };
}

const visit = (db) => db.session({ user: 'map', client: 'map', guarantees: 'none', expiresIn: '10m' });
