// The answers to statements, newest first: what was asked by whom and where, then its table, or its error. A place in the text that an
// error names is marked there.

import { nameOf } from '../places.js';
import { el, time } from '../view/dom.js';
import { covered } from './grammar.js';

const KEPT = 40;
const ROWS = 100;

export class Answers {
  /** `said` is where the latest answer is told in a few words, aloud. */
  constructor(list, said) {
    Object.assign(this, { list, said });
  }

  /** A statement is under way; returns what ends it: `{ table }` or `{ error }`. */
  begin({ user, edge, statement }) {
    const started = performance.now();
    const text = covered(statement);
    const verdict = el('p', { class: 'verdict-line' }, el('span', { class: 'chip waiting' }, 'under way'));
    const answer = el('li', { class: 'answer', 'data-state': 'waiting' },
      el('p', { class: 'asked' }, el('span', { class: 'fine' }, `${user}, ${nameOf(edge)} `), el('code', {}, text)), verdict);
    this.list.prepend(answer);
    while (this.list.children.length > KEPT) this.list.lastChild.remove();
    return ({ table, error }) => {
      const took = time(performance.now() - started);
      answer.dataset.state = error ? 'refused' : 'value';
      if (error) verdict.replaceWith(...this.#refused(text, error));
      else verdict.replaceWith(...this.#answered(table, text));
      const words = error ? `${error.code}: ${error.message}` : countOf(table);
      answer.append(el('p', { class: 'fine' }, error ? `after ${took}` : `${words}, after ${took}`));
      this.said.textContent = `${text.slice(0, 60)}: ${words}`;
    };
  }

  #answered({ columns, rows }, text) {
    if (columns.length === 0) return [el('p', { class: 'verdict-line' }, el('span', { class: 'chip value' }, 'done'))];
    const head = el('tr', {}, ...columns.map((name) => el('th', { scope: 'col' }, name)));
    const body = rows.slice(0, ROWS).map((row) => el('tr', {}, ...row.map((cell) => el('td', { class: typeof cell === 'number' && 'number' }, String(cell ?? '')))));
    const table = el('table', {}, el('thead', {}, head), el('tbody', {}, ...body));
    return [el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `Answer to ${text.slice(0, 60)}` }, table)];
  }

  #refused(text, { code, message, details }) {
    const line = el('p', { class: 'verdict-line' }, el('span', { class: 'chip refused' }, code), ` ${message}`,
      details.by ? ` (by ${details.by}${details.why ? `: ${details.why}` : ''})` : '');
    if (code !== 'SYNTAX' || !Number.isInteger(details.position)) return [line];
    const mark = `${' '.repeat(details.position)}^`;
    return [line, el('pre', { class: 'misread', tabindex: '0', role: 'group', 'aria-label': `The place of the error: position ${details.position}` }, `${text}\n${mark}`)];
  }
}

function countOf({ columns, rows }) {
  if (columns.length === 0) return 'done';
  return rows.length === 1 ? '1 row' : `${rows.length} rows`;
}
