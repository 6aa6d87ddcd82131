/** TinyBase: a table with listeners, which does not replicate; and its MergeableStore, which does. */
import { createMergeableStore, createStore } from 'tinybase';

// What a cell holds is a string, a number or a truth value; anything else goes as JSON.
const cell = (value) => (typeof value === 'object' ? JSON.stringify(value) : value);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const plain = {
  name: 'TinyBase',
  open: () => createStore(),
  put: (store, key, value) => store.setValue(key, cell(value)),
  done: () => {},
  get: (store, key) => store.getValue(key),
  save: (store) => encoder.encode(store.getJson()),
  load: (store, bytes) => void store.setJson(decoder.decode(bytes)),
  close: (store) => store.delValues(),
};

export const mergeable = {
  ...plain,
  name: 'TinyBase mergeable',
  open: () => createMergeableStore(),
  save: (store) => encoder.encode(JSON.stringify(store.getMergeableContent())),
  load: (store, bytes) => void store.applyMergeableChanges(JSON.parse(decoder.decode(bytes))),
};
