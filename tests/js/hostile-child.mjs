// An edge in a process of its own, so that its memory is its own: behind a real server, with a key, and a file storage where one is
// named. It tells what it holds, what it was told went wrong, and how much memory it takes.
import { createServer } from 'node:http';
import { openReplica } from 'edge-session';
import { fileStorage, serveReplica } from 'edge-session/node';

const [directory] = process.argv.slice(2);
const secret = { kid: 'k1', key: new Uint8Array(32).fill(7) };
const replica = await openReplica({ id: 'edge', secret, ...(directory && { storage: fileStorage(directory) }) });
const errors = new Map();
replica.on('error', ({ code }) => errors.set(code, (errors.get(code) ?? 0) + 1));
let crashes = 0;
replica.on('crash', () => (crashes += 1));
const server = createServer().listen(0, '127.0.0.1');
serveReplica(replica, server);

// The most memory since it was asked for last.
let most = 0;
setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 100).unref();

const commands = {
  ticket: (user) => replica.session({ user }).sealed(),
  state: () => ({ vectors: replica.inspect().vectors, keys: replica.inspect().keys, errors: Object.fromEntries(errors), crashes, wasm: replica.inspect().wasmBytes }),
  async memory() {
    globalThis.gc?.();
    const answer = { now: process.memoryUsage.rss(), most: Math.max(most, process.memoryUsage.rss()) };
    most = 0;
    return answer;
  },
};

process.on('message', async ({ id, command, argument }) => process.send({ id, answer: await commands[command](argument) }));
process.on('disconnect', () => process.exit());
server.once('listening', () => process.send({ port: server.address().port }));
