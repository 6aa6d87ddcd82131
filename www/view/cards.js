// The four guarantees: a switch, a promise, a count of anomalies and a short play for each. The count comes from the
// checker; the card knows its own switch only to set it.

import { GUARANTEES } from '../checker.js';
import { SCENARIOS } from '../scenarios.js';
import { el } from './dom.js';

export class CardsView {
  #cards = new Map();

  /** `play(guarantee)` is called by the buttons and resolves when the play is over; `switched()` by the switches. */
  constructor(root, { play, switched }) {
    for (const guarantee of GUARANTEES) {
      const { title, promise, story } = SCENARIOS[guarantee];
      const input = el('input', { type: 'checkbox', role: 'switch', id: guarantee, checked: true, onchange: switched });
      const count = el('strong', { class: 'count' }, '0');
      const what = el('span', {}, 'anomalies');
      const button = el('button', { type: 'button', class: 'button', 'aria-describedby': `${guarantee}-story`, onclick: () => play(guarantee) }, 'Play it');
      const card = el('article', { class: 'card', 'data-guarantee': guarantee },
        el('h3', {}, el('label', { class: 'switch', for: guarantee }, input, el('span', { class: 'track', 'aria-hidden': 'true' }), title)),
        el('p', { class: 'promise' }, promise),
        el('p', { class: 'tally' }, count, ' ', what),
        el('p', { class: 'fine story', id: `${guarantee}-story` }, story),
        button);
      root.append(card);
      this.#cards.set(guarantee, { card, input, count, what, button });
    }
  }

  /** The guarantees that are switched on. */
  chosen() {
    return GUARANTEES.filter((guarantee) => this.#cards.get(guarantee).input.checked);
  }

  show(counts) {
    for (const [guarantee, { card, count, what }] of this.#cards) {
      const found = counts[guarantee];
      count.textContent = found;
      what.textContent = found === 1 ? 'anomaly' : 'anomalies';
      card.classList.toggle('broken', found > 0);
    }
  }

  /** While a play runs, or where there are no edges, the buttons rest. */
  rest(resting) {
    for (const { button } of this.#cards.values()) button.disabled = resting;
  }
}
