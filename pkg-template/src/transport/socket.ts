/**
 * A duplex of messages over any open socket with the WebSocket interface: those of browsers, Node, Deno and Bun, those
 * of the package `ws` (client or server), and the server's end of workerd's pair after `accept()`.
 *
 * Servers use it too: one transport, and `onPeer(socketDuplex(socket))` for each admitted socket. A link uses it
 * without streams. It opens nothing, and knows nothing of reconnection or admission.
 *
 * Invariants:
 * - One binary message is one message of the protocol; anything else is ignored.
 * - Bytes waiting to be read are bounded. Bytes waiting to be sent are reported (`backlog`), so that the link can bound
 *   them. The protocol recovers from dropped messages.
 */
import { type Direct, offer } from '../channel.js';
import { type ByteController, platform } from '../platform.js';
import type { EdgeSessionError } from '../errors.js';
import type { Duplex } from '../types/plug.js';

/** The subprotocol of both ends, and the prefix of the one in which a client sends its token: `token.<token>`. */
export const SUBPROTOCOL = 'edge-session.v1';
export const TOKEN_PREFIX = 'token.';
/** Close codes of the application range: token refused (401), user not allowed (403), not now (429). */
export const CLOSE_UNAUTHORIZED = 4401;
export const CLOSE_FORBIDDEN = 4403;
export const CLOSE_BUSY = 4429;

/** The part of a WebSocket that is used here. */
export interface SocketLike {
  readonly readyState: number;
  /** Bytes that were accepted and have not been sent yet; undefined in workerd. */
  readonly bufferedAmount?: number;
  binaryType?: string;
  send(message: Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'message' | 'close' | 'error', listener: (event: never) => void): void;
  removeEventListener(type: 'message' | 'close' | 'error', listener: (event: never) => void): void;
}

const OPEN = 1;
const NORMAL = 1000;
// The most bytes that wait for a replica that does not read. A message is always taken below this limit.
const WAITING = 16 << 20;
// A network may vanish without notice. Replicas ask for an answer after seconds of silence. After four messages and
// five minutes without one (enough for a long message under way) the connection counts as dead.
const SILENCE = 5 * 60_000;
const UNANSWERED = 4;

/**
 * The duplex of an open socket to a peer with the token `pass`, or that must give `proof` (see `Duplex`). It ends with
 * the socket, and cancelling or aborting it closes the socket.
 */
export function socketDuplex(socket: SocketLike, pass?: string, proof?: Duplex['proof']): Duplex {
  let [heard, unanswered] = [Date.now(), 0];
  let over = false;
  /** The listener's callbacks; messages that arrive before there is one wait in `early`. */
  let [told, ended]: [((message: Uint8Array) => void) | undefined, (() => void) | undefined] = [undefined, undefined];
  let early: Uint8Array[] = [];
  let waiting = 0;
  const hear = ({ data }: { readonly data: unknown }) => {
    [heard, unanswered] = [Date.now(), 0];
    const bytes = toBytes(data);
    if (bytes === undefined) return;
    if (told !== undefined) return told(bytes);
    if (waiting >= WAITING) return;
    early.push(bytes);
    waiting += bytes.byteLength;
  };
  const end = () => {
    if (over) return;
    over = true;
    socket.removeEventListener('message', hear);
    socket.removeEventListener('close', end);
    socket.removeEventListener('error', end);
    ended?.();
  };
  const close = () => {
    if (over) return;
    end();
    // A socket that fails while closing emits an error that nobody needs; unhandled it would be thrown.
    socket.addEventListener('error', () => {});
    try {
      socket.close(NORMAL);
    } catch {
      // It is closed already.
    }
  };
  try {
    // Only the package `ws` has `terminate`; with 'nodebuffer' it delivers what it has read without a copy.
    socket.binaryType = 'terminate' in socket ? 'nodebuffer' : 'arraybuffer';
  } catch {
    // A socket without this choice delivers bytes already.
  }
  const send = (message: Uint8Array) => {
    if (socket.readyState !== OPEN) throw new Error('the socket is not open');
    unanswered += 1;
    if (unanswered > UNANSWERED && Date.now() - heard > SILENCE) {
      close();
      throw new Error('the other end has not answered for minutes');
    }
    socket.send(message);
  };
  const listen = (message: (bytes: Uint8Array) => void, finish: () => void) => {
    [told, ended] = [message, finish];
    for (const bytes of early) message(bytes);
    early = [];
    if (over) finish();
  };
  socket.addEventListener('message', hear);
  socket.addEventListener('close', end);
  socket.addEventListener('error', end);
  const refuse = (error: EdgeSessionError) => {
    const code = closeCode(error);
    if (code === undefined) return;
    end();
    socket.addEventListener('error', () => {});
    socket.close(code, error.code);
  };
  const backlog = () => socket.bufferedAmount ?? 0;
  let streams: Pick<Duplex, 'readable' | 'writable'> | undefined;
  const duplex: Duplex = {
    get readable() {
      return (streams ??= toStreams(listen, send, close)).readable;
    },
    get writable() {
      return (streams ??= toStreams(listen, send, close)).writable;
    },
    backlog,
    refuse,
    pass,
    proof,
  };
  return offer(duplex, { listen, send, backlog, close });
}

/** The same as streams, for those who want these. */
function toStreams(listen: Direct['listen'], send: Direct['send'], close: () => void): Pick<Duplex, 'readable' | 'writable'> {
  const { ReadableStream, WritableStream } = platform();
  const start = (incoming: ByteController) =>
    listen(
      (bytes) => {
        if ((incoming.desiredSize ?? 0) > 0) incoming.enqueue(bytes);
      },
      () => {
        try {
          incoming.close();
        } catch {
          // The reader has cancelled it already.
        }
      },
    );
  const readable = new ReadableStream({ start, cancel: close }, { highWaterMark: WAITING, size: (message) => message.byteLength });
  return { readable, writable: new WritableStream({ write: send, abort: close }) };
}

/** The close code for an error; undefined if there is none. */
export function closeCode({ status }: EdgeSessionError): number | undefined {
  if (status === 401) return CLOSE_UNAUTHORIZED;
  if (status === 403) return CLOSE_FORBIDDEN;
  return status === 429 ? CLOSE_BUSY : undefined;
}

/** The bytes of a binary message. Text, which proxies and pings may send, is not a message. */
function toBytes(data: unknown): Uint8Array | undefined {
  if (data instanceof Uint8Array) return data;
  return data instanceof ArrayBuffer ? new Uint8Array(data) : undefined;
}
