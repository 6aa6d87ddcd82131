// A person whose session roams: it carries one token from place to place, one request at a time, and tells the history
// what it asked and what it was answered. It holds no data of its own: what it knows of the past is in the token.

import { REQUESTS } from './shop.js';

export class Roamer {
  /** The session's token, as a browser would keep it in a cookie. */
  token = null;
  #last = Promise.resolve();
  #writes = 0;
  #sessions = 1;

  /**
   * `session` names the first session in the log, `name` the person, `user` whose it is; `ask(place, request)` sends; `terms()` gives `{ guarantees, onStale, timeout }` at the time of each request;
   * `history` hears `begin(…)` and `end(…)`; `changed()` is called when the token is a new one, and `over()`, which may
   * begin another session, when this one is over.
   */
  constructor({ name, user, session, ask, terms, history, changed = () => {}, over = () => {} }) {
    Object.assign(this, { name, user, first: session, ask, terms, history, changed, over });
  }

  /** The name of the session in the log: another one has another past. */
  get session() {
    return this.#sessions === 1 ? this.first : `${this.first}.${this.#sessions}`;
  }

  /** Begins the session at a place, or goes on with that of a token: `{ token }` an edge has signed, `{ merge }` a tab alone made. */
  async signIn(place, past) {
    const { token } = await this.ask(place, { op: 'sign-in', user: this.user, ...past, ...this.terms() });
    // The past's session is over: this is nobody's.
    if (token === null && past.token !== undefined) return this.signIn(place, {});
    this.#take(token);
  }

  /** Goes on with the session of a token, if there is one, without asking anybody. */
  resume(token) {
    if (token !== null) this.#take(token);
  }

  /** Makes a request of the shop at a place, after all that were made before; resolves with the history's entry. */
  request(place, what) {
    const made = this.#last.then(() => this.#make(place, what));
    this.#last = made.catch(() => {});
    return made;
  }

  /** Resolves when no request is under way. */
  idle() {
    return this.#last;
  }

  async #make(place, what) {
    const { op, key, value } = REQUESTS[what];
    const n = value ? (this.#writes += 1) : 0;
    const entry = this.history.begin({ who: this.name, session: this.session, place, what });
    const body = value ? { by: this.session, n, ...value(n) } : undefined;
    try {
      const answer = await this.ask(place, { op, key, value: body, token: this.token, user: this.user, ...this.terms() });
      this.history.end(entry, answer);
      if (answer.token === null && this.token !== null) await this.#lose();
      else this.#take(answer.token);
    } catch (error) {
      this.history.end(entry, { steps: [], took: 0, error: error.message });
      throw error;
    }
    return entry;
  }

  async #lose() {
    this.token = null;
    this.#sessions += 1;
    await this.over();
  }

  #take(token) {
    if (token === this.token) return;
    this.token = token;
    this.changed();
  }
}
