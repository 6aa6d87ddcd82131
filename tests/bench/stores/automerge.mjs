/**
 * Automerge: a CRDT with its whole history, in Rust, compiled to wasm. A change a write costs it about a millisecond, so all
 * writes of a workload are one change: its fastest way, and less than the others do. Overwriting a key in a change that has
 * overwritten it before takes it milliseconds more each time, so that it sits W2 out.
 */
import * as Automerge from '@automerge/automerge';

export const name = 'Automerge';
/** Measured in one round: a round takes it a minute. */
export const slow = true;
export const overwrites = false;
export const open = () => ({ doc: Automerge.init() });
export const put = (store, key, value) => fill(store, [key], [value]);
export function fill(store, keys, values) {
  store.doc = Automerge.change(store.doc, (draft) => {
    for (let at = 0; at < keys.length; at += 1) draft[keys[at]] = values[at];
  });
}
export const done = () => {};
export const get = (store, key) => store.doc[key];
export const save = (store) => Automerge.save(store.doc);
export const load = (store, bytes) => {
  store.doc = Automerge.loadIncremental(store.doc, bytes);
};
export const vector = (store) => Automerge.getHeads(store.doc);
export const since = (store, heads) => Automerge.saveSince(store.doc, heads);
export const close = (store) => Automerge.free(store.doc);
