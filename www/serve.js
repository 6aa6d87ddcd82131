// One request of a roaming session on one replica, as an HTTP handler would serve it: the token comes in with the
// request, the new one goes out with the answer. The same code runs in the edges and in the tab.
// It decides nothing: what the core answers is passed on as it is.

/** Milliseconds since 1970, finer than `Date.now()` where the platform has it. */
export const now = () => performance.timeOrigin + performance.now();

const CART_SIZE = 9;

/**
 * Serves `{ op: 'get'|'set'|'add'|'sign-in', key, value, token, merge, user, guarantees, onStale, timeout }`, as a query of the
 * session: whoever may can see it wait, and kill it.
 * Answers `{ steps, token, took }`: a step is a read with its outcome or a write with its version, in order; one that
 * was refused is the last. The token is null where the session is over.
 */
export async function serve(db, { op, key, value, token, merge, user, guarantees, onStale, timeout }) {
  const started = now();
  const session = db.session({ guarantees, onStale, timeout, ...(token ? { token } : { user }) });
  if (merge) session.merge(merge);
  const steps = [];
  try {
    if (op !== 'sign-in') await session.track(`${op} ${key}`, ({ signal }) => work(signal)).catch(stopped);
    const took = now() - started;
    return { steps, took, token: session.reason === null ? await session.sealed({ timeout }) : null };
  } finally {
    session[Symbol.dispose]?.();
  }

  async function work(signal) {
    let next = value;
    if (op !== 'set') {
      const outcome = await read(session, key, signal);
      steps.push({ type: 'read', key, at: now(), outcome });
      if (outcome.state !== 'value' && outcome.state !== 'absent') return;
      const items = outcome.state === 'value' ? outcome.entry.value.items : [];
      if (op === 'add') next = { by: value.by, n: value.n, items: [...items, value.item].slice(-CART_SIZE) };
    }
    if (op !== 'get') steps.push(await write(session, key, next, signal));
  }

  /** The query was killed, or its session is over. */
  function stopped(error) {
    const step = op === 'get' ? { type: 'read' } : { type: 'write', value, version: null };
    steps.push({ ...step, key, at: now(), outcome: refusal(error) });
  }
}

async function read(session, key, signal) {
  try {
    return await session.read(key, { signal });
  } catch (error) {
    signal.throwIfAborted();
    return refusal(error);
  }
}

async function write(session, key, value, signal) {
  try {
    const version = await session.set(key, value, { signal });
    return { type: 'write', key, at: now(), value, version };
  } catch (error) {
    signal.throwIfAborted();
    return { type: 'write', key, at: now(), value, version: null, outcome: refusal(error) };
  }
}

// Who has killed it is told, too. With the policy `wait` a read whose deadline has passed, and every refused write, is an error that names what is missing.
function refusal(error) {
  const missing = error?.details?.missing ?? [];
  if (error?.code === 'STALE_REPLICA') return { state: 'behind', stale: false, missing };
  if (error?.code === 'DEPENDENCY_LOST') return { state: 'lost', stale: false, missing };
  return { state: 'refused', stale: false, code: error?.code ?? 'ERROR', by: error?.details?.by, message: String(error?.message ?? error) };
}
