// The autopilot: a seed's worth of visits. Ann roams from place to place, reading and writing; Bo, who serves her at
// every edge, writes there and stays. The same seed makes the same requests in the same order.

import { EDGES } from './places.js';
import { pick, randomFrom } from './random.js';

// A visit is a few requests that belong together, `here` and then `there`. Each kind can break one guarantee while the
// other three hold: Ann reads what she wrote, reads again what Bo wrote, writes twice, writes after reading; and what
// two requests of one visit have in common, no third covers. Before Bo writes, Ann comes by, so that she need not wait
// for older things while his write is already on its way.
const VISITS = [
  [2, [['ann', 'here', 'add-book'], ['ann', 'there', 'read-cart']]],
  [3, [['ann', 'here', 'log-in'], ['ann', 'there', 'read-login']]],
  [3, [['ann', 'here', 'log-out'], ['ann', 'there', 'read-login']]],
  [4, [['ann', 'here', 'read-cart'], ['bo', 'here', 'set-price'], ['ann', 'here', 'read-price'], ['ann', 'there', 'read-price']]],
  [3, [['ann', 'here', 'set-address'], ['ann', 'there', 'place-order']]],
  [4, [['ann', 'here', 'read-login'], ['bo', 'here', 'ask'], ['ann', 'here', 'read-question'], ['ann', 'there', 'answer']]],
  [1, [['bo', 'here', 'set-price']]],
  [1, [['ann', 'there', 'read-cart']]],
];

/** An endless plan: `{ who, place, what, rest }`; `rest` scales the pause after the request, mean 1. */
export function* plan(seed) {
  const random = randomFrom(seed);
  for (;;) {
    const visit = pick(random, VISITS);
    const here = pick(random, EDGES.map(({ id }) => [1, id]));
    const there = pick(random, [...EDGES.filter(({ id }) => id !== here).map(({ id }) => [4, id]), [1, 'tab']]);
    for (const [who, where, what] of visit) yield { who, place: where === 'here' ? here : there, what, rest: random() * 2 };
  }
}

export class Autopilot {
  #run = null;

  /** `request(who, place, what)` makes a request; `pace()` gives requests a second; `changed()` hears of start and stop. */
  constructor({ request, pace, changed }) {
    Object.assign(this, { request, pace, changed });
  }

  get running() {
    return this.#run !== null;
  }

  start(seed) {
    this.stop();
    const run = (this.#run = { stopped: false });
    this.changed();
    this.#drive(run, seed).finally(() => {
      if (this.#run === run) this.stop();
    });
  }

  stop() {
    if (this.#run) this.#run.stopped = true;
    this.#run = null;
    this.changed();
  }

  async #drive(run, seed) {
    for (const { who, place, what, rest } of plan(seed)) {
      await this.request(who, place, what);
      await new Promise((resolve) => setTimeout(resolve, (rest * 1000) / this.pace()));
      if (run.stopped) return;
    }
  }
}
