/**
 * What is stored and what a read answers: keys, values, entries, outcomes, changes, tokens, durations.
 *
 * Plain data alone; none of it can do anything.
 */

/** One of the four session guarantees of Terry et al., *Session Guarantees for Weakly Consistent Replicated Data* (1994). */
export type Guarantee = 'read-your-writes' | 'monotonic-reads' | 'monotonic-writes' | 'writes-follow-reads';

/** A set of guarantees: a list of names, all four, or none. */
export type Guarantees = readonly Guarantee[] | 'all' | 'none';

/** What `JSON.stringify` keeps. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** What a key may hold: JSON, or bytes. Bytes inside of JSON are not kept as bytes. */
export type Value = Json | Uint8Array;

/**
 * Maps keys and key patterns to the types of their values.
 *
 * @example
 * ```ts
 * type Keys = { theme: 'dark' | 'light'; [k: `cart:${string}`]: { items: string[] } };
 * const replica = await openReplica<Keys>();
 * ```
 */
export type KeyMap = Record<string, unknown>;

/**
 * A type whose values nobody may change, all the way down: what is read from a replica that was opened with `values: 'frozen'`.
 * Bytes are as they were, for they cannot be frozen.
 */
export type Frozen<T> = unknown extends T ? T : T extends Plain ? T : T extends readonly (infer P)[] ? (number extends T['length'] ? FrozenList<P> : FrozenParts<T>) : FrozenParts<T>;

/** A list; by a name of its own, so that lists of lists of themselves, as {@link Json} has them, are a type. */
export interface FrozenList<T> extends ReadonlyArray<Frozen<T>> {}

type FrozenParts<T> = { readonly [K in keyof T]: Frozen<T[K]> };

/** What has no parts that could be frozen; strings of a kind of their own are strings. */
type Plain = string | number | boolean | bigint | symbol | null | undefined | Uint8Array | ((...args: never) => unknown);

/** The keys of a {@link KeyMap}. */
export type Key<M> = keyof M & string;

/**
 * What a session has seen and who it is, in one string: `<JWS>~<unsigned dependencies>`, safe in URLs, headers and cookies
 * (`[A-Za-z0-9._~-]`). Opaque; identity comes from the JWS alone, and the rest can only make its bearer wait.
 */
export type Token = string & { readonly __token: unique symbol };

/** A span of time: milliseconds as a number, or a number with its unit, such as `'250ms'`, `'5s'`, `'10m'`, `'1h'`, `'7d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

/** Names one state of one key, its siblings included. Opaque; a later state of a key compares greater as a string. */
export type Version = string;

/** One live entry of the store. A fresh object each time: changing it changes nothing else. */
export interface Entry<K = string, T = unknown> {
  readonly key: K;
  readonly value: T;
  readonly version: Version;
  /** When it expires, in milliseconds of the epoch, or `null`. */
  readonly expiresAt: number | null;
}

/** A write that a session depends on and this replica does not hold. */
export interface Missing {
  readonly space: string;
  /** The replica that accepted the write. */
  readonly replica: string;
  /** The last sequence of that replica which is here. */
  readonly have: number;
  /** The sequence that is needed. */
  readonly need: number;
  /** Connected peers that are known to hold it. */
  readonly holders: readonly string[];
}

/**
 * The whole answer of a read, never a bare "nothing":
 * a value; proved absent; behind, with exactly what is missing; or lost, because no replica will ever hold it.
 * `stale` is true only where the policy is `serve` and the replica is behind.
 */
export type Outcome<K = string, T = unknown> = { readonly stale: boolean } & (
  | { readonly state: 'value'; readonly entry: Entry<K, T>; readonly conflicts: number }
  | { readonly state: 'absent' }
  | { readonly state: 'behind'; readonly missing: readonly Missing[] }
  | { readonly state: 'lost'; readonly missing: readonly Missing[] }
);

/** What a watch yields: the entry that is there now, or the note that the key is gone. */
export type Change<K = string, T = unknown> =
  | Entry<K, T>
  | { readonly key: K; readonly deleted: true; readonly version: Version };

/** A range of keys in the order of their UTF-8 bytes: those with `prefix`, from `start` (included) to `end` (not included). */
export interface KeyRange {
  prefix?: string | undefined;
  start?: string | undefined;
  end?: string | undefined;
  /** At most so many entries, counted from the end where `reverse` is true. */
  limit?: number | undefined;
  reverse?: boolean | undefined;
}

/** What was read and written in one space: replica to sequence. */
export interface Dependencies {
  readonly reads: Readonly<Record<string, number>>;
  readonly writes: Readonly<Record<string, number>>;
}

/** What a token says, without any check of its signature. */
export interface TokenInfo extends Dependencies {
  /** The name of the key that signed it, `null` for an anonymous token. */
  readonly kid: string | null;
  readonly sessionId: string | null;
  readonly user: string | null;
  readonly client: string | null;
  /** The space of the session, which `reads` and `writes` are of; `null` for an anonymous token: the replica's default space. */
  readonly space: string | null;
  readonly guarantees: readonly Guarantee[] | null;
  /** The dependencies in each space. */
  readonly spaces: Readonly<Record<string, Dependencies>>;
  /** Milliseconds of the epoch. */
  readonly issuedAt: number | null;
  /** When the token ends, in milliseconds of the epoch. */
  readonly expiresAt: number | null;
  /** When its session ends, in milliseconds of the epoch: no later token lives longer. */
  readonly endsAt: number | null;
  readonly signed: boolean;
  /** Its length. */
  readonly bytes: number;
}
