// An edge in a process of its own, so that its memory is its own: behind a real server, with a key, and a file storage where one is
// named. It tells what it holds, what it was told went wrong, and how much memory it takes.
import { createServer } from 'node:http';
import { openReplica } from 'edge-session';
import { fileStorage, serveReplica } from 'edge-session/node';
import { collect } from './garbage.mjs';

const [directory] = process.argv.slice(2);
const secret = { kid: 'k1', key: new Uint8Array(32).fill(7) };
const replica = await openReplica({ id: 'edge', secret, ...(directory && { storage: fileStorage(directory) }) });
const errors = new Map();
replica.on('error', ({ code }) => errors.set(code, (errors.get(code) ?? 0) + 1));
let crashes = 0;
replica.on('crash', () => (crashes += 1));
const server = createServer().listen(0, '127.0.0.1');
serveReplica(replica, server);

// What is held counts, and not what waits for a collector that comes when it likes: garbage goes before each look. Twice, because the
// memory behind an array is let go of in another thread, which the second time waits for.
function held() {
  collect();
  collect();
  if (!globalThis.Deno) return process.memoryUsage.rss();
  // Its allocator keeps what was let go of, for long: there it is what the engine holds.
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

// The most memory since it was asked for last.
let most = 0;
setInterval(() => (most = Math.max(most, held())), 100).unref();

const commands = {
  ticket: (about) => replica.session(about).sealed(),
  end: (token) => replica.session(token).end(),
  state() {
    const [{ vectors, keys }, session] = [replica.inspect(), replica.session()];
    const entries = session.sync.list().map(({ key, value, version }) => [key, value, version]);
    return { id: replica.id, vectors, keys, entries, errors: Object.fromEntries(errors), crashes };
  },
  async memory() {
    const now = held();
    const answer = { now, most: Math.max(most, now), wasm: replica.inspect().wasmBytes };
    most = 0;
    return answer;
  },
};

process.on('message', async ({ id, command, argument }) => process.send({ id, answer: await commands[command](argument) }));
process.on('disconnect', () => process.exit());
server.once('listening', () => process.send({ port: server.address().port }));
