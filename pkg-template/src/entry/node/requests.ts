/**
 * The sync protocol by requests: the body of a POST goes to the replica, whose reply is the response.
 *
 * Invariants: a body is read only once its sender may join, and no further than a message may be long. Every request is
 * answered; an answer reveals only the code and message of an error.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex as Stream } from 'node:stream';
import { EdgeSessionError } from '../../errors.js';
import { report } from '../../platform.js';
import { CONTENT_TYPE, NOT_SYNC, isMessage, tooLong, unadmitted } from '../../transport/admit.js';
import type { Replica } from '../../types/replica.js';

/** The longest message that the core reads. */
export const MESSAGE_BYTES_MAX = 64 << 20;

const WORDS: Readonly<Record<number, string>> = { 404: 'Not Found', 426: 'Upgrade Required', 500: 'Internal Server Error', 503: 'Service Unavailable' };

/** Whether a request may join, and how: with a token that limits it, with a proof that must follow, or trusted. */
export interface Admission {
  readonly admitted: boolean;
  readonly pass: string | undefined;
  readonly proof: boolean;
}

export class Requests {
  readonly #replica: Replica<any>;
  readonly #admits: (request: IncomingMessage) => Promise<Admission>;
  readonly #longest: number;
  readonly #under = new Set<Promise<void>>();

  constructor(replica: Replica<any>, admits: (request: IncomingMessage) => Promise<Admission>, longest: number) {
    this.#replica = replica;
    this.#admits = admits;
    this.#longest = longest;
  }

  /** Answers a request; with 503 if the replica admits nobody any more. Never rejects. */
  answer(request: IncomingMessage, response: ServerResponse, open: boolean): Promise<void> {
    const answer = this.#answer(request, response, open).finally(() => this.#under.delete(answer));
    this.#under.add(answer);
    return answer;
  }

  /** Resolves when the requests that are under way now are answered. */
  async idle(): Promise<void> {
    await Promise.all(this.#under);
  }

  async #answer(request: IncomingMessage, response: ServerResponse, open: boolean): Promise<void> {
    try {
      if (request.method !== 'POST' || !isMessage(request.headers['content-type'])) {
        response.writeHead(426, { Upgrade: 'websocket', 'Content-Type': 'text/plain' }).end(NOT_SYNC);
        return;
      }
      if (!open) throw new EdgeSessionError('REPLICA_CLOSED', 'this replica stops');
      const { admitted, pass, proof } = await this.#admits(request);
      if (!admitted) throw unadmitted();
      const reply = await this.#replica.exchange(await read(request, this.#longest), { token: pass, proof });
      response.writeHead(200, { 'Content-Type': CONTENT_TYPE, 'Content-Length': reply.byteLength, 'Cache-Control': 'no-store' }).end(reply);
    } catch (cause) {
      if (request.destroyed && !request.complete) return; // the client is gone
      if (!EdgeSessionError.is(cause)) report('edge-session: a request could not be answered', cause);
      refuse(response, EdgeSessionError.is(cause) ? cause : new EdgeSessionError('REPLICA_CRASHED', 'the request could not be answered'));
      // The rest of the body may be endless.
      if (EdgeSessionError.is(cause, 'VALUE_TOO_LARGE')) response.on('finish', () => request.destroy());
    }
  }
}

function refuse(response: ServerResponse, { status, code, message, retryable }: EdgeSessionError): void {
  const headers: Record<string, string> = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };
  if (retryable || status === 503) headers['Retry-After'] = '1';
  // Does not wait for the rest of the body.
  if (status === 413 || status === 503) headers['Connection'] = 'close';
  response.writeHead(status, headers).end(JSON.stringify({ code, message }));
}

async function read(request: IncomingMessage, longest: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength;
    if (length > longest) throw tooLong(longest);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** Refuses a request for a WebSocket. */
export function refuseUpgrade(stream: Stream, status: 404 | 426 | 500 | 503): void {
  stream.end(`HTTP/1.1 ${status} ${WORDS[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
