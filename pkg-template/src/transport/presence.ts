/**
 * Whether the leader is alive: candidates ask from time to time, and the leader answers.
 *
 * Holding the lock does not prove it. A browser may grant the lock to a page at the very moment at which it freezes
 * that page, and freezes the workers of a page without notice.
 *
 * Invariant: a leader that answers within {@link PATIENCE} is never called absent.
 */
import { type MessageChannelLike, type Timer, platform, timer } from '../platform.js';

// The milliseconds between an answer and the next question; up to twice as long, at random, so that one of many
// candidates asks for all.
const QUIET = 5_000;
// The milliseconds that an answer may take.
const PATIENCE = 5_000;

type Word = 'who' | 'here';

/** A candidate, or the leader. */
export class Presence {
  readonly #air: MessageChannelLike;
  readonly #absent: () => void;
  #leads = false;
  #alarm: Timer | undefined;

  /** `absent` is called when nobody has answered; after that it does not ask again. Throws without BroadcastChannel. */
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

  /** Becomes the leader and tells all candidates. */
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
