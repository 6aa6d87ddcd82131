// A transport over one MessagePort that behaves like a long road: every message of the sync protocol travels for as
// long as the slider says, in order, and is lost while the road is cut. The bytes are the protocol's own; the road
// looks at nothing but their number.

/** The road's end at one replica. `told` hears of every message sent: `{ bytes, lag, lost }`. */
export class Road {
  #port;
  #told;
  #lag = 0;
  #cut = false;
  #lastArrival = 0;
  #onClose = null;

  constructor(port, told) {
    this.#port = port;
    this.#told = told;
  }

  /** What the road does to messages sent from now on; what already travels keeps its time, unless the road is cut. */
  set({ lag, cut }) {
    this.#lag = lag;
    this.#cut = cut;
  }

  /** The road as a transport of edge-session. */
  transport() {
    return {
      kind: 'road',
      open: ({ signal }, onPeer) => {
        const readable = new ReadableStream({
          start: (controller) => {
            this.#port.onmessage = ({ data }) => controller.enqueue(new Uint8Array(data));
            this.#onClose = () => { try { controller.close(); } catch { /* the reader was first */ } };
          },
          cancel: () => this.close(),
        });
        const writable = new WritableStream({ write: (bytes) => this.#send(bytes), close: () => this.close(), abort: () => this.close() });
        signal?.addEventListener('abort', () => this.close(), { once: true });
        onPeer({ readable, writable });
      },
    };
  }

  close() {
    this.#port.close();
    this.#onClose?.();
    this.#onClose = null;
  }

  // The write resolves at once: a road is not a queue, many messages travel at the same time.
  #send(bytes) {
    const copy = bytes.slice();
    const start = performance.now();
    // In order, as on a socket: nobody arrives before whoever left earlier.
    this.#lastArrival = Math.max(this.#lastArrival, start + this.#lag);
    this.#told({ bytes: copy.byteLength, lag: this.#lastArrival - start, lost: this.#cut });
    if (this.#cut) return;
    const deliver = () => { if (!this.#cut) this.#port.postMessage(copy.buffer, [copy.buffer]); };
    if (this.#lastArrival > start) setTimeout(deliver, this.#lastArrival - start);
    else deliver();
  }
}
