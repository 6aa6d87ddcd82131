/**
 * The alarm clocks of a Durable Object: all of them on its one alarm, which outlives the object's stay in memory.
 *
 * Invariant: while something is due that nobody waits for, the platform's alarm stands at that time or earlier; it is set
 * only where it stands later or not at all, because each setting is a write, or where that is in doubt. What a request waits for has a deadline that
 * dies with the request, and that must be kept to the millisecond even when the platform's alarms are late: it is kept in
 * memory, which the request holds anyway, and costs no write. There is no `setTimeout`, which would keep an idle object
 * from hibernating.
 */
import { report } from '../../platform.js';
import type { Timer, Timers } from '../../platform.js';

/** What is used of an object's `ctx.storage`. */
interface AlarmStorage {
  getAlarm(): Promise<number | null>;
  setAlarm(at: number): Promise<void>;
}

// When an alarm is asked for again that was refused.
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
  /** When the platform's alarm rings; null where it is not set. */
  #alarm: number | null = null;
  #arranging = false;
  /** Whether the platform's alarm is being served: it rings no other one meanwhile. */
  #serving = false;
  #wait: { readonly at: number; readonly control: AbortController } | undefined;

  constructor(storage: AlarmStorage) {
    this.#storage = storage;
  }

  /** Finds out about the alarm that an earlier stay in memory has set. */
  async wake(): Promise<void> {
    this.#alarm = await this.#storage.getAlarm();
  }

  /** For the run loop of a replica. */
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

  /** The platform's alarm may not stand where it was set: it is set anew. */
  doubt(): void {
    this.#alarm = null;
    this.#change();
  }

  /**
   * The platform's alarm rings: does what is due, and waits for the `work` that follows from that, however long it takes. What is due in
   * the meantime is not kept waiting for it.
   */
  async ring(work: () => Promise<unknown>): Promise<void> {
    this.#alarm = null;
    this.#run();
    this.#serving = true;
    // Also where nothing was due: whatever is left needs an alarm of its own.
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

  /** Arranges things once everything of this turn has asked for what it wants. */
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

  /** Where the platform refuses it, it is tried again: the next event may be the one that it was to bring. */
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
