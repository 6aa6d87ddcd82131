/**
 * The WebSockets of a Durable Object, each a link of its replica. They stay open while the object hibernates.
 *
 * Invariants:
 * - A message is applied, stored and answered in the turn in which it arrives.
 * - What the link needs after hibernation is in the socket's attachment before the turn ends. If it is too large, the
 *   link begins anew with a hello.
 * - A peer that takes nothing is dropped before its queue grows long, because the platform does not reveal the length.
 */
import type { Driver, Sink } from '../../driver.js';
import { type EdgeSessionError, fromCore } from '../../errors.js';
import { closeCode } from '../../transport/socket.js';

// An attachment holds 16 KiB of structured clone: the note, the token of at most 4 KiB, and a little more.
const NOTE_BYTES = 15 << 10;
// The most bytes sent to a peer that has sent nothing since. A message is always sent below this limit.
const UNHEARD_BYTES = 8 << 20;

const GOING_AWAY = 1001;
const OVERLOADED = 1013;

/** What a socket stores of its link. Versioned, because an object may wake up with newer code. */
interface Attachment {
  readonly edgeSession: 1;
  /** What the peer is known to hold; null if that is unknown, or too large. */
  readonly note: Uint8Array | null;
  /** The token with which it came; null if it came without one. */
  readonly pass: string | null;
  /** Without a token: whether it is trusted, or has proved the secret. */
  readonly trusted: boolean;
}

type Kept = Omit<Attachment, 'edgeSession'>;

// The core's number for this end of a link.
const CALLEE = 1;

export class Sockets {
  readonly #driver: Driver;
  readonly #links = new Map<WebSocket, Socket>();

  /** Resumes the sockets that were open before the object was loaded. */
  constructor(driver: Driver, open: readonly WebSocket[]) {
    this.#driver = driver;
    for (const socket of open) this.#take(socket, attached(socket));
  }

  /** Adds a socket that was just accepted. */
  add(socket: WebSocket, kept: Kept): void {
    socket.serializeAttachment({ edgeSession: 1, ...kept } satisfies Attachment);
    this.#take(socket, kept);
  }

  /** Handles a message. Text messages are ignored. */
  receive(socket: WebSocket, message: ArrayBuffer | string): void {
    if (typeof message === 'string') return;
    if (!this.#links.has(socket)) this.#take(socket, attached(socket));
    this.#links.get(socket)?.receive(new Uint8Array(message));
    release(message);
  }

  /** The socket is gone. */
  remove(socket: WebSocket): void {
    this.#links.get(socket)?.end();
    this.#links.delete(socket);
  }

  #take(socket: WebSocket, kept: Kept): void {
    this.#links.set(socket, new Socket(this.#driver, socket, kept));
  }
}

class Socket implements Sink {
  readonly #driver: Driver;
  readonly #socket: WebSocket;
  readonly #link: number;
  #unheard = 0;
  #kept: Kept;

  constructor(driver: Driver, socket: WebSocket, kept: Kept) {
    this.#driver = driver;
    this.#socket = socket;
    this.#kept = kept;
    this.#link = driver.attach(this);
    try {
      this.#begin(kept);
    } catch (error) {
      // Its token expired while the object was not in memory.
      const refusal = fromCore(error);
      if (refusal === undefined) throw error;
      this.fail(refusal);
    }
  }

  #begin({ note, pass, trusted }: Kept): void {
    this.#driver.call((core, now) => {
      const anew = () => {
        if (pass !== null) this.#driver.admit(core, this.#link, pass, undefined, now);
        else if (trusted) core.linkUp(this.#link, now);
        else core.linkProve(this.#link, CALLEE, undefined, now);
      };
      if (note === null) return anew();
      try {
        if (pass === null) core.linkResume(this.#link, note, now);
        else this.#driver.admit(core, this.#link, pass, note, now);
      } catch (error) {
        // The note was written by newer code; or the token has expired, which `anew` reports.
        if (fromCore(error) === undefined) throw error;
        anew();
      }
    });
  }

  send(bytes: Uint8Array): void {
    if (this.#unheard > 0 && this.#unheard + bytes.byteLength > UNHEARD_BYTES) return this.#close(OVERLOADED, 'the peer does not keep up');
    this.#unheard += bytes.byteLength;
    try {
      this.#socket.send(bytes);
    } catch {
      // The socket is closing; the platform reports that in a turn of its own.
    }
  }

  /** The replica has ended, or the core has closed this link. */
  fail(error: EdgeSessionError): void {
    const code = closeCode(error);
    if (code === undefined) this.#close(GOING_AWAY, 'the replica was closed');
    else this.#close(code, error.code);
  }

  receive(message: Uint8Array): void {
    this.#unheard = 0;
    try {
      this.#driver.call((core, now) => core.receive(this.#link, message, now));
    } catch (error) {
      // The message was dropped and nothing changed. The link goes on, and the protocol recovers.
      if (this.#driver.over === undefined) this.#driver.error(error as EdgeSessionError);
      return;
    }
    this.#keep();
  }

  end(): void {
    this.#driver.detach(this.#link);
  }

  /** Updates the attachment with what is known of the peer, if that has changed. */
  #keep(): void {
    const known = this.#driver.call((core) => core.linkNote(this.#link));
    const room = NOTE_BYTES - (this.#kept.pass?.length ?? 0);
    const note = known === undefined || known.byteLength > room ? null : known;
    // Nothing is known of a peer that has not proved itself yet.
    const trusted = this.#kept.trusted || known !== undefined;
    if (same(note, this.#kept.note) && trusted === this.#kept.trusted) return;
    this.#kept = { ...this.#kept, note, trusted };
    this.#socket.serializeAttachment({ edgeSession: 1, ...this.#kept } satisfies Attachment);
  }

  #close(code: number, reason: string): void {
    this.end();
    try {
      this.#socket.close(code, reason);
    } catch {
      // It is closed already.
    }
  }
}

/**
 * Frees the bytes of a processed message. Otherwise they wait for the garbage collector, which counts objects rather
 * than bytes: a flood of messages, even unread ones, would fill tens of megabytes of a worker.
 */
function release(message: ArrayBuffer & { transfer?(length: number): ArrayBuffer }): void {
  message.transfer?.(0);
}

function same(left: Uint8Array | null, right: Uint8Array | null): boolean {
  if (left === null || right === null) return left === right;
  return left.byteLength === right.byteLength && left.every((byte, at) => byte === right[at]);
}

function attached(socket: WebSocket): Kept {
  const { edgeSession, note, pass, trusted } = (socket.deserializeAttachment() ?? {}) as Partial<Attachment>;
  const known = edgeSession === 1;
  return { note: known && note instanceof Uint8Array ? note : null, pass: (known && pass) || null, trusted: known && trusted === true };
}
