/**
 * The WebSockets of a Durable Object, each a link of its replica. They stay open while the object hibernates.
 *
 * Invariants: a message is applied, stored and answered in the turn that brings it. Whatever the link needs to go on after
 * hibernation lies in the socket's attachment before the turn ends; where that is too large, the link begins anew with a
 * hello. A peer that takes nothing is let go of before its queue is long, because the platform does not tell how long it is.
 */
import type { Driver, Sink } from '../../driver.js';
import { type EdgeSessionError, fromCore } from '../../errors.js';
import { closeCode } from '../../transport/socket.js';

// What a socket may keep is 16 KiB of structured clone: the note and the token, at most 4 KiB, and a little beside them.
const NOTE_BYTES = 15 << 10;
// Bytes sent to a peer that has said nothing since. One message beyond it is always sent.
const UNHEARD_BYTES = 8 << 20;

const GOING_AWAY = 1001;
const OVERLOADED = 1013;

/** What a socket keeps of its link. Versioned, because an object may wake up with newer code. */
interface Attachment {
  readonly edgeSession: 1;
  /** What the peer is known to hold; null where that is not known, or too much. */
  readonly note: Uint8Array | null;
  /** The token with which it came; null where it came without one. */
  readonly pass: string | null;
  /** Without a token: whether it is vouched for, or has proved itself. */
  readonly trusted: boolean;
}

type Kept = Omit<Attachment, 'edgeSession'>;

// As the core numbers the ends of a link.
const CALLEE = 1;

export class Sockets {
  readonly #driver: Driver;
  readonly #links = new Map<WebSocket, Socket>();

  /** Takes up the sockets that were open before the object was in memory. */
  constructor(driver: Driver, open: readonly WebSocket[]) {
    this.#driver = driver;
    for (const socket of open) this.#take(socket, attached(socket));
  }

  /** A socket that was accepted just now. */
  add(socket: WebSocket, kept: Kept): void {
    socket.serializeAttachment({ edgeSession: 1, ...kept } satisfies Attachment);
    this.#take(socket, kept);
  }

  /** A message has come. Text is none of ours. */
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
      // Its token has ended while the object was not in memory.
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
        // Written by code that is newer than this, or the token is over, which `anew` tells.
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
      // It is closing; the platform tells it in its own turn.
    }
  }

  /** The replica is over, or will not go on with this peer. */
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
      // The message was dropped and nothing changed; the link goes on, and the protocol heals.
      if (this.#driver.over === undefined) this.#driver.error(error as EdgeSessionError);
      return;
    }
    this.#keep();
  }

  end(): void {
    this.#driver.detach(this.#link);
  }

  /** Writes down what is known of the peer, unless that is written there. */
  #keep(): void {
    const known = this.#driver.call((core) => core.linkNote(this.#link));
    const room = NOTE_BYTES - (this.#kept.pass?.length ?? 0);
    const note = known === undefined || known.byteLength > room ? null : known;
    // Of who is still to prove itself nothing is known.
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
 * Lets go of the bytes of a message that was taken in. Else they wait for the garbage collector, which comes for objects and hardly for
 * bytes: a flood that is not even read would fill tens of megabytes of a worker with them.
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
