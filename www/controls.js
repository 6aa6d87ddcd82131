// The page's inputs: where the next request goes, what it is, how the network behaves, the autopilot's knobs. It reads
// and sets form controls and calls back; what a control means is not known here.

import { EDGES, PLACES } from './places.js';
import { REQUESTS } from './shop.js';
import { byId, el, time } from './view/dom.js';

const BUTTONS = ['add-book', 'read-cart', 'log-in', 'log-out', 'read-login', 'set-address', 'place-order', 'read-price', 'read-question', 'answer'];

const NOTICES = {
  online: '',
  alone: 'There are no edges here: this page wants to be served by cargo xtask demo. This tab is a replica all the same, and syncs with its neighbours.',
};

export class Controls {
  #radios = new Map();

  /** Calls back: `lag(ms)`, `home(edge)`, `request(what)`, `autopilot()`, `clear()`, `anew()`. */
  constructor(on) {
    this.on = on;
    for (const { id, name } of PLACES) {
      const radio = el('input', { type: 'radio', name: 'place', value: id, checked: id === 'tokyo' });
      byId('places').append(el('label', { class: `segment ${id}` }, radio, el('span', {}, name)));
      this.#radios.set(id, radio);
    }
    for (const what of BUTTONS) {
      byId('actions').append(el('button', { type: 'button', class: 'button', 'data-request': what, onclick: () => on.request(what) }, REQUESTS[what].label));
    }
    byId('home').append(...EDGES.map(({ id, name }) => el('option', { value: id, selected: id === 'paris' }, name)));
    byId('home').addEventListener('change', () => on.home(byId('home').value));
    byId('lag').addEventListener('input', () => this.#lagged());
    byId('pace').addEventListener('input', () => this.#paced());
    byId('autopilot').addEventListener('click', () => on.autopilot());
    byId('clear').addEventListener('click', () => on.clear());
    byId('anew').addEventListener('click', () => on.anew());
    byId('lag-value').textContent = time(this.lag);
    this.#paced();
  }

  get place() {
    return [...this.#radios].find(([, radio]) => radio.checked)[0];
  }

  get policy() {
    return byId('policy').value;
  }

  get deadline() {
    return Number(byId('deadline').value);
  }

  get lag() {
    return Number(byId('lag').value);
  }

  get pace() {
    return Number(byId('pace').value);
  }

  get seed() {
    return Number(byId('seed').value) || 0;
  }

  /** Moves the choice of place, as a play does. */
  go(place) {
    this.#radios.get(place).checked = true;
  }

  setLag(ms) {
    byId('lag').value = String(ms);
    this.#lagged();
  }

  /** What all pages share, whoever has set it. */
  show({ lag, home }) {
    byId('lag').value = String(lag);
    byId('lag-value').textContent = time(lag);
    byId('home').value = home;
  }

  flying(running) {
    const button = byId('autopilot');
    button.textContent = running ? 'Stop the autopilot' : 'Start the autopilot';
    button.setAttribute('aria-pressed', String(running));
  }

  requests(count) {
    byId('requests').textContent = count === 1 ? '1 request' : `${count} requests`;
  }

  /** Whether there are edges; without them there is this tab only. */
  role(role) {
    const alone = role === 'alone';
    document.body.dataset.role = role;
    byId('signed-in').textContent = alone ? 'anonymous: a tab holds no key' : 'its token is signed by the edges';
    for (const [id, radio] of this.#radios) radio.disabled = alone && id !== 'tab';
    if (alone) this.go('tab');
    for (const id of ['lag', 'home', 'autopilot', 'pace', 'seed']) byId(id).disabled = alone;
    for (const button of document.querySelectorAll('.scissors')) button.disabled = alone;
    this.notice(NOTICES[role], 'info');
  }

  notice(text, kind) {
    const notice = byId('notice');
    notice.textContent = text;
    notice.dataset.kind = kind;
    notice.hidden = text === '';
  }

  #lagged() {
    byId('lag-value').textContent = time(this.lag);
    this.on.lag(this.lag);
  }

  #paced() {
    byId('pace-value').textContent = `${this.pace} a second`;
  }
}
