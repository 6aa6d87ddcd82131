/**
 * The conformance suite of transports: everything that replicas rely on, one case each, over the real thing.
 *
 * Invariant: the suite knows a transport only by its interface; the bench does what only the platform can do (cutting a
 * connection). Messages may be lost, duplicated and reordered, so a case checks what replicas come to hold, never a
 * single message.
 */
import { invalid } from '../errors.js';
import { openReplica } from '../open.js';
import { platform } from '../platform.js';
import type { Replica } from '../types/replica.js';
import { type ConformanceCase, ensure, eventually, rejected, rest } from './case.js';
import { Ends, type TransportEnd, flood, lossy, patterned, take } from './ends.js';

export type { TransportEnd } from './ends.js';

/** What the suite needs to know about a transport. */
export interface TransportBench {
  /** So many ends that reach each other, or all reach the first, once they are open. `pair()` has two at most. */
  ends(count: number): Promise<readonly TransportEnd[]> | readonly TransportEnd[];
  /** The greatest number of ends; two by default. */
  readonly most?: number;
  /** Breaks every connection between the ends, as a network does. Only for transports that reconnect by themselves. */
  cut?(ends: readonly TransportEnd[]): void | Promise<void>;
  /** Releases what `ends` has made. */
  clear?(ends: readonly TransportEnd[]): void | Promise<void>;
}

/**
 * The cases that every transport must pass, in the order in which a new one should meet them. They are independent of
 * each other; run them one after another. Each opens two or more replicas in memory.
 *
 * @example
 * ```ts
 * import { test } from 'node:test';
 * for (const { name, skip, run } of transportCases({ ends: () => pair() })) test(name, { skip }, run);
 * ```
 */
export function transportCases(bench: TransportBench): ConformanceCase[] {
  if (typeof bench?.ends !== 'function') throw invalid('a bench has a method ends');
  const most = bench.most ?? 2;
  const one = (name: string, count: number, run: (desk: Desk) => Promise<void>, skip: string | false = false): ConformanceCase => ({
    name,
    skip: skip || (count > most ? `the bench has no more than ${most} ends` : false),
    async run() {
      const ends = await bench.ends(count);
      const desk = new Desk(ends, () => bench.cut?.(ends));
      try {
        await run(desk);
      } finally {
        await desk.clear();
        await bench.clear?.(ends);
      }
    },
  });
  return [
    one('two replicas come to hold the same', 2, meet),
    one('a link is open when its promise says so, and tells what it does', 2, ready),
    one('messages come whole, and one at a time', 2, whole),
    one('messages that are lost, doubled and late heal', 2, heal),
    one('a state of nine megabytes comes over', 2, large),
    one('one value of four megabytes comes over', 2, huge),
    one('either end may close, and the other one hears of it', 2, close),
    one('a signal closes a link, and one that has aborted opens none', 2, signal),
    one('an end that was closed can be opened again', 2, again),
    one('a link that is told to connect anew does, and loses nothing', 2, anew),
    one('a connection that is cut comes back by itself', 2, cut, bench.cut === undefined ? "the bench has no 'cut'" : false),
    one('a peer that reads nothing costs bounded memory', 2, deaf),
    one('a burst of writes on both sides arrives', 2, burst),
    one('five who meet come to hold the same, and miss who leaves', 5, many),
  ];
}

/** The replicas of one case. */
class Desk extends Ends {
  readonly #cut: () => void | Promise<void>;

  constructor(ends: readonly TransportEnd[], cut: () => void | Promise<void>) {
    super(ends, openReplica);
    this.#cut = cut;
  }

  async cut(): Promise<void> {
    await this.#cut();
  }
}

async function meet(desk: Desk): Promise<void> {
  const [left, right] = await desk.two();
  await left.session().set('from the left', 1);
  await right.session().set('from the right', { n: 2 });
  await desk.agree();
  await left.session().set('from the left', 'again');
  await desk.agree();
  ensure(right.session().peek('from the left') === 'again', 'the right one has the newer value');
}

async function ready(desk: Desk): Promise<void> {
  const [left] = await desk.two();
  await left.session().set('a', 1);
  await desk.agree();
  for (const link of desk.links) {
    await link.ready;
    ensure(link.state === 'open' && link.error === null, `an open link is open, not ${link.state}`);
  }
  const counts = left.inspect().links[0];
  if (counts !== undefined) ensure(counts.sent > 0 && counts.received > 0 && counts.dropped === 0, `messages are counted, and none was dropped: ${JSON.stringify(counts)}`);
}

async function whole(desk: Desk): Promise<void> {
  const ends = await desk.raw();
  if (ends === undefined) return;
  const messages = [1, 2, 125, 126, 65_535, 65_536, 70_000, 1 << 20].map((size) => patterned(size));
  const known = new Map(messages.map((message) => [message.byteLength, message]));
  const [left, right] = ends;
  for (const [from, to] of [[left, right], [right, left]] as const) {
    const got = new Set<number>();
    const reader = to.readable.getReader();
    const writer = from.writable.getWriter();
    const read = async () => {
      while (got.size < known.size) {
        const { done, value } = await reader.read();
        if (done) throw new Error('the duplex ended before everything had come');
        const sent = known.get(value.byteLength);
        ensure(sent !== undefined, `a message of ${value.byteLength} bytes was never sent`);
        ensure(value.every((byte, at) => byte === sent[at]), `a message of ${value.byteLength} bytes is another one than was sent`);
        got.add(value.byteLength);
      }
    };
    const reading = read();
    reading.catch(() => {});
    await eventually('every message, sent until it comes', async () => {
      for (const message of messages) if (!got.has(message.byteLength)) await Promise.race([writer.write(message.slice()), rest(100)]);
      await Promise.race([reading, rest(100)]);
      return got.size === known.size ? true : undefined;
    });
    await reading;
  }
}

async function heal(desk: Desk): Promise<void> {
  const [left, right] = await desk.two({ heartbeat: 20 }, (transport, n) => lossy(transport, n));
  for (let n = 0; n < 60; n += 1) {
    await left.session().set(`left ${n % 10}`, n);
    await right.session().set(`right ${n % 10}`, n);
    await rest(1);
  }
  // One attempt in three loses the delta or its acknowledgement, with growing intervals between attempts: eleven fit.
  await desk.agree(60_000);
  ensure(left.session().sync.list().length === 20, 'every key is there');
}

async function large(desk: Desk): Promise<void> {
  const [left, right] = await desk.two();
  const [a, b] = [left.session(), right.session()];
  for (let n = 0; n < 90; n += 1) a.sync.set(`left ${n}`, patterned(100_000));
  for (let n = 0; n < 30; n += 1) b.sync.set(`right ${n}`, patterned(100_000));
  await desk.agree();
  ensure(left.session().sync.list().length === 120, 'every key is there');
}

async function huge(desk: Desk): Promise<void> {
  const [left, right] = await desk.two({ limits: { valueBytes: 8 << 20, batchBytes: 8 << 20 } });
  left.session().sync.set('huge', patterned(4 << 20));
  await desk.agree();
  const value = right.session().peek('huge');
  ensure(value instanceof Uint8Array && value.byteLength === 4 << 20, 'the value is there');
}

async function close(desk: Desk): Promise<void> {
  for (const side of [0, 1] as const) {
    const [left, right] = await desk.two();
    await desk.met();
    const [one, other] = side === 0 ? [left, right] : [right, left];
    const link = desk.links.find((own) => own.replica === one);
    // An end that is not a transport is closed with its replica.
    if (link === undefined) await one.close();
    else link.close();
    if (link !== undefined) ensure(link.state === 'closed', 'a closed link is closed');
    await eventually('the other end hears of it', async () => (other.status.peers === 0 || !desk.symmetric ? true : undefined));
    await desk.part();
  }
}

async function signal(desk: Desk): Promise<void> {
  const end = desk.transport();
  const replica = await desk.replica();
  const control = new (platform().AbortController)();
  control.abort();
  const never = replica.connect(end, { signal: control.signal });
  ensure((never.state as string) === 'closed', 'a link whose signal has aborted is closed');
  await rejected(never.ready, 'a link whose signal has aborted');
  const [left] = await desk.two();
  await desk.met();
  await desk.part();
  const live = new (platform().AbortController)();
  const link = left.connect(end, { signal: live.signal });
  live.abort();
  ensure(link.state === 'closed', 'a link whose signal aborts is closed');
  ensure(left.status.peers === 0, 'and has no peers');
}

async function again(desk: Desk): Promise<void> {
  for (let n = 0; n < 3; n += 1) {
    const [left, right] = await desk.two();
    await left.session().set(`left ${n}`, n);
    await right.session().set(`right ${n}`, n);
    await desk.agree();
    await desk.part();
  }
}

async function anew(desk: Desk): Promise<void> {
  const [left, right] = await desk.two();
  await desk.met();
  for (let n = 0; n < 3; n += 1) {
    await left.session().set(`left ${n}`, n);
    for (const link of desk.links) link.reconnect();
    await right.session().set(`right ${n}`, n);
    await desk.agree();
  }
  for (const link of desk.links) await link.ready;
}

async function cut(desk: Desk): Promise<void> {
  const [left, right] = await desk.two();
  for (let n = 0; n < 3; n += 1) {
    await desk.met();
    await desk.cut();
    await left.session().set(`left ${n}`, n);
    await right.session().set(`right ${n}`, n);
    await desk.agree();
  }
}

async function deaf(desk: Desk): Promise<void> {
  const ends = await desk.raw();
  const [from, to] = ends ?? [];
  if (from === undefined || to === undefined) return;
  const sent = await flood(from, 128);
  const waited = await take(to);
  ensure(waited <= 64 << 20, `of ${sent} bytes for a peer that reads nothing ${waited} were kept`);
}

async function burst(desk: Desk): Promise<void> {
  const [left, right] = await desk.two();
  const [a, b] = [left.session(), right.session()];
  for (let n = 0; n < 2_000; n += 1) {
    a.sync.set(`left ${n % 300}`, n);
    b.sync.set(`right ${n % 300}`, n);
    if (n % 50 === 0) await rest(1);
  }
  await desk.agree();
  ensure(left.session().sync.list().length === 600, 'every key is there');
}

async function many(desk: Desk): Promise<void> {
  const replicas = await desk.all();
  for (const [n, replica] of replicas.entries()) await replica.session().set(`own ${n}`, n);
  await desk.agree();
  const [first, ...others] = replicas as [Replica, ...Replica[]];
  const before = first.status.peers;
  await others[0]?.close();
  if (desk.symmetric) await eventually('the one who left is missed', async () => (first.status.peers < before ? true : undefined));
  await first.session().set('after', 1);
  await eventually('the others go on', async () => (others.slice(1).every((other) => other.session().peek('after') === 1) ? true : undefined));
}
