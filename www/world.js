// The world behind the page: three edges in workers, the roads between them, and the road to this tab. It carries
// messages and keeps the settings of lag and partition; it never looks into what it carries.

import { EDGES, LINKS } from './places.js';
import { Road } from './link.js';

/** The road between the tab and its home edge is short and never cut. */
const HOME_ROAD = 'home';
const HOME_LAG_MS = 20;

export class World {
  #workers = new Map();
  #answers = new Map();
  #asked = 0;
  #lag = 0;
  #cut = new Set();
  #home = null; // { edge, link, road }

  /** `report(place, message)` hears of everything that an edge reports. */
  constructor(report) {
    this.report = report;
  }

  /** Starts the edges, which share a secret of this page load, and links each to each. */
  async start() {
    const secret = { kid: 'demo', key: crypto.getRandomValues(new Uint8Array(32)) };
    await Promise.all(EDGES.map(({ id }) => this.#startEdge(id, secret)));
    for (const { name, ends } of LINKS) {
      const { port1, port2 } = new MessageChannel();
      this.#send(ends[0], { type: 'lay', name, ...this.#weather(name) }, [port1]);
      this.#send(ends[1], { type: 'lay', name, ...this.#weather(name) }, [port2]);
    }
  }

  /** Sends one request of a session to an edge. */
  ask(edge, request) {
    const n = (this.#asked += 1);
    this.#send(edge, { type: 'ask', n, request });
    return new Promise((resolve, reject) => this.#answers.set(n, { resolve, reject }));
  }

  /** The session whose needs every edge compares with what it has. */
  watch(token) {
    for (const { id } of EDGES) this.#send(id, { type: 'watch', token });
  }

  get lag() {
    return this.#lag;
  }

  set lag(ms) {
    this.#lag = ms;
    for (const { name } of LINKS) this.#tell(name);
  }

  cut(name, cut) {
    if (cut) this.#cut.add(name);
    else this.#cut.delete(name);
    this.#tell(name);
  }

  isCut(name) {
    return this.#cut.has(name);
  }

  /** How long a message takes on this road now. */
  lagOf(name) {
    return name === HOME_ROAD ? HOME_LAG_MS : this.#lag * LINKS.find((link) => link.name === name).share;
  }

  /** Hangs the tab's replica off an edge; off one only, or the tab would be a road around the lag between edges. */
  moveHome(db, edge, sent) {
    if (this.#home) {
      this.#home.link.close();
      this.#home.road.close();
      this.#send(this.#home.edge, { type: 'lift', name: HOME_ROAD });
    }
    const { port1, port2 } = new MessageChannel();
    const road = new Road(port1, (message) => sent({ road: HOME_ROAD, ...message }));
    road.set({ lag: HOME_LAG_MS, cut: false });
    this.#send(edge, { type: 'lay', name: HOME_ROAD, lag: HOME_LAG_MS, cut: false }, [port2]);
    this.#home = { edge, road, link: db.connect(road.transport()) };
  }

  #startEdge(id, secret) {
    const worker = new Worker(new URL('./edge.js', import.meta.url), { type: 'module', name: id });
    this.#workers.set(id, worker);
    return new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(`the worker of ${id} failed: ${event.message ?? 'it did not load'}`));
      worker.onmessage = ({ data }) => {
        if (data.type === 'answer') this.#settle(data);
        else if (data.type === 'ready') resolve();
        else if (data.type === 'failed') reject(new Error(`${id}: ${data.message}`));
        if (data.type !== 'answer') this.report(id, data);
      };
      worker.postMessage({ type: 'open', id, secret });
    });
  }

  #settle({ n, answer, error }) {
    const { resolve, reject } = this.#answers.get(n);
    this.#answers.delete(n);
    if (error) reject(new Error(error));
    else resolve(answer);
  }

  #tell(name) {
    for (const end of LINKS.find((link) => link.name === name).ends) this.#send(end, { type: 'weather', name, ...this.#weather(name) });
  }

  #weather(name) {
    return { lag: this.lagOf(name), cut: this.#cut.has(name) };
  }

  #send(edge, message, transfer = []) {
    this.#workers.get(edge).postMessage(message, transfer);
  }
}
