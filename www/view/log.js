// Answers in words: one line each for the list, and the latest for the live region. The verdict's word is the core's
// own (value, absent, behind, lost); the rest is said around it.

import { labelOf, nameOf } from '../places.js';
import { SCENARIOS } from '../scenarios.js';
import { REQUESTS, words, writeOf } from '../shop.js';
import { el, time } from './dom.js';

const ROWS = 120;
/** Below this, an answer was not waited for. */
const AT_ONCE_MS = 30;

/** What a request was answered: `{ state, text, waited }`. */
export function verdictOf({ steps, took, error }) {
  if (error) return { state: 'refused', text: error, waited: '' };
  if (steps === null) return { state: 'waiting', text: 'under way …', waited: '' };
  const step = steps[steps.length - 1];
  const waited = took > AT_ONCE_MS ? `waited ${time(took)}` : 'at once';
  return { ...answerOf(step), waited };
}

function answerOf({ type, key, value, version, outcome }) {
  if (type === 'write' && version !== null) return { state: 'written', text: `${words(key, value)} · ${writeOf(value)}` };
  const stale = outcome.stale ? ', marked stale' : '';
  switch (outcome.state) {
    case 'value': return { state: 'value', text: `${words(key, outcome.entry.value)} · ${writeOf(outcome.entry.value)}${stale}` };
    case 'absent': return { state: 'absent', text: `no ${key}${stale}` };
    case 'behind':
    case 'lost': return { state: outcome.state, text: `lacks ${missingWords(outcome.missing)}` };
    default: return { state: 'refused', text: `${outcome.code}${outcome.by ? ` by ${outcome.by}` : ''}: ${outcome.message}` };
  }
}

/** `oregon 7 … 9`: the dots that a replica lacks. */
export function missingWords(missing) {
  if (missing.length === 0) return 'something';
  return missing.map(({ replica, have, need }) => {
    const origin = labelOf(replica);
    return need === have + 1 ? `${origin}:${need}` : `${origin}:${have + 1}…${need}`;
  }).join(', ');
}

/** An anomaly in a sentence. */
export function anomalyWords({ guarantee, key, replica, write }) {
  const { title } = SCENARIOS[guarantee];
  switch (guarantee) {
    case 'read-your-writes': return `${title}: ${nameOf(replica)} does not show her own ${key}`;
    case 'monotonic-reads': return `${title}: ${nameOf(replica)} shows an older ${key} than she has seen`;
    case 'monotonic-writes': return `${title}: ${nameOf(replica)} shows the ${write.key} without the ${key} written before it`;
    default: return `${title}: ${nameOf(replica)} shows the ${write.key} without the ${key} it was based on`;
  }
}

export class LogView {
  #rows = new Map();

  constructor(list, verdict) {
    this.list = list;
    this.verdict = verdict;
  }

  /** Shows an entry, new or changed; `null` empties the list. */
  show(entry) {
    if (entry === null) {
      this.#rows.clear();
      this.list.replaceChildren();
      return;
    }
    const row = this.#row(entry);
    const old = this.#rows.get(entry.n);
    if (old) old.replaceWith(row);
    else this.list.prepend(row);
    this.#rows.set(entry.n, row);
    if (this.#rows.size > ROWS) {
      const [first, oldest] = this.#rows.entries().next().value;
      oldest.remove();
      this.#rows.delete(first);
    }
  }

  /** The latest answer, large; `aloud` for readers of the screen too. */
  latest(entry, aloud) {
    this.verdict.setAttribute('aria-live', aloud ? 'polite' : 'off');
    const { state, text, waited } = verdictOf(entry);
    this.verdict.dataset.state = entry.anomalies.length > 0 ? 'anomaly' : state;
    this.verdict.replaceChildren(
      el('p', { class: 'verdict-line' }, el('span', { class: `chip ${state}` }, state), ' ', text),
      el('p', { class: 'fine' }, `${nameOf(entry.place)} · ${REQUESTS[entry.what].label}${waited ? ` · ${waited}` : ''}`),
      ...entry.anomalies.slice(0, 1).map((anomaly) => el('p', { class: 'anomaly' }, `${anomalyWords(anomaly)}.`)));
  }

  #row(entry) {
    const { state, text, waited } = verdictOf(entry);
    const clock = new Date(entry.at).toLocaleTimeString('en-GB');
    return el('li', { class: entry.anomalies.length > 0 ? 'row broken' : 'row', 'data-who': entry.who },
      el('time', {}, clock),
      el('span', { class: 'ask' }, el('b', {}, entry.who), ` in ${nameOf(entry.place)}: ${REQUESTS[entry.what].label}`),
      el('span', { class: 'said' }, el('span', { class: `chip ${state}` }, state), ' ', text),
      el('span', { class: 'took' }, waited),
      ...entry.anomalies.map((anomaly) => el('span', { class: 'anomaly' }, anomalyWords(anomaly))));
  }
}
