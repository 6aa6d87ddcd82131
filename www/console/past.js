// The statements that were run, as the arrow keys walk through them. What stood in the line before is where the walk ends. In memory
// alone, and without those that hold a password.

import { covered } from './grammar.js';

const KEPT = 200;

export class Past {
  #statements = [];
  #at = 0;
  #draft = '';

  /** Remembers a statement; the walk begins anew behind it. */
  add(statement) {
    const secret = covered(statement) !== statement;
    if (!secret && this.#statements.at(-1) !== statement) this.#statements.push(statement);
    if (this.#statements.length > KEPT) this.#statements.shift();
    this.#at = this.#statements.length;
  }

  /** The statement before the one in the line, or null where there is none. */
  back(line) {
    if (this.#at === 0) return null;
    if (this.#at === this.#statements.length) this.#draft = line;
    this.#at -= 1;
    return this.#statements[this.#at];
  }

  /** The statement after it; in the end what stood in the line at first. */
  forward() {
    if (this.#at >= this.#statements.length) return null;
    this.#at += 1;
    return this.#statements[this.#at] ?? this.#draft;
  }
}
