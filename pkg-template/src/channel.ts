/**
 * A duplex as a link uses it: sends whole messages, receives whole messages, and ends.
 *
 * Every duplex has streams. One that has whole messages anyway, such as a socket, may offer them directly (`offer`),
 * because a stream costs several promises per message.
 *
 * Invariant: the queue to a peer is bounded; messages that do not fit are dropped.
 */
import type { Duplex } from './types/plug.js';

// A message is always accepted while the queue is empty, so a message of any size gets through.
const QUEUE_BYTES = 8 << 20;
const QUEUE_MESSAGES = 1024;

/** Receives what arrives. */
export interface Listener {
  message(bytes: Uint8Array): void;
  /** A message was sent. */
  sent(): void;
  /** The channel has ended; called once. */
  end(): void;
}

export interface Channel {
  /** Begins to deliver messages; called once. */
  start(): void;
  /** False if the message was dropped. */
  send(bytes: Uint8Array): boolean;
  close(): void;
}

/** A source of messages without streams. The streams of its duplex are then not used. */
export interface Direct {
  /** Called once. Delivers what has arrived before, and the end if it has ended already. */
  listen(message: (bytes: Uint8Array) => void, end: () => void): void;
  /** Throws if the other end is gone. */
  send(bytes: Uint8Array): void;
  /** Bytes that were accepted and have not been sent yet. */
  backlog(): number;
  close(): void;
}

// A map instead of a property: code that wraps a duplex copies its properties, and must get the streams that it
// replaced.
const offers = new WeakMap<Duplex, Direct>();

/** Registers the direct interface of a duplex. */
export function offer(duplex: Duplex, direct: Direct): Duplex {
  offers.set(duplex, direct);
  return duplex;
}

/** The channel of a duplex. It takes over the duplex at once. */
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
    // The other side may be gone already; nobody needs to know.
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
      // A broken stream means that the peer is gone.
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
