/**
 * Who takes part: what users would otherwise pick, and which of them replicate as ours does.
 *
 * A goal that speaks of the fastest CRDT peer means those of `CRDT`: `Map` and TinyBase's plain store replicate nothing. Each
 * module is imported by the one who runs it, so that a contender's process holds no other.
 */
export const OURS = 'edge-session';
/** What all figures are held against. */
export const FLOOR = 'Map';

export const STORES = {
  Map: () => import('./stores/map.mjs'),
  'edge-session': () => import('./stores/edge-session.mjs'),
  Yjs: () => import('./stores/yjs.mjs'),
  ywasm: () => import('./stores/ywasm.mjs'),
  Loro: () => import('./stores/loro.mjs'),
  TinyBase: () => import('./stores/tinybase.mjs').then(({ plain }) => plain),
  'TinyBase mergeable': () => import('./stores/tinybase.mjs').then(({ mergeable }) => mergeable),
  Automerge: () => import('./stores/automerge.mjs'),
};

export const CRDT = ['Yjs', 'ywasm', 'Loro', 'TinyBase mergeable', 'Automerge'];
export const VECTORS = [OURS, 'Yjs', 'Loro'];
export const TOKENS = [OURS, 'fast-jwt', 'jose', 'iron-session'];

/**
 * Slower than the others by an order, some with objects alone: stores of many entries have a tenth of them, so that they too get
 * all rounds. By the entry that flatters them, never us. What they read again and again is held by a full store.
 */
const SLOW = ['TinyBase mergeable', 'Automerge'];
const SLOW_WITH_OBJECTS = [...SLOW, 'ywasm', 'Loro'];
export const few = (name, entries, kind) => ((kind === 'object' ? SLOW_WITH_OBJECTS : SLOW).includes(name) ? Math.ceil(entries / 10) : entries);
