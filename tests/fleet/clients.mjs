// The clients of the fleet, and the history of what they asked for and were told, as the checker of tests/sim reads it.
//
// A client has one session and does one thing at a time. What it was not answered it does not depend on, and its token is the one of
// its last answer; such a write may have happened or not.
import { setTimeout as rest } from 'node:timers/promises';

const KEYS = 12;

/** A history: lines in the order in which things were seen. */
export class History {
  lines = [];
  #writes = 0;
  #tokens = 0;

  add(line) {
    this.lines.push(JSON.stringify(line));
  }

  /** A write that is about to be asked for. */
  begin(client, sets, deletes) {
    this.#writes += 1;
    this.add({ kind: 'begin', write: this.#writes, client, sets, deletes });
    return this.#writes;
  }

  /** A token of a client as it is now. */
  token(client) {
    this.#tokens += 1;
    const name = `${client}#${this.#tokens}`;
    this.add({ kind: 'token', client, name });
    return name;
  }

  told(client, answers) {
    for (const answer of answers.flat()) {
      if (answer === null || answer === undefined) continue;
      if ('sequence' in answer) this.add({ kind: 'wrote', client, ...answer });
      else this.add({ kind: 'read', client, ...answer });
    }
  }

}

/** A number below `n`, from a seed: what clients do can be repeated, what happens to them cannot. */
export function dice(seed) {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

export class Client {
  answered = 0;
  wrote = 0;
  /** Requests that came to nothing: the place was away, or behind. */
  failed = new Map();
  /** What it waits for since its last answer, as the place said that could not answer it. */
  missing = [];
  token;
  #roll;

  /** Whether it can only go where it is. */
  get offline() {
    return this.places().length < 2;
  }

  /** `places` is asked before each request: where this client may go now. */
  constructor(name, user, history, places, seed) {
    Object.assign(this, { name, user, history, places });
    this.#roll = dice(seed);
  }

  /** One request at `place`. Answers what was told, or null. */
  async ask(place, steps) {
    let answer;
    try {
      answer = await place.perform({ token: this.token, user: this.user, client: this.name, steps });
    } catch {
      answer = { code: 'NO ANSWER' };
    }
    this.missing = answer.missing ?? [];
    if (answer.code !== undefined) {
      this.failed.set(answer.code, (this.failed.get(answer.code) ?? 0) + 1);
      return null;
    }
    this.token = answer.token;
    this.answered += 1;
    this.history.told(this.name, answer.answers);
    return answer.answers;
  }

  async write(place, sets, deletes = []) {
    const write = this.history.begin(this.name, sets, deletes);
    const answers = await this.ask(place, [['batch', write, sets, deletes]]);
    if (answers !== null) this.wrote += 1;
    return answers !== null;
  }

  /** Takes over what another device of the same user depends on. */
  async join(place, other) {
    // Whoever joins a session with writes that are in an offline tab waits until it is back; there would be nothing to see.
    if (this.offline || other.offline) return;
    const [name, token] = [this.history.token(other.name), other.token];
    if ((await this.ask(place, [['merge', token]])) !== null) this.history.add({ kind: 'merge', client: this.name, name });
  }

  /** Does this and that until `over()`. */
  async live(over, devices) {
    while (!over()) {
      const places = this.places();
      if (places.length === 0) {
        await rest(20);
        continue;
      }
      const place = places[this.#roll(places.length)];
      const key = () => `${['cart', 'note', this.user][this.#roll(3)]}:${this.#roll(KEYS)}`;
      const before = this.answered;
      const what = this.#roll(100);
      if (what < 35) await this.ask(place, [['get', key()]]);
      else if (what < 45) await this.ask(place, [['get', key()], ['get', key()], ['get', key()]]);
      else if (what < 52) await this.ask(place, [['list', 'cart:']]);
      else if (what < 80) await this.write(place, [key()]);
      else if (what < 88) await this.write(place, [...new Set([key(), key(), key()])]);
      else if (what < 94) await this.write(place, [], [key()]);
      else if (devices.length > 0) await this.join(place, devices[this.#roll(devices.length)]);
      // Who got no answer does not knock at the same door all the time.
      await rest(this.answered > before ? 2 + this.#roll(10) : 50);
    }
  }
}
