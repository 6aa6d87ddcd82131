// A person whose session roams: it carries one token from place to place, one request at a time, and tells the history
// what it asked and what it was answered. It holds no data of its own: what it knows of the past is in the token.

import { REQUESTS } from './shop.js';

export class Roamer {
  /** The session's token, as a browser would keep it in a cookie. */
  token = null;
  #last = Promise.resolve();
  #writes = 0;

  /**
   * `session` names the session in the log, `name` the person; `ask(place, request)` sends; `terms()` gives `{ guarantees, onStale, timeout }` at the time of each request;
   * `history` hears `begin(…)` and `end(…)`; `changed()` is called when the token is a new one.
   */
  constructor({ name, session, ask, terms, history, changed = () => {} }) {
    Object.assign(this, { name, session, ask, terms, history, changed });
  }

  /** Begins the session at a place, or carries it over: `merge` is a token of a session whose signer is gone. */
  async signIn(place, merge = null) {
    const answer = await this.ask(place, { op: 'sign-in', user: this.session, merge, ...this.terms() });
    this.#take(answer.token);
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
      const answer = await this.ask(place, { op, key, value: body, token: this.token, user: this.session, ...this.terms() });
      this.#take(answer.token);
      this.history.end(entry, answer);
    } catch (error) {
      this.history.end(entry, { steps: [], took: 0, error: error.message });
      throw error;
    }
    return entry;
  }

  #take(token) {
    if (token === this.token) return;
    this.token = token;
    this.changed();
  }
}
