/**
 * The timers of a Durable Object, all on its one alarm, which survives the object's eviction from memory.
 *
 * Invariant: while a timer is set that no request waits for, the platform's alarm is set to its time or earlier. Each
 * `setAlarm` is a write, so it is called only if the alarm is later or unset, or in doubt.
 *
 * A timer that a request waits for ends with the request, and must be exact to the millisecond even if the platform's
 * alarms are late. It is kept in memory, which the request holds anyway, and costs no write. There is no `setTimeout`,
 * which would keep an idle object from hibernating.
 */
import { report } from '../../platform.js';
import type { Timer, Timers } from '../../platform.js';

/** The part of an object's `ctx.storage` that is used here. */
interface AlarmStorage {
  getAlarm(): Promise<number | null>;
  setAlarm(at: number): Promise<void>;
}

// The delay before a refused alarm is requested again.
const REFUSED = 1_000;

interface Appointment {
  readonly at: number;
  readonly run: () => void;
  /** Whether a request waits for it. */
  held: boolean;
}

export class AlarmClock {
  readonly #storage: AlarmStorage;
  readonly #appointments = new Set<Appointment>();
  /** The time of the platform's alarm; null if it is not set. */
  #alarm: number | null = null;
  #arranging = false;
  /** Whether the platform's alarm is being handled: meanwhile no other one rings. */
  #serving = false;
  #wait: { readonly at: number; readonly control: AbortController } | undefined;

  constructor(storage: AlarmStorage) {
    this.#storage = storage;
  }

  /** Reads the alarm that was set before the object was evicted. */
  async wake(): Promise<void> {
    this.#alarm = await this.#storage.getAlarm();
  }

  /** The timers for a replica's run loop. */
  readonly timers: Timers = (run, ms) => {
    const appointment: Appointment = { at: Date.now() + Math.max(0, Math.ceil(ms)), run, held: true };
    this.#appointments.add(appointment);
    this.#change();
    return {
      hold: (held) => {
        if (appointment.held === held) return;
        appointment.held = held;
        this.#change();
      },
      cancel: () => {
        if (this.#appointments.delete(appointment)) this.#change();
      },
    } satisfies Timer;
  };

  /** The platform's alarm may have been lost: sets it anew. */
  doubt(): void {
    this.#alarm = null;
    this.#change();
  }

  /**
   * Handles the platform's alarm: runs what is due and waits for the `work` that follows, however long it takes. Timers
   * that become due meanwhile do not wait for it.
   */
  async ring(work: () => Promise<unknown>): Promise<void> {
    this.#alarm = null;
    this.#run();
    this.#serving = true;
    // Even if nothing was due: remaining timers need a new alarm.
    this.#change();
    await work();
    this.#serving = false;
    this.#change();
  }

  #run(): void {
    const now = Date.now();
    for (const appointment of [...this.#appointments]) {
      if (appointment.at > now || !this.#appointments.delete(appointment)) continue;
      appointment.run();
    }
  }

  /** Updates the alarm after everything of this turn has set its timers. */
  #change(): void {
    if (this.#arranging) return;
    this.#arranging = true;
    queueMicrotask(() => {
      this.#arranging = false;
      this.#arrange();
    });
  }

  #arrange(): void {
    const times = (held: boolean) => [...this.#appointments].filter((appointment) => appointment.held === held).map(({ at }) => at);
    const next = Math.min(...times(false));
    if (next < (this.#alarm ?? Number.POSITIVE_INFINITY)) {
      this.#alarm = next;
      void this.#set(next);
    }
    const soonest = Math.min(...times(true), ...(this.#serving ? times(false) : []));
    if (this.#wait?.at === soonest) return;
    this.#wait?.control.abort();
    this.#wait = Number.isFinite(soonest) ? { at: soonest, control: new AbortController() } : undefined;
    if (this.#wait !== undefined) void this.#until(this.#wait);
  }

  /** Sets the platform's alarm. If that is refused, tries again: the next event may be the one that it was to bring. */
  async #set(at: number): Promise<void> {
    try {
      await this.#storage.setAlarm(at);
    } catch (cause) {
      report('edge-session: the alarm could not be set', cause);
      await scheduler.wait(REFUSED);
      this.doubt();
    }
  }

  async #until(wait: { readonly at: number; readonly control: AbortController }): Promise<void> {
    try {
      await scheduler.wait(Math.max(1, wait.at - Date.now()), { signal: wait.control.signal });
    } catch {
      return; // Nobody waits for it any more.
    }
    if (this.#wait !== wait) return;
    this.#wait = undefined;
    this.#run();
    this.#change();
  }
}
