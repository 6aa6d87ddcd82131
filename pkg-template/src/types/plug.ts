/**
 * The plug points: storage, transport, and the shapes of platform objects.
 *
 * They are small on purpose: an adapter is one file. The shapes are those of `AbortSignal`, `ReadableStream` and
 * `WritableStream`; the real ones fit, and compiling this needs no DOM library.
 */
import type { EdgeSessionError } from '../errors.js';

/** The part of `AbortSignal` that is used here. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * The platform's `AbortSignal`, as the compiler knows it, for `fetch` and the like. Inferred from `Request`, because
 * where `AbortSignal` is declared as a class, as in the types of Cloudflare's workers, it is not a property of
 * `globalThis`.
 */
export type PlatformSignal = typeof globalThis extends { Request: { prototype: { readonly signal: infer S extends AbortSignalLike } } } ? S : AbortSignalLike;

/** The part of `ReadableStream<Uint8Array>` that is used here. */
export interface ByteReadable {
  getReader(): {
    read(): Promise<{ done: false; value: Uint8Array } | { done: true; value?: Uint8Array | undefined }>;
    cancel(reason?: unknown): Promise<void>;
  };
}

/** The part of `WritableStream<Uint8Array>` that is used here. */
export interface ByteWritable {
  getWriter(): {
    readonly ready: Promise<unknown>;
    write(chunk: Uint8Array): Promise<void>;
    abort(reason?: unknown): Promise<void>;
  };
}

/**
 * Where a replica keeps its data: a log of records and one snapshot.
 *
 * Records are opaque bytes. `load` must return them unchanged and in order; a missing tail is allowed.
 * `edge-session/testing` has the cases that an adapter must pass.
 *
 * How an adapter fails decides what becomes of the replica:
 *
 * - An `EdgeSessionError` with the code `STORAGE_FAILED` from `lock` or `load` means that there is data which cannot be
 *   used, or a promised place that does not exist. The replica does not open.
 * - Any other rejection of these two means that no storage is available (private mode, quota). The replica runs from
 *   memory, under a new id.
 * - A rejection of `append` or `compact` is retried later.
 */
export interface StorageAdapter {
  readonly kind: string;
  /** False for storage that keeps nothing. Then the replica writes no journal and never calls `append`. */
  readonly durable?: boolean;
  /**
   * Claims this state for one replica. Resolves with a function that releases it, or null if it is taken. The claim
   * dies with its holder.
   */
  lock(): Promise<(() => void) | null>;
  /** Returns the stored state. Called once, under the lock, before anything else. */
  load(): Promise<Stored>;
  /**
   * Resolves when the records are durable, or returns nothing if they already are. If it fails, none of them is stored.
   * Calls do not overlap. It is called in the turn that made the first record.
   */
  append(records: readonly Uint8Array[]): Promise<void> | void;
  /**
   * Atomically replaces the snapshot and all records before it. If it rejects, nothing has changed. Never overlaps
   * `append`.
   */
  compact(snapshot: Uint8Array): Promise<void>;
  /** Releases handles; the lock is released afterwards. May be called twice, and without `lock`. */
  close?(): void | Promise<void>;
  /**
   * Called once, after `load`, with the holder of this state. Only for an adapter whose claim can be lost while it is
   * held.
   */
  attend?(holder: StorageHolder): void;
  /**
   * What other replicas of this place have left behind, one after the other; each is locked while it is being handled.
   */
  remains?(): AsyncIterable<Remains>;
}

/** How an adapter tells the replica about its claim: a page may be put aside while another one takes its place. */
export interface StorageHolder {
  /**
   * From now on another replica may take this state. Until `kept` or `moved`, this replica takes a new id before it
   * writes.
   */
  doubtful(): void;
  /** No other replica has taken it. */
  kept(): void;
  /**
   * This state was lost or taken, and the adapter now holds an empty one. The replica takes a new id and stores
   * everything anew with `compact`. An append that was under way rejects.
   */
  moved(): void;
  /** Another replica has this state and there is no other place. The replica ends with `STORAGE_FAILED`. */
  lost(cause: unknown): void;
}

/** What a replica of the same place has left behind. */
export interface Remains {
  readonly name: string;
  /** Its snapshot and records, in order; empty if another replica has taken them over already. */
  read(): Promise<readonly Uint8Array[]>;
  /** Tells the adapter that they are durable elsewhere now. */
  taken(): Promise<void>;
}

/** What storage holds. */
export interface Stored {
  /** The last snapshot that `compact` has stored. */
  readonly snapshot: Uint8Array | null;
  /** The records since, in order. An error while they are read counts as an error of `load`. */
  readonly records: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /**
   * Whether this state may be a copy of one that lives on, may have been set back to an earlier time (a copied
   * directory, a tab's slot that was lost and found), or may lack what was durable (a torn tail that may once have been
   * complete). The data is good, but continuing under its id could give two writes the same name. The replica keeps the
   * data and takes a new id. Must be true at every load until an `append` or `compact` has succeeded.
   */
  readonly doubtful?: boolean;
}

/**
 * A channel to one or many peers.
 *
 * `open` starts it and resolves when it is ready; `onPeer` is called for each peer that appears, then or later. When
 * `signal` aborts, the transport releases everything; it may be opened again afterwards. A peer is gone when its
 * `readable` ends.
 */
export interface Transport {
  readonly kind: string;
  open(hello: Hello, onPeer: (peer: Duplex) => void): Promise<void> | void;
}

/** What a transport is opened with. */
export interface Hello {
  /** The id of the replica that opens it. */
  readonly replica: string;
  /**
   * Whether it has a secret. Then it can prove that it belongs to the cluster, and needs no token at replicas with the
   * same secret.
   */
  readonly keyed?: boolean | undefined;
  readonly signal: AbortSignalLike;
  /**
   * Reports the state of a transport that reconnects by itself, and why. After `'unauthorized'` it may continue by
   * itself, if it can get another token; after `'closed'` it has ended.
   */
  readonly tell?: ((state: Exclude<LinkState, 'connecting'>, error?: EdgeSessionError) => void) | undefined;
}

/** Messages to and from one peer: one chunk is one message. Messages may be lost, duplicated and reordered. */
export interface Duplex {
  readonly readable: ByteReadable;
  readonly writable: ByteWritable;
  /**
   * Bytes that `writable` has accepted and that have not been sent yet, if known. A link adds no more to a long queue.
   */
  backlog?(): number;
  /**
   * For a duplex on which each message is a request that the peer answers: the milliseconds between two refreshes of a
   * quiet peer. Nothing is then sent unasked before the answer. Without it the replica's `heartbeat` counts.
   */
  readonly heartbeat?: number | undefined;
  /**
   * The token of the other end (or several, separated by commas), if the replica has a secret. The other end is then
   * treated as a client, and gets the spaces that its session may read, until the token ends. Without it, and without
   * `proof`, the other end is trusted as a replica of one's own.
   */
  readonly pass?: string | undefined;
  /**
   * If the replica has a secret: the other end must prove that it has one of the same cluster; before that it is told
   * nothing and nothing of it is believed. The value says which end this one is: it has called, it was called, or it
   * calls with each message and hears the answer.
   */
  readonly proof?: 'caller' | 'callee' | 'requester' | undefined;
  /** Tells the other end why it is refused, before `writable` is aborted. */
  refuse?(error: EdgeSessionError): void;
}

/**
 * The state of a link: not open yet; open; without a connection, which is retried; without a valid token; ended.
 */
export type LinkState = 'connecting' | 'open' | 'retrying' | 'unauthorized' | 'closed';

/** The result of `replica.connect`. */
export interface Link extends Disposable {
  /** The state; changes are reported by the replica's event `link`. */
  readonly state: LinkState;
  /** The last error, while the link is not open; otherwise `null`. */
  readonly error: EdgeSessionError | null;
  /**
   * Resolves when the transport is open (peers may come later). Rejects when it cannot be opened, its token is refused,
   * or it was closed before. After `reconnect()` and after a refusal it is a new promise.
   */
  readonly ready: Promise<void>;
  /**
   * Closes the transport and opens it anew at once: with a fresh token after `unauthorized`, or when the network is
   * known to be back. A closed link stays closed.
   */
  reconnect(): void;
  /** Ends the synchronisation through this link. What was received stays. */
  close(): void;
}
