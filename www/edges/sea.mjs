// A world as its pages share it: the roads between its edges, their lag and their cuts, and the edge that its tabs hang off.
// Every page hears of every change, whoever made it. It carries messages and never looks into what it carries.

import { EDGES, LINKS } from '../places.js';
import { Road } from './road.mjs';

// A reloaded page is back by then.
const GRACE_MS = 2_000;

export class Sea {
  #name;
  #edges;
  #pages = new Set();
  #roads = new Map();
  #lag = 1_500;
  #cut = new Set();
  #home = 'paris';
  #secret;
  #passwords;
  #ending = null;

  /** `edges`: place → `Workerd`; `secret` is what they share, `passwords` those of the console's users. */
  constructor(name, edges, { secret, passwords }) {
    this.#name = name;
    this.#edges = edges;
    this.#secret = secret;
    this.#passwords = passwords;
  }

  /** One more page. */
  join(page) {
    clearTimeout(this.#ending);
    this.#ending = null;
    this.#pages.add(page);
    if (this.#roads.size === 0) this.#lay();
    page.send(JSON.stringify({ type: 'keys', passwords: this.#passwords }));
    page.send(JSON.stringify({ type: 'welcome', ...this.#state() }));
    page.on('message', (data) => {
      const { n, ...order } = JSON.parse(data);
      this.#order(order);
      this.tell({ type: 'state', ...this.#state() });
      page.send(JSON.stringify({ type: 'done', n }));
    });
    page.on('error', () => {});
    page.on('close', () => {
      this.#pages.delete(page);
      if (this.#pages.size === 0) this.#ending = setTimeout(() => this.#lift(), GRACE_MS);
    });
  }

  /** Says something to all pages. */
  tell(message) {
    const text = JSON.stringify(message);
    for (const page of this.#pages) page.send(text);
  }

  /** An edge has come or gone. */
  changed() {
    this.tell({ type: 'state', ...this.#state() });
  }

  #order({ type, lag, name, cut, edge }) {
    if (type === 'lag' && lag >= 0 && lag <= 60_000) this.#lag = lag;
    else if (type === 'cut' && LINKS.some((link) => link.name === name)) cut ? this.#cut.add(name) : this.#cut.delete(name);
    else if (type === 'home' && this.#edges.has(edge)) this.#home = edge;
    for (const [road, carrier] of this.#roads) carrier.set(this.#weather(road));
  }

  #state() {
    const edges = Object.fromEntries(EDGES.map(({ id }) => [id, { url: this.#edges.get(id).url, up: this.#edges.get(id).up }]));
    return { edges, lag: this.#lag, cut: [...this.#cut], home: this.#home };
  }

  #weather(name) {
    return { lag: this.#lag * LINKS.find((link) => link.name === name).share, cut: this.#cut.has(name) };
  }

  #lay() {
    for (const { name, ends } of LINKS) {
      const places = ends.map((id) => ({ id, address: () => `${this.#edges.get(id).url.replace('http', 'ws')}/sync?world=${this.#name}` }));
      const road = new Road(places, this.#secret, (sent) => this.tell({ type: 'sent', road: name, ...sent }));
      road.set(this.#weather(name));
      this.#roads.set(name, road);
    }
  }

  #lift() {
    for (const road of this.#roads.values()) road.close();
    this.#roads.clear();
  }
}
