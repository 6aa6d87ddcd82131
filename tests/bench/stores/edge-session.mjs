/** Ours: every guarantee on, storage in memory, replicas that speak the protocol to each other. */
import { openReplica } from 'edge-session';

export const name = 'edge-session';

export const open = () => opened({});
/** Objects frozen, and one to all who read a key, as the others hand them out. */
export const openFrozen = () => opened({ values: 'frozen' });

async function opened(options) {
  const replica = await openReplica(options);
  const session = replica.session();
  return { replica, session, sync: session.sync };
}
export const put = (store, key, value) => store.sync.set(key, value);
/** Whatever was logged in front of the core is handed over to it. */
export const done = (store) => void store.session.satisfied();
export const get = (store, key) => store.sync.get(key);
export const save = (store) => store.replica.snapshot();
export const load = (store, bytes) => store.replica.restore(bytes);
export const close = (store) => store.replica.close();

/**
 * What `to` asks `from`, and the answers, until `to` has nothing more to say: what it says is what it has said before. Bytes, ns
 * of `from`, ns of `to`.
 */
export async function replicate(from, to, clock) {
  let [bytes, encode, apply] = [0, 0, 0];
  let question = await to.replica.exchange(new Uint8Array());
  for (let rounds = 0; rounds < 10_000; rounds += 1) {
    const asked = clock();
    const answer = await from.replica.exchange(question);
    const answered = clock();
    const next = await to.replica.exchange(answer);
    apply += clock() - answered;
    encode += answered - asked;
    bytes += answer.length;
    if (next.length === question.length && next.every((byte, at) => byte === question[at])) return { bytes, encode, apply };
    question = next;
  }
  throw new Error('no end of the exchange');
}
