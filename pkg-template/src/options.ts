/**
 * Checks the options of `openReplica` before anything else happens, and converts them to their crossing form.
 */
import type { CoreConfig } from './binding.js';
import { interval, optional } from './duration.js';
import { invalid } from './errors.js';
import { type Names, optionsOf, signalOf } from './form.js';
import type { StorageAdapter, Transport } from './types/plug.js';
import type { Limits, ReplicaOptions, Secret, SessionDefaults } from './types/replica.js';
import { memory } from './storage/memory.js';
import { isBytes } from './value.js';

/** The shortest interval at which other replicas with a secret are told of a session. */
const PUBLISH_EVERY = 5_000;
const LABEL = 'replica';

export const OPTIONS: Names<ReplicaOptions> = { id: 1, storage: 1, connect: 1, space: 1, secret: 1, issuer: 1, limits: 1, session: 1, heartbeat: 1, values: 1, clock: 1, execute: 1, roleOf: 1, authenticate: 1, signal: 1 };
const TIMES: Names<Omit<SessionDefaults, 'publishEvery'>> = { expiresIn: 1, timeout: 1, tokenExpiresIn: 1, leeway: 1, idleTimeout: 1, queryTimeout: 1, slow: 1 };
const LIMITS: Names<Limits> = {
  bytes: 1, keys: 1, keyBytes: 1, valueBytes: 1, batchKeys: 1, batchBytes: 1, siblings: 1, spaces: 1, sessions: 1, sessionsPerUser: 1, sessionsPerAddress: 1, cachedSessions: 1,
  cachedSessionBytes: 1, tokenBytes: 1, clientIds: 1, clientBirths: 1, clientLinks: 1, clientSequences: 1, clientStagedBytes: 1, clientMessages: 1, clientBytes: 1, clientSentBytes: 1,
};

export interface Opening {
  readonly config: CoreConfig;
  readonly storage: StorageAdapter;
  readonly transports: readonly Transport[];
  /** Returns whole milliseconds, or throws `ARGUMENT_INVALID`. */
  readonly clock: () => number;
  /** Whether values are handed out frozen. */
  readonly frozen: boolean;
}

/** Throws `ARGUMENT_INVALID`, naming the option. */
export function toOpening(options: ReplicaOptions): Opening {
  optionsOf(options, OPTIONS);
  signalOf(options.signal);
  const storage = options.storage === undefined ? memory() : options.storage;
  for (const method of ['lock', 'load', 'append', 'compact'] as const) {
    if (typeof storage?.[method] !== 'function') throw invalid(`storage has a method ${method}`);
  }
  if (options.clock !== undefined && typeof options.clock !== 'function') throw invalid('clock is a function');
  for (const hook of ['execute', 'authenticate', 'roleOf'] as const) {
    const known = hook === 'authenticate' && options[hook] === 'accounts';
    if (options[hook] !== undefined && typeof options[hook] !== 'function' && !known) throw invalid(`${hook} is a function`);
  }
  if (options.values !== undefined && options.values !== 'fresh' && options.values !== 'frozen') throw invalid("values is 'fresh' or 'frozen'");
  const config: CoreConfig = { label: toLabel(options.id), durable: storage.durable !== false };
  if (options.roleOf !== undefined) config.roles = true;
  if (options.space !== undefined) config.space = text(options.space, 'space');
  if (options.issuer !== undefined) config.issuer = text(options.issuer, 'issuer');
  if (options.secret !== undefined) config.keys = list(options.secret).map(toKeyOf);
  // An empty list, filled by mistake, would leave the replica without access control.
  if (config.keys?.length === 0) throw invalid('secret is one key or several');
  if (options.limits !== undefined) config.limits = toLimits(options.limits);
  if (options.session !== undefined) {
    const session = optionsOf(options.session, { ...TIMES, publishEvery: 1 }, 'session');
    const names = Object.keys(TIMES) as (keyof typeof TIMES)[];
    config.session = defined(Object.fromEntries(names.map((name) => [name, optional(session[name], `session.${name}`)])));
  }
  const every = options.session?.publishEvery;
  if (config.keys !== undefined && every !== false) config.session = { ...config.session, publishEvery: optional(every, 'session.publishEvery') ?? PUBLISH_EVERY };
  const { heartbeat } = options;
  if (heartbeat !== undefined) config.heartbeat = interval(heartbeat, 'heartbeat');
  return { config, storage, transports: options.connect === undefined ? [] : list(options.connect), clock: options.clock === undefined ? Date.now : toClock(options.clock), frozen: options.values === 'frozen' };
}

/** A clock whose answers are checked and rounded. Its exceptions are distinguishable from those of the core. */
function toClock(clock: () => number): () => number {
  return () => {
    let now: unknown;
    let cause: unknown;
    try {
      now = clock();
    } catch (thrown) {
      cause = thrown;
    }
    if (typeof now === 'number' && now >= 0 && now <= Number.MAX_SAFE_INTEGER) return Math.floor(now);
    throw invalid('clock answers the milliseconds of the epoch, as Date.now does, and throws nothing', cause);
  };
}

function toLabel(id: unknown): string {
  if (id === undefined) return LABEL;
  if (typeof id === 'string' && /^[a-z0-9-]{1,16}$/.test(id)) return id;
  throw invalid('id is 1 to 16 of a-z, 0-9 and -');
}

function toLimits(limits: NonNullable<ReplicaOptions['limits']>): Record<string, number> {
  for (const [name, limit] of Object.entries(optionsOf(limits, LIMITS, 'limits'))) {
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) throw invalid(`limits.${name} is a positive whole number`);
  }
  return defined(limits);
}

function toKeyOf(secret: Secret): { kid: string; key: Uint8Array } {
  const key = typeof secret?.key === 'string' ? base64url(secret.key) : secret?.key;
  if (typeof secret?.kid !== 'string' || secret.kid === '') throw invalid('a secret has a kid, which names it');
  if (!isBytes(key) || key.byteLength < 32) throw invalid('the key of a secret is at least 32 bytes, or those as base64url');
  return { kid: secret.kid, key };
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The bytes of a base64url string, padded or not; undefined if it is not one. */
function base64url(encoded: string): Uint8Array | undefined {
  const digits = encoded.replace(/={1,2}$/, '');
  if (!/^[\w-]*$/.test(digits) || digits.length % 4 === 1) return undefined;
  const bytes: number[] = [];
  let [buffer, bits] = [0, 0];
  for (const digit of digits) {
    buffer = ((buffer << 6) | ALPHABET.indexOf(digit)) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((buffer >> bits) & 0xff);
  }
  return Uint8Array.from(bytes);
}

function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(`${name} is a string that is not empty`);
}

function list<T>(one: T | readonly T[]): readonly T[] {
  return Array.isArray(one) ? one : [one as T];
}

/** The same object without undefined properties. */
function defined<T extends object>(object: T): { [K in keyof T]?: NonNullable<T[K]> } & Record<string, number> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as never;
}
