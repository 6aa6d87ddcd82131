// One request of a client, the same wherever it is served: at a worker's object, at a Node server, in a tab. It runs under one
// session, taken up with the token that comes along, and its answer has the token to go on with.

/** A value that says which write it is of. */
export const valueOf = (write) => `w${write}|${'.'.repeat(write % 200)}`;
const writeOf = (value) => Number(/^w(\d+)\|/.exec(value)[1]);

/** Carries out `steps` under the session of `token`, or under `held`, which goes on. Answers what was told, or why nothing was. */
export async function perform(replica, { token = null, user, client, steps, timeout = 2_000 }, held) {
  const session = held ?? replica.session({ token, timeout, ...(user && { user }), ...(client && { client }) });
  try {
    if (held !== undefined && token !== null) held.merge(token);
    const answers = [];
    for (const [name, ...args] of steps) answers.push(await STEPS[name](session, ...args));
    return { answers, token: await session.sealed({ timeout }) };
  } catch (error) {
    if (typeof error?.code !== 'string') throw error;
    return { code: error.code, message: error.message, missing: error.details?.missing ?? [] };
  } finally {
    if (held === undefined) session[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
  }
}

const STEPS = {
  get: async (session, key) => told(key, await session.entry(key)),
  list: async (session, prefix) => {
    const found = [];
    for await (const entry of session.list({ prefix })) found.push(told(entry.key, entry));
    return found;
  },
  batch: async (session, write, sets, deletes) => {
    const version = await session.batch((tx) => {
      for (const key of sets) tx.set(key, valueOf(write));
      for (const key of deletes) tx.delete(key);
    });
    // The place of a write in arbitration names the replica that accepted it.
    const [, replica] = version.split('+')[0].split('.');
    return { write, version, sequence: session.inspect().writes[replica] };
  },
  merge: (session, token) => void session.merge(token),
};

const told = (key, entry) => (entry === undefined ? { key, write: null, version: null } : { key, write: writeOf(entry.value), version: entry.version });

/** What a replica holds: its vector, and every entry with its version. */
export async function stateOf(replica) {
  // What is not stored yet is told to nobody but its own session.
  await replica.flush({ timeout: 10_000 });
  const { vectors } = replica.inspect();
  // Nor is what has come since then: one that is asked in the middle of traffic waits for it.
  const session = replica.session({ guarantees: 'none', timeout: 10_000 });
  const entries = [];
  for await (const { key, value, version } of session.list()) entries.push([key, writeOf(value), version]);
  return { vector: vectors.default ?? {}, entries };
}
