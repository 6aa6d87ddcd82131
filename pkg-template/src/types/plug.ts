/**
 * The plug points: storage, transport, and the shapes of what platforms bring.
 *
 * Small on purpose: an adapter is one file. The shapes are those of `AbortSignal`, `ReadableStream` and `WritableStream`; the
 * real ones fit, and nobody needs the DOM library to compile this.
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
 * The platform's `AbortSignal`, by the types that the compiler knows, for `fetch` and the like. It is found as what a request has:
 * classes, as `AbortSignal` is one in the types of Cloudflare's workers, are no properties of `globalThis`.
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
 * Records are opaque bytes; they come back whole, in order, or not at all, and a lost tail is fine. `edge-session/testing`
 * has the cases that an adapter must pass.
 *
 * How an adapter fails decides what becomes of the replica. An `EdgeSessionError` with the code `STORAGE_FAILED` from `lock` or
 * `load` says that there is data which cannot be used, or a place that was promised and is not there: the replica does not
 * open. Any other rejection of these two says that there is no storage to be had here (private mode, quota): the replica runs
 * from memory, under a new id. A rejection of `append` or `compact` is tried again later.
 */
export interface StorageAdapter {
  readonly kind: string;
  /** False for what keeps nothing: then the replica journals nothing and calls `append` never. */
  readonly durable?: boolean;
  /** Claims this state for one replica; answers how to let go, or null where someone else has it. The claim dies with its holder. */
  lock(): Promise<(() => void) | null>;
  /** What is there. Called once, under the lock, before anything else. */
  load(): Promise<Stored>;
  /**
   * Resolves when the records are durable, or answers nothing where they are by then already; where it fails, none of them is
   * stored. One call at a time; called in the turn that made the first record.
   */
  append(records: readonly Uint8Array[]): Promise<void> | void;
  /** Atomically replaces the snapshot and every record before it; where it rejects, nothing has changed. Never beside `append`. */
  compact(snapshot: Uint8Array): Promise<void>;
  /** Lets go of handles; the lock is let go of afterwards. May come twice, and without `lock`. */
  close?(): void | Promise<void>;
  /** Told once, after `load`: who holds this state. Only for an adapter whose claim may be lost while it is held. */
  attend?(holder: StorageHolder): void;
  /** What other replicas of this place have left behind, one after the other; nobody can claim one of them meanwhile. */
  remains?(): AsyncIterable<Remains>;
}

/** What an adapter tells the replica that holds its state: a page may be put aside, and somebody else go on in its place. */
export interface StorageHolder {
  /** Somebody else may take this state from now on. Until `kept` or `moved`, the replica takes a new id before it writes. */
  doubtful(): void;
  /** Nobody has taken it. */
  kept(): void;
  /**
   * This state was lost or is somebody else's, and the adapter now holds one that is empty. The replica takes a new id and stores
   * everything anew by `compact`; an append that was under way rejects.
   */
  moved(): void;
  /** Somebody else has this state and there is no other. The replica ends with `STORAGE_FAILED`. */
  lost(cause: unknown): void;
}

/** What a replica of the same place has left behind. */
export interface Remains {
  readonly name: string;
  /** Its snapshot and records, in order; none where somebody has taken them over already. */
  read(): Promise<readonly Uint8Array[]>;
  /** They are durable elsewhere now. */
  taken(): Promise<void>;
}

/** What storage holds. */
export interface Stored {
  /** The last snapshot that `compact` has taken. */
  readonly snapshot: Uint8Array | null;
  /** The records since, in order. An error while they are read is one of `load`. */
  readonly records: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /**
   * This state may be a copy of another one that lives on, or have been set back to an earlier time (a copied directory, a tab's
   * slot that was lost and found), or lack what had been durable (a torn tail that may have been whole once): the data is good, but
   * whoever went on under its id could name two writes alike. The replica keeps the data and takes a new id. Say so at every
   * load until an `append` or `compact` has succeeded.
   */
  readonly doubtful?: boolean;
}

/**
 * A channel to one or many peers.
 *
 * `open` begins it and resolves when it is ready; `onPeer` is called for each peer that appears, then or later. When `signal`
 * aborts, the transport lets go of everything; it may be opened again afterwards. A peer is gone when its `readable` ends.
 */
export interface Transport {
  readonly kind: string;
  open(hello: Hello, onPeer: (peer: Duplex) => void): Promise<void> | void;
}

/** What a transport is opened with. */
export interface Hello {
  /** The id of the replica that opens it. */
  readonly replica: string;
  /** Whether it has a secret, and so can prove where it belongs: then it needs no token at replicas that have the same. */
  readonly keyed?: boolean | undefined;
  readonly signal: AbortSignalLike;
  /**
   * Tells how a transport that connects anew by itself stands, and why. After `'unauthorized'` it may go on by itself, if it can
   * get another token; after `'closed'` it has ended.
   */
  readonly tell?: ((state: Exclude<LinkState, 'connecting'>, error?: EdgeSessionError) => void) | undefined;
}

/** Messages to and from one peer: one chunk is one message. They may get lost, doubled and reordered. */
export interface Duplex {
  readonly readable: ByteReadable;
  readonly writable: ByteWritable;
  /** Bytes that `writable` has taken and that have not left yet, where it is known. A link adds no more to a long queue. */
  backlog?(): number;
  /**
   * Milliseconds between two refreshes of a quiet peer, where each message is a request that the peer answers, or the duplex ends:
   * then nothing is said unasked before the answer. Without it the replica's `heartbeat` counts.
   */
  readonly heartbeat?: number | undefined;
  /**
   * The token with which the other end came (or several, with commas between), where the replica has a secret. What comes is then
   * judged as a client's, who gets the spaces that its session may read, until the token ends. Without it, and without
   * `proof`, whoever is at the other end is believed as a replica of one's own.
   */
  readonly pass?: string | undefined;
  /**
   * Where the replica has a secret: the other end must prove that it has one of the same cluster, and is neither told nor believed
   * anything before. Says which end this one is: it has called, it was called, or it calls with each message and hears the answer.
   */
  readonly proof?: 'caller' | 'callee' | 'requester' | undefined;
  /** Tells the other end why its time is over, before `writable` is aborted. */
  refuse?(error: EdgeSessionError): void;
}

/**
 * How a link stands: not yet open; open; without connection, which is tried again by itself; without the right token; ended.
 */
export type LinkState = 'connecting' | 'open' | 'retrying' | 'unauthorized' | 'closed';

/** What `replica.connect` answers. */
export interface Link extends Disposable {
  /** How it stands; a change is told by the replica's event `link`. */
  readonly state: LinkState;
  /** Why it is not open: what went wrong last, or `null`. */
  readonly error: EdgeSessionError | null;
  /**
   * Resolves when the transport is open (peers may come later); rejects when it cannot be opened, is refused its token, or was
   * closed before. After `reconnect()` and a refusal it is another promise.
   */
  readonly ready: Promise<void>;
  /**
   * Lets go of the transport and opens it anew, at once: with a fresh token after `unauthorized`, or when the network is known to be
   * back. A closed link stays closed.
   */
  reconnect(): void;
  /** Ends the synchronisation through this link. What was received stays. */
  close(): void;
}
