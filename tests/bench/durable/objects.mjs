/**
 * Durable Objects in the real workerd, their state on disk. A cold open is the first request after the process was started anew:
 * the object is constructed, its state read, and one entry answered.
 */
import { Workerd } from '../../workerd/support.mjs';
import { entries } from '../data.mjs';

const BATCH = 10_000;
const BINDINGS = { 'edge-session': 'OURS', 'Yjs in SQLite': 'YJS' };

/** A contender for each, over `count` entries, and how to end. */
export async function objects(count) {
  const ends = [];
  const workerd = await Workerd.start({ after: (end) => ends.push(end) }, '../bench/durable/worker.mjs', { OURS: 'Ours', YJS: 'Yjs' });
  const { keys, values } = entries(count, 'ascii');
  const last = keys[count - 1];
  return {
    names: Object.keys(BINDINGS),
    async fill(name) {
      for (let at = 0; at < count; at += BATCH) await workerd.json(`/${BINDINGS[name]}`, keys.slice(at, at + BATCH).map((key, index) => [key, values[at + index]]));
    },
    opening: (name) => async () => {
      await workerd.restart();
      await workerd.fetch('/');
      const began = performance.now();
      const value = await workerd.json(`/${BINDINGS[name]}?key=${last}`);
      const took = performance.now() - began;
      if (value !== values[count - 1]) throw new Error(`${name} has not what was written`);
      return { [`P3 cold open of ${count} entries, ms`]: took };
    },
    async close() {
      for (const end of ends) await end();
    },
  };
}
