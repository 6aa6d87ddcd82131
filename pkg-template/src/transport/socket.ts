/**
 * A duplex of messages over any open socket of the WebSocket kind: a browser's, Node's, Deno's and Bun's own, one of the
 * package `ws` (client or server), the server's end of workerd's pair after `accept()`.
 *
 * Server ends use it too: one transport, and `onPeer(socketDuplex(socket))` for each socket that is let in. A link uses it without
 * streams. Invariants: one binary message is one message of the protocol, and anything else is passed over; what waits to be read
 * is bounded, and what waits to be sent is told (`backlog`), so that the link bounds it: what is dropped heals. It opens nothing,
 * and knows nothing of reconnection or of who may come.
 */
import { type Direct, offer } from '../channel.js';
import { type ByteController, platform } from '../platform.js';
import type { EdgeSessionError } from '../errors.js';
import type { Duplex } from '../types/plug.js';

/** The subprotocol that both ends name, and the one in which a client says its token: `token.<token>`. */
export const SUBPROTOCOL = 'edge-session.v1';
export const TOKEN_PREFIX = 'token.';
/** Close codes of the application's range: the token is refused (401), the one who holds it may not (403), or not now (429). */
export const CLOSE_UNAUTHORIZED = 4401;
export const CLOSE_FORBIDDEN = 4403;
export const CLOSE_BUSY = 4429;

/** What is used of a WebSocket. */
export interface SocketLike {
  readonly readyState: number;
  /** Bytes that were handed over and have not left yet; workerd does not tell. */
  readonly bufferedAmount?: number;
  binaryType?: string;
  send(message: Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'message' | 'close' | 'error', listener: (event: never) => void): void;
  removeEventListener(type: 'message' | 'close' | 'error', listener: (event: never) => void): void;
}

const OPEN = 1;
const NORMAL = 1000;
// Bytes that wait for a replica that does not come to reading. One message beyond it is always taken.
const WAITING = 16 << 20;
// A network may vanish without a word. Replicas ask for an answer after seconds of silence; who sent so many messages for so long
// without one, a long message under way included, speaks to nobody.
const SILENCE = 5 * 60_000;
const UNANSWERED = 4;

/**
 * The duplex of an open socket, to who came with the token `pass`, or is to give `proof` (see `Duplex`). It ends with the socket, and
 * cancelling or aborting it closes the socket.
 */
export function socketDuplex(socket: SocketLike, pass?: string, proof?: Duplex['proof']): Duplex {
  let [heard, unanswered] = [Date.now(), 0];
  let over = false;
  /** Who is told what comes; what has come before there is anybody. */
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
    // A socket that fails while it closes has an error to tell, and nobody is left to hear it.
    socket.addEventListener('error', () => {});
    try {
      socket.close(NORMAL);
    } catch {
      // It is closed already.
    }
  };
  try {
    // The package ws, which alone can terminate, then gives what it has read without a copy.
    socket.binaryType = 'terminate' in socket ? 'nodebuffer' : 'arraybuffer';
  } catch {
    // Where it cannot be chosen, it is bytes already.
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

/** The same as streams, for who wants those. */
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

/** The close code that tells an error, where one does. */
export function closeCode({ status }: EdgeSessionError): number | undefined {
  if (status === 401) return CLOSE_UNAUTHORIZED;
  if (status === 403) return CLOSE_FORBIDDEN;
  return status === 429 ? CLOSE_BUSY : undefined;
}

/** The bytes of a binary message. Text, which proxies and pings may send, is no message. */
function toBytes(data: unknown): Uint8Array | undefined {
  if (data instanceof Uint8Array) return data;
  return data instanceof ArrayBuffer ? new Uint8Array(data) : undefined;
}
