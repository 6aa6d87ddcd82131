// The world behind the page: the way to the edges, which run in workerd, and to the process that lays the roads between them and
// can kill them. It carries requests, orders and reports; it never looks into what it carries.

const SEA = '/edges.json';
const AGAIN_MS = 500;
const SIGN_IN = { op: 'sign-in', user: 'tab', guarantees: 'all', onStale: 'wait', timeout: 8_000 };

export class World {
  /** What all pages share: `{ edges: {id: {url, up}}, lag, cut: [road], home }`; null before it is known. */
  state = null;
  #on;
  #sea = null;
  #name = null;
  #watches = new Map();
  #orders = new Map();
  #given = 0;
  #token = null;
  #pass = null;

  /** The passwords of the console's users, made for this run of the edges: user → password. */
  passwords = {};

  /**
   * Calls back: `changed(state)`; `sent(from, message)` for what is on the roads; `report(place, message)` for what an edge shows.
   * Edges are watched only where somebody wants their reports.
   */
  constructor(on) {
    this.#on = on;
  }

  /** Finds the edges; resolves with the name of this browser's world once they are known, and with null where there are none. */
  async start() {
    const found = await this.#find();
    if (found === null) return null;
    this.#name = worldOf(found.id);
    await new Promise((welcome) => this.#connect(found.sea, welcome));
    return this.#name;
  }

  /** Sends one request of a session to an edge; one that cannot be reached answers nothing, and that is an answer too. */
  async ask(edge, request) {
    // What was ordered of the roads holds from now on.
    await Promise.all([...this.#orders.values()].map(({ done }) => done));
    const started = performance.now();
    let response = null;
    if (this.state.edges[edge].up) response = await this.post(edge, 'ask', request).catch(() => null);
    if (response === null) return unreached(request, performance.now() - started);
    const { error, ...answer } = await response.json();
    if (error) throw new Error(`${error.code}: ${error.message}`);
    return answer;
  }

  /** One request of an edge, as it answers it. */
  post(edge, path, request) {
    return fetch(`${this.state.edges[edge].url}/${path}?world=${this.#name}`, { method: 'POST', body: JSON.stringify(request) });
  }

  /** The session whose needs every edge compares with what it has. */
  watch(token) {
    this.#token = token;
    for (const socket of this.#watches.values()) if (socket.readyState === WebSocket.OPEN) this.#tellToken(socket);
  }

  lag(ms) {
    this.#order({ type: 'lag', lag: ms });
  }

  cut(name, cut) {
    this.#order({ type: 'cut', name, cut });
  }

  home(edge) {
    this.#order({ type: 'home', edge });
  }

  /** kill -9. */
  kill(edge) {
    this.#order({ type: 'kill', edge });
  }

  revive(edge) {
    this.#order({ type: 'start', edge });
  }

  /** The address of an edge for replicas. */
  address(edge) {
    return `${this.state.edges[edge].url.replace('http', 'ws')}/sync?world=${this.#name}`;
  }

  /** A token with which a replica may join the edges; any of them gives one, of the same session as long as it lives. */
  async pass() {
    const { edges, home } = this.state;
    for (const edge of [home, ...Object.keys(edges)]) {
      if (!edges[edge].up) continue;
      const token = (this.#pass && (await this.#signIn(edge, this.#pass))) ?? (await this.#signIn(edge));
      if (token !== null) return (this.#pass = token);
    }
    return this.#pass;
  }

  /** Null from an edge that does not answer, or knows the session to be over. */
  async #signIn(edge, past) {
    const response = await this.post(edge, 'ask', { ...SIGN_IN, token: past }).catch(() => null);
    const { token = null } = response?.ok ? await response.json() : {};
    return token;
  }

  async #find() {
    const response = await fetch(SEA).catch(() => null);
    return response?.ok ? response.json() : null;
  }

  #connect(sea, welcome) {
    const socket = new WebSocket(`${sea}?world=${this.#name}`);
    this.#sea = socket;
    socket.onmessage = ({ data }) => {
      const { type, ...message } = JSON.parse(data);
      if (type === 'sent') return this.#on.sent?.(message.from, message);
      if (type === 'keys') return void (this.passwords = message.passwords);
      if (type === 'done') return this.#orders.get(message.n)?.settle();
      this.state = message;
      for (const [id, { up }] of Object.entries(message.edges)) if (up && this.#on.report && !this.#watches.has(id)) this.#watch(id);
      this.#on.changed(message);
      welcome();
    };
    socket.onclose = () => {
      for (const { settle } of [...this.#orders.values()]) settle();
      if (this.state === null) return setTimeout(() => this.#connect(sea, welcome), AGAIN_MS);
      for (const edge of Object.values(this.state.edges)) edge.up = false;
      this.#on.changed(this.state);
      this.#again();
    };
  }

  /** The process has ended; another one may come, elsewhere. */
  #again() {
    setTimeout(async () => {
      const found = await this.#find();
      if (found === null || worldOf(found.id) !== this.#name) this.#again();
      else this.#connect(found.sea, () => {});
    }, 4 * AGAIN_MS);
  }

  #order(order) {
    if (this.#sea?.readyState !== WebSocket.OPEN) return;
    const n = (this.#given += 1);
    let settle;
    const done = new Promise((resolve) => {
      settle = () => {
        this.#orders.delete(n);
        resolve();
      };
    });
    this.#orders.set(n, { done, settle });
    this.#sea.send(JSON.stringify({ n, ...order }));
  }

  #watch(id) {
    const socket = new WebSocket(`${this.state.edges[id].url.replace('http', 'ws')}/watch?world=${this.#name}`);
    this.#watches.set(id, socket);
    socket.onopen = () => this.#tellToken(socket);
    socket.onmessage = ({ data }) => this.#on.report(id, JSON.parse(data));
    socket.onclose = () => {
      this.#watches.delete(id);
      // Where it was killed, it says so when it is up again.
      setTimeout(() => this.state.edges[id].up && !this.#watches.has(id) && this.#watch(id), AGAIN_MS);
    };
  }

  #tellToken(socket) {
    socket.send(JSON.stringify({ token: this.#token }));
  }
}

/** Another world for this browser, with the next load of the page. */
export function forgetWorld() {
  for (const name of Object.keys(localStorage)) if (name.startsWith('edge-session-demo/')) localStorage.removeItem(name);
}

/** All tabs of a browser are in one world, as long as the edges keep their state. */
function worldOf(id) {
  const key = `edge-session-demo/${id}`;
  const name = localStorage.getItem(key) ?? Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(36).padStart(2, '0')).join('');
  localStorage.setItem(key, name);
  return name;
}

/** No answer. A read was not made; of a write nobody knows, for the answer may be what was lost. */
function unreached({ op, key, value, token }, took) {
  const outcome = { state: 'refused', stale: false, code: 'UNREACHED', message: 'the edge does not answer' };
  const step = op === 'get' ? { type: 'read', key, at: Date.now(), outcome } : { type: 'write', key, at: Date.now(), value, version: null, outcome };
  return { steps: [step], took, token: token ?? null };
}
