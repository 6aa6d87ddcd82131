/** Ours: `webSocket()` on the client's side, `serveReplica` in a process of its own on the other; `fileStorage` for what lies on disk. */
import { openReplica, webSocket } from 'edge-session';
import { fileStorage } from 'edge-session/node';
import { WebSocket } from 'ws';

export const name = 'edge-session';
export const server = new URL('./server.mjs', import.meta.url);

/** A client; it is linked when this resolves. */
export async function join(port) {
  const replica = await openReplica();
  const { sync } = replica.session();
  await replica.connect(webSocket(`ws://127.0.0.1:${port}/sync`, { WebSocket })).ready;
  return {
    put: (key, value) => void sync.set(key, value),
    fill: (keys, values) => keys.forEach((key, at) => sync.set(key, values[at])),
    get: (key) => sync.get(key),
    count: () => sync.list().length,
    /** Calls `seen` with each key that changes from elsewhere, or here. */
    watch: (seen) => replica.on('change', ({ key }) => seen(key)),
    close: () => replica.close(),
  };
}

/** A store in a directory. `put` resolves when the write is on the disk. */
export async function open(directory) {
  const replica = await openReplica({ storage: fileStorage(directory) });
  const session = replica.session();
  return {
    put: (key, value) => session.set(key, value),
    fill: (keys, values) => session.batch((tx) => keys.forEach((key, at) => tx.set(key, values[at]))),
    get: (key) => session.get(key),
    close: () => replica.close(),
  };
}
