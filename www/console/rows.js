// A table whose rows stay where they are while it refreshes: each has a key, cells are rewritten in place, so that the focus on a
// row's button and a selection survive. What a cell says is its owner's; this knows only rows.

import { el } from '../view/dom.js';

export class Rows {
  #rows = new Map(); // key → { row, cells, texts, button }

  /**
   * `columns`: `{ title, cell(item) }`, where a cell is a text, or `{ text, title, kind }`; `key(item)` names a row; `act(item)` is
   * what its button does, `{ label, title, run }`, or nothing for a row without one.
   */
  constructor(root, { columns, key, act, most, empty }) {
    Object.assign(this, { columns, key, act, most, empty, root });
    const titles = columns.map(({ title, number }) => el('th', { scope: 'col', class: number && 'number' }, title));
    if (act) titles.push(el('th', { scope: 'col' }, el('span', { class: 'unseen' }, 'Action')));
    this.body = el('tbody');
    this.more = el('p', { class: 'fine', hidden: true });
    root.append(el('table', {}, el('thead', {}, el('tr', {}, ...titles)), this.body), this.more);
    this.show([]);
  }

  /** Shows these, in this order; where there are none, why. */
  show(items, empty = this.empty) {
    const shown = items.slice(0, this.most);
    const keys = new Set(shown.map(this.key));
    for (const [key, { row }] of this.#rows) {
      if (keys.has(key)) continue;
      // Who was about to act on it goes on from the table.
      if (row.contains(document.activeElement)) this.root.focus();
      row.remove();
      this.#rows.delete(key);
    }
    let after = null;
    for (const item of shown) {
      const { row } = this.#write(item);
      const place = after === null ? this.body.firstChild : after.nextSibling;
      if (place !== row) this.body.insertBefore(row, place);
      after = row;
    }
    const left = items.length - shown.length;
    this.more.hidden = items.length > 0 && left === 0;
    this.more.textContent = items.length === 0 ? empty : `and ${left} more`;
  }

  #write(item) {
    const key = this.key(item);
    const known = this.#rows.get(key) ?? this.#make(key, item);
    known.item = item;
    this.columns.forEach(({ cell }, at) => {
      const said = cell(item);
      const { text, title = '', kind = '' } = typeof said === 'object' ? said : { text: said };
      const last = `${text}\n${title}\n${kind}`;
      if (known.texts[at] === last) return;
      known.texts[at] = last;
      known.cells[at].title = title;
      known.cells[at].replaceChildren(kind === '' ? text : el('span', { class: `chip ${kind}` }, text));
    });
    return known;
  }

  #make(key, item) {
    const cells = this.columns.map(({ number }, at) => el(at === 0 ? 'th' : 'td', { scope: at === 0 && 'row', class: number && 'number' }));
    const made = { cells, texts: [], item };
    const action = this.act?.(item);
    const button = action && el('button', { type: 'button', class: 'button quiet danger', 'aria-label': action.title, onclick: () => this.act(made.item).run() }, action.label);
    made.row = el('tr', { 'data-key': key }, ...cells, this.act ? el('td', { class: 'act' }, button) : null);
    this.#rows.set(key, made);
    return made;
  }
}
