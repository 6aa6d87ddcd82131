/**
 * A duplex as a link uses it: whole messages out, whole messages in, and an end.
 *
 * Every duplex has streams; what hands over whole messages by itself, as a socket does, may offer them directly as well (`offer`),
 * because a stream costs each message several promises. Invariant: what waits for a peer is bounded; what does not fit is dropped.
 */
import type { Duplex } from './types/plug.js';

// One message beyond it is always taken, so that every message can get through.
const QUEUE_BYTES = 8 << 20;
const QUEUE_MESSAGES = 1024;

/** Who is told what comes. */
export interface Listener {
  message(bytes: Uint8Array): void;
  /** A message has left. */
  sent(): void;
  /** It is over, told once. */
  end(): void;
}

export interface Channel {
  /** Begins to tell what comes; called once. */
  start(): void;
  /** False where the message was dropped. */
  send(bytes: Uint8Array): boolean;
  close(): void;
}

/** What can hand over messages without a stream. Its streams are not used then. */
export interface Direct {
  /** Called once; tells what has come until then, and the end where it is over already. */
  listen(message: (bytes: Uint8Array) => void, end: () => void): void;
  /** Throws where the other end is gone. */
  send(bytes: Uint8Array): void;
  /** Bytes that were handed over and have not left yet. */
  backlog(): number;
  close(): void;
}

// Apart from the duplex: who wraps one copies its properties, and must get the streams that it has replaced.
const offers = new WeakMap<Duplex, Direct>();

/** Says that a duplex can do without its streams. */
export function offer(duplex: Duplex, direct: Direct): Duplex {
  offers.set(duplex, direct);
  return duplex;
}

/** The channel of a duplex, which takes what it is given from now on. */
export function channel(duplex: Duplex, listener: Listener): Channel {
  const direct = offers.get(duplex);
  return direct === undefined ? new Streams(duplex, listener) : new Straight(direct, listener);
}

const full = (waiting: number, bytes: Uint8Array): boolean => waiting > 0 && waiting + bytes.byteLength > QUEUE_BYTES;

class Straight implements Channel {
  readonly #direct: Direct;
  #listener: Listener | undefined;

  constructor(direct: Direct, listener: Listener) {
    this.#direct = direct;
    this.#listener = listener;
  }

  start(): void {
    this.#direct.listen(
      (bytes) => this.#listener?.message(bytes),
      () => this.#end(),
    );
  }

  send(bytes: Uint8Array): boolean {
    if (full(this.#direct.backlog(), bytes)) return false;
    try {
      this.#direct.send(bytes);
      this.#listener?.sent();
    } catch {
      this.#end();
    }
    return true;
  }

  close(): void {
    this.#listener = undefined;
    this.#direct.close();
  }

  #end(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.end();
  }
}

class Streams implements Channel {
  readonly #duplex: Duplex;
  readonly #reader: ReturnType<Duplex['readable']['getReader']>;
  readonly #writer: ReturnType<Duplex['writable']['getWriter']>;
  readonly #queue: Uint8Array[] = [];
  #listener: Listener | undefined;
  #queued = 0;
  #writing = false;

  constructor(duplex: Duplex, listener: Listener) {
    this.#duplex = duplex;
    this.#listener = listener;
    this.#reader = duplex.readable.getReader();
    this.#writer = duplex.writable.getWriter();
  }

  start(): void {
    void this.#read();
  }

  send(bytes: Uint8Array): boolean {
    const waiting = this.#queued + (this.#duplex.backlog?.() ?? 0);
    if (this.#queue.length >= QUEUE_MESSAGES || full(waiting, bytes)) return false;
    this.#queue.push(bytes);
    this.#queued += bytes.byteLength;
    if (!this.#writing) void this.#write();
    return true;
  }

  close(): void {
    this.#listener = undefined;
    this.#queue.length = 0;
    // The other side may be gone already; there is nobody to tell.
    this.#reader.cancel().catch(() => {});
    this.#writer.abort().catch(() => {});
  }

  #end(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.end();
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done || this.#listener === undefined) break;
        this.#listener.message(value);
      }
    } catch {
      // A broken stream is a peer that is gone.
    }
    this.#end();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    try {
      for (let bytes = this.#queue.shift(); bytes !== undefined; bytes = this.#queue.shift()) {
        this.#queued -= bytes.byteLength;
        await this.#writer.ready;
        if (this.#listener === undefined) return;
        await this.#writer.write(bytes);
        this.#listener?.sent();
      }
      this.#writing = false;
    } catch {
      this.#end();
    }
  }
}
