/** Yjs: a CRDT in JavaScript. It garbage-collects the values that are overwritten and keeps their places. */
import * as Y from 'yjs';

export const name = 'Yjs';
export function open() {
  const doc = new Y.Doc();
  return { doc, map: doc.getMap('store') };
}
export const put = (store, key, value) => store.map.set(key, value);
export const done = () => {};
export const get = (store, key) => store.map.get(key);
export const save = (store) => Y.encodeStateAsUpdate(store.doc);
export const load = (store, bytes) => Y.applyUpdate(store.doc, bytes);
export const vector = (store) => Y.encodeStateVector(store.doc);
export const since = (store, vector) => Y.encodeStateAsUpdate(store.doc, vector);
export const close = (store) => store.doc.destroy();
