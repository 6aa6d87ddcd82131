/**
 * Whether the one who leads is there: who stands in line asks now and then, and who leads answers.
 *
 * The lock alone does not tell. A browser may grant it to a page in the very moment in which it freezes that page, and freezes the
 * workers of a page without a word to them. Invariant: nobody is called absent who answers within {@link PATIENCE}.
 */
import { type MessageChannelLike, type Timer, platform, timer } from '../platform.js';

// How long nobody asks after an answer, in milliseconds; up to twice as long, by chance, so that of many who wait one asks for all.
const QUIET = 5_000;
// How long an answer may take, in milliseconds.
const PATIENCE = 5_000;

type Word = 'who' | 'here';

/** One who stands in line, or leads. */
export class Presence {
  readonly #air: MessageChannelLike;
  readonly #absent: () => void;
  #leads = false;
  #alarm: Timer | undefined;

  /** `absent` is called once nobody answered; from then on nobody asks. Throws where there is no BroadcastChannel. */
  constructor(name: string, absent: () => void) {
    const { BroadcastChannel } = platform();
    if (BroadcastChannel === undefined) throw new Error('this platform has no BroadcastChannel');
    this.#absent = absent;
    this.#air = new BroadcastChannel(name);
    this.#air.onmessage = ({ data }) => {
      if (data === ('who' satisfies Word) && this.#leads) this.#say('here');
      if (data === ('here' satisfies Word) && !this.#leads) this.#rest();
    };
    this.#rest();
  }

  /** From now on this one leads, and tells all who wait. */
  lead(): void {
    this.#leads = true;
    this.#alarm?.cancel();
    this.#say('here');
  }

  close(): void {
    this.#alarm?.cancel();
    this.#air.onmessage = null;
    this.#air.close();
  }

  #rest(): void {
    this.#set(QUIET * (1 + Math.random()), () => {
      this.#set(PATIENCE, this.#absent);
      this.#say('who');
    });
  }

  #set(ms: number, run: () => void): void {
    this.#alarm?.cancel();
    this.#alarm = timer(run, ms);
    this.#alarm.hold(false);
  }

  #say(word: Word): void {
    this.#air.postMessage(word);
  }
}
