/** Yjs: `WebsocketProvider` of y-websocket, its server in a process of its own; y-leveldb for what lies on disk. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { WebSocket } from 'ws';
import { WebsocketProvider } from 'y-websocket';
import { LeveldbPersistence } from 'y-leveldb';
import * as Y from 'yjs';

const require = createRequire(import.meta.url);

export const name = 'Yjs';
export const server = pathToFileURL(require.resolve('@y/websocket-server/package.json').replace('package.json', 'src/server.js'));

export async function join(port) {
  const doc = new Y.Doc();
  const map = doc.getMap('store');
  const provider = new WebsocketProvider(`ws://127.0.0.1:${port}`, 'room', doc, { WebSocketPolyfill: WebSocket, disableBc: true });
  await new Promise((connected) => provider.on('status', ({ status }) => status === 'connected' && connected()));
  return {
    put: (key, value) => void map.set(key, value),
    fill: (keys, values) => doc.transact(() => keys.forEach((key, at) => map.set(key, values[at]))),
    get: (key) => map.get(key),
    count: () => map.size,
    watch: (seen) => map.observe(({ keysChanged }) => keysChanged.forEach(seen)),
    close: () => (provider.destroy(), doc.destroy()),
  };
}

/** y-leveldb hands its writes to the system and does not wait for the disk. */
export async function open(directory) {
  const storage = new LeveldbPersistence(directory);
  const doc = await storage.getYDoc('store');
  const map = doc.getMap('store');
  let stored;
  doc.on('update', (update) => (stored = storage.storeUpdate('store', update)));
  return {
    put: (key, value) => (map.set(key, value), stored),
    fill: (keys, values) => (doc.transact(() => keys.forEach((key, at) => map.set(key, values[at]))), stored),
    get: async (key) => map.get(key),
    close: async () => (await storage.destroy(), doc.destroy()),
  };
}
