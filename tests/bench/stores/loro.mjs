/** Loro: a CRDT in Rust, compiled to wasm. Commits are left to it: its fastest way. */
import { LoroDoc } from 'loro-crdt';

export const name = 'Loro';
export function open() {
  const doc = new LoroDoc();
  return { doc, map: doc.getMap('store') };
}
export const put = (store, key, value) => store.map.set(key, value);
export const done = (store) => store.doc.commit();
export const get = (store, key) => store.map.get(key);
export const save = (store) => store.doc.export({ mode: 'snapshot' });
export const load = (store, bytes) => void store.doc.import(bytes);
export const vector = (store) => store.doc.version();
export const since = (store, vector) => store.doc.export({ mode: 'update', from: vector });
export const close = (store) => store.doc.free();
