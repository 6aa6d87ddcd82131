// One edge: a trusted replica in a Web Worker with a wasm instance of its own. It serves requests, syncs over the
// roads that the page lays to it, and reports what it shows. It knows no other edge's memory.

import { openReplica } from '/pkg/bundle.js';
import { Road } from './link.js';
import { observe } from './observe.js';
import { serve } from './serve.js';

let db;
let token = null; // the session that the page watches, to say whether this edge could serve it now
const roads = new Map(); // name → { road, link }

const handlers = {
  async open({ id, secret }) {
    db = await openReplica({ id, secret, trust: 'trusted' });
    db.on('error', (error) => postMessage({ type: 'failed', message: `${error.code}: ${error.message}` }));
    db.on('crash', ({ cause }) => postMessage({ type: 'failed', message: `crash: ${cause}` }));
    postMessage({ type: 'ready', replica: db.id });
    observe(db, () => token, (message) => postMessage(message));
  },
  lay({ name, lag, cut }, [port]) {
    const road = new Road(port, (sent) => postMessage({ type: 'sent', road: name, ...sent }));
    road.set({ lag, cut });
    roads.set(name, { road, link: db.connect(road.transport()) });
  },
  weather({ name, lag, cut }) {
    roads.get(name)?.road.set({ lag, cut });
  },
  lift({ name }) {
    roads.get(name)?.link.close();
    roads.get(name)?.road.close();
    roads.delete(name);
  },
  watch(message) {
    token = message.token;
  },
  async ask({ n, request }) {
    try {
      postMessage({ type: 'answer', n, answer: await serve(db, request) });
    } catch (error) {
      postMessage({ type: 'answer', n, error: `${error?.code ?? 'ERROR'}: ${error?.message ?? error}` });
    }
  },
};

// In order: what follows `open` waits for it, requests wait for nobody.
let opened = Promise.resolve();
addEventListener('message', ({ data, ports }) => {
  if (data.type === 'open') opened = handlers.open(data).catch((error) => postMessage({ type: 'failed', message: String(error?.message ?? error) }));
  else opened.then(() => handlers[data.type](data, ports));
});
