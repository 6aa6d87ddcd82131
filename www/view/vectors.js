// The table of vectors: one column an origin of writes, one row a replica, then what the session has read and written.
// A number that the session depends on and a replica lacks stands out. Vectors come from `inspect()` and the token.

import { labelOf, nameOf, PLACES } from '../places.js';
import { words } from '../shop.js';
import { missingWords } from './log.js';
import { el } from './dom.js';

const SHOWN = ['cart', 'login', 'price'];

export class VectorsView {
  constructor(root) {
    this.root = root;
  }

  /** `replicas`: place → { replica, vector, missing, values }; `session`: { reads, writes }; `places` that run here. */
  show(replicas, session, places) {
    const own = PLACES.map(({ id }) => replicas.get(id)?.replica).filter((replica) => replica);
    const origins = this.#origins(replicas, session, own);
    const head = el('tr', {}, el('th', { scope: 'col' }, 'Replica'),
      ...origins.map((origin) => el('th', { scope: 'col', class: 'number', title: origin }, own.includes(origin) ? labelOf(origin) : shortOf(origin))),
      ...SHOWN.map((key) => el('th', { scope: 'col' }, `shows: ${key}`)), el('th', { scope: 'col' }, 'for Ann'));
    const body = PLACES.filter(({ id }) => places.includes(id) && replicas.has(id)).map(({ id }) => this.#replica(id, replicas.get(id), origins, session));
    const foot = [['r', 'has read', session.reads], ['w', 'has written', session.writes]].map(([letter, what, vector]) =>
      el('tr', { class: 'dependency' }, el('th', { scope: 'row' }, `Ann ${what}`, el('i', {}, ` ${letter}`)),
        ...origins.map((origin) => el('td', { class: 'number' }, String(vector[origin] ?? '·'))), el('td', { colspan: SHOWN.length + 1 })));
    this.root.replaceChildren(el('table', {}, el('thead', {}, head), el('tbody', {}, ...body), el('tbody', { class: 'session-rows' }, ...foot)));
  }

  #replica(id, { vector, missing, values }, origins, { reads, writes }) {
    const cells = origins.map((origin) => {
      const have = vector[origin] ?? 0;
      const lacks = have < Math.max(reads[origin] ?? 0, writes[origin] ?? 0);
      return el('td', { class: lacks ? 'number lacks' : 'number' }, String(have || '·'));
    });
    return el('tr', { 'data-replica': id }, el('th', { scope: 'row' }, nameOf(id)), ...cells,
      ...SHOWN.map((key) => el('td', {}, values[key] ? words(key, values[key]) : '–')),
      el('td', { class: missing.length ? 'behind' : 'ready' }, missing.length ? `behind: ${missingWords(missing)}` : 'ready'));
  }

  // The edges and this tab first, other tabs after them, in the order of their ids.
  #origins(replicas, { reads, writes }, own) {
    const known = new Set([...Object.keys(reads), ...Object.keys(writes)]);
    for (const { vector } of replicas.values()) for (const origin of Object.keys(vector)) known.add(origin);
    return [...own, ...[...known].filter((origin) => !own.includes(origin)).sort()];
  }
}

// Another tab's replica, or one that is gone: labels alone would be all the same.
const shortOf = (replica) => replica.slice(0, labelOf(replica).length + 4);
