/** TinyBase: a table with listeners, which does not replicate; and its MergeableStore, which does. */
import { createMergeableStore, createStore } from 'tinybase';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const plain = {
  name: 'TinyBase',
  open: () => createStore(),
  put: (store, key, value) => store.setValue(key, value),
  done: () => {},
  get: (store, key) => store.getValue(key),
  save: (store) => encoder.encode(store.getJson()),
  load: (store, bytes) => void store.setJson(decoder.decode(bytes)),
  // To delete each value would take longer than all that is measured: it is garbage.
  close: () => {},
};

export const mergeable = {
  ...plain,
  name: 'TinyBase mergeable',
  open: () => createMergeableStore(),
  save: (store) => encoder.encode(JSON.stringify(store.getMergeableContent())),
  load: (store, bytes) => void store.applyMergeableChanges(JSON.parse(decoder.decode(bytes))),
  // What its synchronizers do: hashes of what is there, and what differs from them. Who has nothing gets everything, as content:
  // a difference would bring values that are objects in a form that is not taken.
  vector: (store) => store.getMergeableValueHashes(),
  since: (store, hashes) => (empty(hashes) ? mergeable.save(store) : encoder.encode(JSON.stringify([[{}], store.getMergeableValueDiff(hashes), 1]))),
};

function empty(object) {
  for (const _ in object) return false;
  return true;
}
