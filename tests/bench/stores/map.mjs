/** The floor: no replication, no guarantees, nothing but a table. */
export const name = 'Map';
export const open = () => new Map();
export const put = (store, key, value) => store.set(key, value);
export const done = () => {};
export const get = (store, key) => store.get(key);
export const close = (store) => store.clear();
