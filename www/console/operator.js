// Who operates: a user with a session that roams between the edges as any other does, by its token. It carries statements to an edge
// and answers back, and decides nothing: what is permitted, the edge says.

/** Where a session begins, if it can: the shop's accounts are made there. */
const FIRST = 'paris';
/** With these the session is over; the next request begins another. */
const OVER = new Set(['SESSION_KILLED', 'SESSION_EXPIRED', 'SESSION_NOT_FOUND', 'TOKEN_EXPIRED', 'TOKEN_INVALID']);

/** What an edge refused, with the core's code and details. */
export class Refusal extends Error {
  constructor({ code, message, details = {} }) {
    super(message);
    Object.assign(this, { code, details });
  }
}

export class Operator {
  #world;
  #signed = null; // a promise of { token, said }: by which statement it came
  #said = 0;

  constructor(world, user) {
    this.#world = world;
    this.user = user;
  }

  /** The id of the session, or null before there is one. */
  session = null;

  /**
   * Runs a text of statements at an edge: `{ columns, rows, space }`. The session goes on from the statement that was said last,
   * however long others take; from a look that nobody has asked for (`aside`) it does not. Throws {@link Refusal}.
   */
  async run(edge, statement, { aside = false } = {}) {
    const signed = await this.#begun();
    const said = aside ? 0 : (this.#said += 1);
    const { token, ...answer } = await this.#call(edge, 'run', { token: signed.token, statement });
    if (token === null && signed === (await this.#signed)) this.#forget();
    if (token !== null && said > signed.said) Object.assign(signed, { token, said });
    return answer;
  }

  /** The operation log of an edge, the latest last. Throws {@link Refusal}. */
  async log(edge) {
    const { token } = await this.#begun();
    return (await this.#call(edge, 'log', { token })).operations;
  }

  #begun() {
    this.#signed ??= this.#signIn();
    return this.#signed;
  }

  async #signIn() {
    try {
      const { edges } = this.#world.state;
      const at = [FIRST, ...Object.keys(edges)].find((edge) => edges[edge].up) ?? FIRST;
      const { session, token } = await this.#call(at, 'sign-in', { user: this.user, password: this.#world.passwords[this.user] });
      this.session = session;
      return { token, said: 0 };
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  #forget() {
    this.#signed = null;
    this.session = null;
  }

  async #call(edge, path, request) {
    const { up } = this.#world.state.edges[edge];
    const said = up ? await this.#world.post(edge, path, request).then((response) => response.json()).catch(() => null) : null;
    if (said === null) throw new Refusal({ code: 'UNREACHED', message: 'the edge does not answer' });
    const { error, ...answer } = said;
    if (error === undefined) return answer;
    if (OVER.has(error.code)) this.#forget();
    throw new Refusal(error);
  }
}
