/**
 * The plug points: storage, transport, and the shapes of what platforms bring.
 *
 * Small on purpose: an adapter is one file. The shapes are those of `AbortSignal`, `ReadableStream` and `WritableStream`; the
 * real ones fit, and nobody needs the DOM library to compile this.
 */

/** The part of `AbortSignal` that is used here. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

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
 * Records are opaque bytes; they come back whole, in order, or not at all, and a lost tail is fine.
 */
export interface StorageAdapter {
  readonly kind: string;
  /** False for what keeps nothing: then the replica journals nothing and calls `append` never. */
  readonly durable?: boolean;
  /** Claims this state for one replica; answers how to let go, or null where someone else has it. */
  lock(): Promise<(() => void) | null>;
  load(): Promise<{ snapshot: Uint8Array | null; records: Iterable<Uint8Array> | AsyncIterable<Uint8Array> }>;
  /**
   * Resolves when the records are durable, or answers nothing where they are by then already. One call at a time; called in
   * the turn that made the first record.
   */
  append(records: readonly Uint8Array[]): Promise<void> | void;
  /** Atomically replaces the snapshot and every record before it. */
  compact(snapshot: Uint8Array): Promise<void>;
  close?(): void | Promise<void>;
}

/**
 * A channel to one or many peers.
 *
 * `open` begins it and resolves when it is ready; `onPeer` is called for each peer that appears, then or later. When `signal`
 * aborts, the transport lets go of everything. A peer is gone when its `readable` ends.
 */
export interface Transport {
  readonly kind: string;
  open(hello: { replica: string; signal: AbortSignalLike }, onPeer: (peer: Duplex) => void): Promise<void> | void;
}

/** Messages to and from one peer: one chunk is one message. They may get lost, doubled and reordered. */
export interface Duplex {
  readonly readable: ByteReadable;
  readonly writable: ByteWritable;
  /** Bytes that `writable` has taken and that have not left yet, where it is known. A link adds no more to a long queue. */
  backlog?(): number;
}

/** How a link stands. */
export type LinkState = 'connecting' | 'open' | 'closed';

/** What `replica.connect` answers. */
export interface Link extends Disposable {
  readonly state: LinkState;
  /** Resolves when the transport is open (peers may come later); rejects when it cannot be opened or was closed before. */
  readonly ready: Promise<void>;
  /** Ends the synchronisation through this link. What was received stays. */
  close(): void;
}
