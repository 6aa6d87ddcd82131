/**
 * A link to a server by HTTP: each message is the body of a POST, and the answer is its response.
 *
 * The server's side is `replica.exchange`. The core decides when to send: at once when there is news, again when an
 * answer fails to arrive, and otherwise every `every`.
 *
 * Invariant: one request is under way at a time, so a slow server holds up at most one message.
 */
import { interval, milliseconds } from '../duration.js';
import { EdgeSessionError, invalid } from '../errors.js';
import { optionsOf } from '../form.js';
import { type ByteController, platform, timer } from '../platform.js';
import type { Duration } from '../types/data.js';
import type { AbortSignalLike, Duplex, Hello, Transport } from '../types/plug.js';
import { CONTENT_TYPE, TOKEN_HEADER } from './admit.js';
import { type Address, Pass, Pauses, type TokenSource, busy, refusal, toAddress } from './retry.js';

/** The part of a `Response` that is used here. */
export interface ResponseLike {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  arrayBuffer(): Promise<ArrayBuffer>;
  text(): Promise<string>;
}

/** Options of {@link http}. */
export interface HttpOptions {
  /** How often to ask when there is nothing to send; 5 s by default. Local writes are sent at once. */
  every?: Duration | undefined;
  /** The longest pause after failures; 30 s by default. */
  maxDelay?: Duration | undefined;
  /** The client's token, sent in the header `Edge-Session`; a function is called before each connection. */
  token?: TokenSource | undefined;
  /** Makes the requests in place of the platform's `fetch`, for example to add headers or credentials. */
  fetch?: ((url: string, init: any) => Promise<ResponseLike>) | undefined;
}

const EVERY = 5_000;
const LONGEST_PAUSE = 30_000;
// How long the answer, and then its body, may take; plus a millisecond for so many bytes, for the slowest network.
const PATIENCE = 30_000;
const SLOWEST = 8;
// The assumed length of a body of unknown length.
const USUAL = 1 << 20;
const NOTHING = new Uint8Array();

/**
 * A transport to a server that answers each message in its response, such as one with `serveReplica`, or a handler that
 * only returns `new Response(await replica.exchange(body))` with the content type `application/vnd.edge-session`. For
 * networks that block WebSockets, and for workers that live for one request.
 *
 * States, tokens and pauses are as with `webSocket`: HTTP 401 makes the link `unauthorized`, 403 closes it; any other
 * failure is retried, with pauses that grow to `maxDelay`. A replica with a secret needs no token if the server has the
 * same secret. The transport keeps no Node process alive.
 *
 * Throws `ARGUMENT_INVALID` for an address or an option that does not have the documented form.
 *
 * @example
 * ```ts
 * const link = replica.connect(http('https://edge.example/sync', { every: '10s', token }));
 * ```
 */
export function http(url: Address, options: HttpOptions = {}): Transport {
  const address = toAddress(url, 'http');
  optionsOf(options, { every: 1, maxDelay: 1, token: 1, fetch: 1 });
  const every = options.every === undefined ? EVERY : interval(options.every, 'every');
  const maxDelay = options.maxDelay === undefined ? LONGEST_PAUSE : milliseconds(options.maxDelay, 'maxDelay');
  if (options.fetch !== undefined && typeof options.fetch !== 'function') throw invalid('fetch is a function');
  new Pass(options.token);
  return {
    kind: 'http',
    open({ keyed, signal, tell }, onPeer) {
      const fetch = options.fetch ?? (globalThis as { fetch?: HttpOptions['fetch'] }).fetch;
      if (fetch === undefined) throw invalid('this platform has no fetch; hand one in as an option');
      const post = (message: Uint8Array, token: string | undefined) => send((init) => fetch(address, init), message, token, signal);
      return new Promise((opened) => {
        const listener = { peer: onPeer, tell: (...news: Parameters<NonNullable<Hello['tell']>>) => (news[0] === 'open' && opened(), tell?.(...news)) };
        void converse({ post, every, pass: new Pass(options.token, keyed), pauses: new Pauses(maxDelay, signal, false), signal }, listener);
      });
    },
  };
}

interface Call {
  readonly post: (message: Uint8Array, token: string | undefined) => Promise<Uint8Array>;
  readonly every: number;
  readonly pass: Pass;
  readonly pauses: Pauses;
  readonly signal: AbortSignalLike;
}

interface Listener {
  peer(duplex: Duplex): void;
  tell: NonNullable<Hello['tell']>;
}

/** Holds one conversation after another, until `signal` aborts, the server forbids it, or the only token is refused. */
async function converse({ post, every, pass, pauses, signal }: Call, { peer, tell }: Listener): Promise<void> {
  let [failures, hurry] = [0, false];
  const unauthorized = (reason: string) => tell('unauthorized', refusal(401, reason));
  while (!signal.aborted) {
    await pauses.rest(hurry ? 0 : failures);
    hurry = false;
    if (signal.aborted) return;
    try {
      const token = await pass.ask();
      if (pass.stale) {
        unauthorized('');
        failures += 1;
        continue;
      }
      // An empty message asks for the server's identity and vector. A replica that proves its secret asks within the
      // proof.
      const hello = pass.proves ? NOTHING : await post(NOTHING, token);
      let silent = pass.proves;
      const accept = () => {
        silent = false;
        pass.accept();
        tell('open');
      };
      if (!silent) accept();
      const ask = async (message: Uint8Array) => {
        const reply = await post(message, await pass.fresh());
        if (silent) accept();
        failures = 0;
        return reply;
      };
      await talk(ask, hello, every, pass.proves ? 'requester' : undefined, peer);
      failures += 1;
    } catch (cause) {
      failures += 1;
      if (signal.aborted) return;
      const status = cause instanceof Refused ? cause.status : undefined;
      if (status === 403) return tell('closed', refusal(403, cause instanceof Refused ? cause.reason : ''));
      if (status !== 401) {
        if (cause instanceof Refused && cause.reason === 'RATE_LIMITED') tell('retrying', busy());
        else if (!pass.refused) tell('retrying', new EdgeSessionError('TRANSPORT_FAILED', 'a request to the server failed', { cause }));
        continue;
      }
      hurry = pass.refuse();
      if (hurry) tell('retrying', new EdgeSessionError('TRANSPORT_FAILED', 'the token was refused, and another one is asked for'));
      else unauthorized(cause instanceof Refused ? cause.reason : '');
      if (!pass.renewable) return;
    }
  }
}

/** Gives the replica a duplex over `ask`. Resolves when the replica ends it, rejects when a request fails. */
function talk(ask: (message: Uint8Array) => Promise<Uint8Array>, first: Uint8Array, every: number, proof: Duplex['proof'], onPeer: (peer: Duplex) => void): Promise<void> {
  const { ReadableStream, WritableStream } = platform();
  return new Promise((resolve, reject) => {
    let incoming: ByteController | undefined;
    const hear = (message: Uint8Array) => message.byteLength > 0 && incoming?.enqueue(message);
    const end = (tell: () => void) => {
      const ending = incoming;
      incoming = undefined;
      tell();
      try {
        ending?.close();
      } catch {
        // The reader has cancelled it already.
      }
    };
    const cancel = () => end(resolve);
    const readable = new ReadableStream({ start: (controller) => void (incoming = controller), cancel });
    const write = (message: Uint8Array) => ask(message).then(hear, (error: unknown) => end(() => reject(error)));
    hear(first);
    const refuse = ({ status, code }: EdgeSessionError) => end(() => reject(new Refused(status, code)));
    onPeer({ readable, writable: new WritableStream({ write, abort: cancel }), heartbeat: every, proof, refuse });
  });
}

/** A refusal: the server admits nobody, or not this client, or the replica does not believe the server. */
class Refused extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
  ) {
    super(`the server answered with the status ${status}`);
  }
}

async function send(fetch: (init: object) => Promise<ResponseLike>, message: Uint8Array, token: string | undefined, signal: AbortSignalLike): Promise<Uint8Array> {
  const control = new (platform().AbortController)();
  const abort = () => control.abort(signal.reason);
  const patience = (bytes: number) => {
    const late = timer(() => control.abort(new Error('the server has not answered in time')), PATIENCE + bytes / SLOWEST);
    late.hold(false);
    return late;
  };
  let late = patience(message.byteLength);
  signal.addEventListener('abort', abort);
  try {
    const headers: Record<string, string> = { 'Content-Type': CONTENT_TYPE, Accept: CONTENT_TYPE };
    if (token !== undefined) headers[TOKEN_HEADER] = token;
    const response = await fetch({ method: 'POST', headers, body: message, signal: control.signal });
    if (response.status !== 200) throw new Refused(response.status, reason(await response.text()));
    // A proxy may answer in the server's place, with a page.
    if (!response.headers.get('Content-Type')?.startsWith(CONTENT_TYPE)) throw new Error('the answer is not of the protocol');
    late.cancel();
    late = patience(Number(response.headers.get('Content-Length') ?? USUAL) || 0);
    return new Uint8Array(await response.arrayBuffer());
  } finally {
    late.cancel();
    signal.removeEventListener('abort', abort);
  }
}

/** The error code in the body of a refusal, or an empty string. */
function reason(body: string): string {
  return /\b[A-Z]+(?:_[A-Z]+)+\b/.exec(body.slice(0, 1_000))?.[0] ?? '';
}
