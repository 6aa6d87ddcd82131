/**
 * What the cases of the transport suite share: replicas on the ends, raw duplexes of the ends, and a wrapper that
 * loses, duplicates and delays messages.
 *
 * Invariant: randomness comes from a seed, so a failing case fails again.
 */
import { platform } from '../platform.js';
import type { Duplex, Link, Transport } from '../types/plug.js';
import type { Replica, ReplicaOptions } from '../types/replica.js';
import { eventually, rest } from './case.js';

/**
 * One end: a transport, or a function that attaches a replica to something else (a server that answers requests) and
 * returns how to detach it.
 */
export type TransportEnd = Transport | ((replica: Replica) => Promise<() => void | Promise<void>> | (() => void | Promise<void>));

type Opener = (options: ReplicaOptions) => Promise<Replica>;
type Wrap = (transport: Transport, end: number) => Transport;

/** The ends of one case, and the replicas on them. */
export class Ends {
  readonly #ends: readonly TransportEnd[];
  readonly #open: Opener;
  readonly #replicas: Replica[] = [];
  readonly #undo: (() => void | Promise<void>)[] = [];
  #links: (Link & { readonly replica: Replica })[] = [];
  #standing: Replica[] = [];

  constructor(ends: readonly TransportEnd[], open: Opener) {
    this.#ends = ends;
    this.#open = open;
  }

  /** Whether every end is a transport, so that both sides know their peers. */
  get symmetric(): boolean {
    return this.#ends.every((end) => typeof end !== 'function');
  }

  /** The links of the ends that are transports. */
  get links(): readonly (Link & { readonly replica: Replica })[] {
    return this.#links;
  }

  /** An end that is a transport: the last one, which is a client's if the others are servers. */
  transport(): Transport {
    const end = [...this.#ends].reverse().find((one) => typeof one !== 'function');
    if (end === undefined) throw new Error('a bench has an end that is a transport');
    return end as Transport;
  }

  async replica(options: ReplicaOptions = {}): Promise<Replica> {
    const replica = await this.#open(options);
    this.#replicas.push(replica);
    return replica;
  }

  /** Attaches a replica to each end: a new one, or the one that was there before. */
  async all(options: ReplicaOptions = {}, wrap: Wrap = (transport) => transport): Promise<Replica[]> {
    for (const [n, end] of this.#ends.entries()) {
      const replica = this.#standing[n] ?? (await this.replica({ heartbeat: 200, ...options }));
      this.#standing[n] = replica;
      if (typeof end === 'function') this.#undo.push(await end(replica));
      else this.#links.push(Object.assign(replica.connect(wrap(end, n)), { replica }));
    }
    return this.#standing;
  }

  async two(options?: ReplicaOptions, wrap?: Wrap): Promise<[Replica, Replica]> {
    return (await this.all(options, wrap)).slice(0, 2) as [Replica, Replica];
  }

  /** Resolves when every replica on a transport has a peer. */
  async met(): Promise<void> {
    await eventually('everybody has met somebody', async () => (this.#links.every(({ replica }) => replica.status.peers > 0) ? true : undefined));
  }

  /** Resolves when all hold the same, within `deadline` milliseconds. */
  async agree(deadline?: number): Promise<void> {
    const vectors = () => this.#standing.map((replica) => JSON.stringify(replica.inspect().vectors));
    await eventually('all replicas hold the same', async () => (new Set(vectors()).size === 1 ? true : undefined), deadline);
  }

  /** Closes every link; a replica that is closed does not come again. */
  async part(): Promise<void> {
    for (const link of this.#links) link.close();
    for (const undo of this.#undo.splice(0)) await undo();
    this.#links = [];
    for (const [n, replica] of this.#standing.entries()) {
      try {
        replica.inspect();
      } catch {
        delete this.#standing[n];
      }
    }
    await eventually('the peers are gone', async () => (this.#standing.every((replica) => replica === undefined || replica.status.peers === 0) ? true : undefined));
  }

  /** The duplexes of the first two ends, without replicas; undefined if an end is not a transport. */
  async raw(): Promise<[Duplex, Duplex] | undefined> {
    const found: Duplex[] = [];
    for (const [n, end] of this.#ends.slice(0, 2).entries()) {
      if (typeof end === 'function') return undefined;
      const control = new (platform().AbortController)();
      this.#undo.push(() => control.abort());
      const opening = end.open({ replica: `raw${n}`, signal: control.signal }, (duplex) => (found[n] ??= duplex));
      // It may resolve only after the first message.
      Promise.resolve(opening).catch(() => {});
    }
    return eventually('both ends have a peer', async () => (found[0] && found[1] ? [found[0], found[1]] : undefined));
  }

  async clear(): Promise<void> {
    for (const undo of this.#undo.splice(0)) await undo();
    await Promise.all(this.#replicas.map((replica) => replica.close()));
  }
}

/** So many bytes, each of which depends on its position. */
export function patterned(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) & 0xff);
}

/** The transport, with a fifth of the messages lost, a fifth duplicated, and a fifth delayed. */
export function lossy(transport: Transport, seed: number): Transport {
  let state = seed + 1;
  const chance = () => (state = (state * 48_271) % 0x7fff_ffff) / 0x7fff_ffff;
  return {
    kind: transport.kind,
    open: (hello, onPeer) =>
      transport.open(hello, (duplex) => {
        const writer = duplex.writable.getWriter();
        const send = (message: Uint8Array) => writer.write(message.slice()).catch(() => {});
        const write = (message: Uint8Array) => {
          const fate = chance();
          if (fate < 0.2) return;
          if (fate < 0.4) void send(message);
          if (fate > 0.8) void rest(30 * chance()).then(() => send(message));
          else void send(message);
        };
        const writable = new (platform().WritableStream)({ write, abort: () => void writer.abort().catch(() => {}) });
        // No `heartbeat`, which promises that each message is answered.
        onPeer({ ...duplex, readable: duplex.readable, writable, heartbeat: undefined });
      }),
  };
}

const MEGABYTE = 1 << 20;
const ROOM = 8 * MEGABYTE;

/**
 * Writes messages of a megabyte as a link does, which waits for the stream, respects the backlog, and seldom sends more
 * than one message in a turn. Returns the number of bytes that were taken.
 */
export async function flood(duplex: Duplex, messages: number): Promise<number> {
  const writer = duplex.writable.getWriter();
  const message = patterned(MEGABYTE);
  let sent = 0;
  for (let n = 0; n < messages; n += 1) {
    await rest(1);
    if ((duplex.backlog?.() ?? 0) + MEGABYTE > ROOM) continue;
    const taken = await Promise.race([writer.ready.then(() => writer.write(message.slice())).then(() => true), rest(50).then(() => false)]);
    if (!taken) break;
    sent += MEGABYTE;
  }
  return sent;
}

/** Reads what is waiting; returns the number of bytes. */
export async function take(duplex: Duplex): Promise<number> {
  const reader = duplex.readable.getReader();
  let bytes = 0;
  for (;;) {
    const next = await Promise.race([reader.read(), rest(500).then(() => undefined)]);
    if (next === undefined || next.done) return bytes;
    bytes += next.value.byteLength;
  }
}
