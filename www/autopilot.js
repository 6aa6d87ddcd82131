// The autopilot: a seed's worth of visits. Ann roams from place to place, reading and writing; Bo, who serves her at
// every edge, writes there and stays. The same seed makes the same requests in the same order.

import { EDGES } from './places.js';
import { pick, randomFrom } from './random.js';

// Ann's writes go to several keys without a read in between, and what she reads she often has not written: only so can
// each guarantee be broken while the other three hold.
const ANN = [
  [5, 'add-book'], [12, 'read-cart'], [6, 'log-in'], [6, 'log-out'], [12, 'read-login'], [14, 'set-address'],
  [14, 'place-order'], [13, 'read-price'], [10, 'read-question'], [14, 'answer'],
];
const BO = [[1, 'set-price'], [1, 'ask']];
const PLACES = [[3, 'oregon'], [3, 'paris'], [3, 'tokyo'], [1, 'tab']];

/** An endless plan: `{ ann: { place, what }, bo: { place, what } | null, rest }`; `rest` scales the pause, mean 1. */
export function* plan(seed) {
  const random = randomFrom(seed);
  for (;;) {
    const ann = { place: pick(random, PLACES), what: pick(random, ANN) };
    const bo = random() < 0.5 ? { place: EDGES[Math.floor(random() * EDGES.length)].id, what: pick(random, BO) } : null;
    yield { ann, bo, rest: random() * 2 };
  }
}

export class Autopilot {
  #run = null;

  /** `ann(place, what)` and `bo(place, what)` make requests; `pace()` gives requests a second. */
  constructor({ ann, bo, pace, changed }) {
    Object.assign(this, { ann, bo, pace, changed });
  }

  get running() {
    return this.#run !== null;
  }

  start(seed) {
    this.stop();
    const run = (this.#run = { stopped: false });
    this.changed();
    this.#drive(run, seed).finally(() => {
      if (this.#run === run) this.#run = null;
      this.changed();
    });
  }

  stop() {
    if (this.#run) this.#run.stopped = true;
    this.#run = null;
    this.changed();
  }

  async #drive(run, seed) {
    for (const { ann, bo, rest } of plan(seed)) {
      if (run.stopped) return;
      if (bo) await this.bo(bo.place, bo.what);
      if (run.stopped) return;
      await this.ann(ann.place, ann.what);
      await new Promise((resolve) => setTimeout(resolve, (rest * 1000) / this.pace()));
    }
  }
}
