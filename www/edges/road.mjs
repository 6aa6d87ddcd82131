// A road between two edges: a WebSocket to each, and every message that comes out of one travels for as long as the slider says,
// in order, before it goes into the other. While the road is cut, what is on it is lost. The bytes are the sync protocol's own;
// the road looks at nothing but their number.

import { WebSocket } from 'ws';

const AGAIN_MS = 250;

export class Road {
  #ends;
  #secret;
  #told;
  #sockets = [];
  #lag = 0;
  #cut = false;
  #again = null;
  #closed = false;

  /** `ends` are two `{ id, address() }`; `secret` is theirs, by which they believe the road; `told` hears of every message: `{ from, bytes, lag, lost }`. */
  constructor(ends, secret, told) {
    this.#ends = ends;
    this.#secret = secret;
    this.#told = told;
    this.#open();
  }

  /** What the road does to messages from now on; what already travels keeps its time, unless the road is cut. */
  set({ lag, cut }) {
    this.#lag = lag;
    const healed = this.#cut && !cut;
    this.#cut = cut;
    // As after every such fault, connections are made anew and both ends say where they stand.
    if (healed) this.#break();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#again);
    this.#break();
  }

  #open() {
    this.#again = null;
    const headers = { Authorization: this.#secret };
    const sockets = this.#ends.map(({ address }) => new WebSocket(address(), ['edge-session.v1'], { headers }));
    this.#sockets = sockets;
    sockets.forEach((socket, end) => this.#carry(socket, sockets[1 - end], this.#ends[end].id));
  }

  /** From one socket to the other. One that ends takes the other with it: they are one peer to each edge. */
  #carry(socket, other, from) {
    const travelling = [];
    let last = 0;
    const deliver = () => {
      const message = travelling.shift();
      if (this.#cut) return;
      if (other.readyState === WebSocket.OPEN) other.send(message);
      // What one end says before the other is there waits for it.
      else if (other.readyState === WebSocket.CONNECTING) other.once('open', () => other.send(message));
    };
    socket.on('message', (message) => {
      const now = performance.now();
      last = Math.max(last, now + this.#lag);
      this.#told({ from, bytes: message.length, lag: last - now, lost: this.#cut });
      if (this.#cut) return;
      travelling.push(message);
      setTimeout(deliver, last - now);
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.includes(socket) && this.#break());
  }

  #break() {
    const sockets = this.#sockets;
    this.#sockets = [];
    for (const socket of sockets) socket.terminate();
    if (!this.#closed) this.#later();
  }

  #later() {
    this.#again ??= setTimeout(() => void this.#open(), AGAIN_MS);
  }
}
