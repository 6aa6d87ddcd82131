/**
 * The lock of a directory: a listening socket in it, which the system closes with its process.
 *
 * Node has no lock of files that dies with its holder, and a file that names a process lies once the process is gone, its number
 * was given to another one, or it lives in another container. A socket does not: whether somebody listens the system knows.
 * It holds among all processes of one machine that see the directory, containers that share it included; not between
 * machines that share it over a network. On Windows it is a named pipe, which is exclusive by itself.
 *
 * Invariant: of all that name `lock.N` the one with the greatest N decides: who listens there holds the lock. Nobody gives up a
 * number: to take over is to link the next one, which only one can, and the old names stay until newer ones have long been
 * there. So whoever looked before others came, and acts after they have, sees that it lost.
 */
import { randomBytes, createHash } from 'node:crypto';
import { link, open, readdir, realpath, unlink } from 'node:fs/promises';
import { type Server, connect, createServer } from 'node:net';
import { join } from 'node:path';

// What a socket's address can hold on every system that has them.
const LONGEST_ADDRESS = 100;
// So many old names are kept: one may vanish only when nobody can be looking for it any more.
const KEPT = 8;
const NAME = /^lock\.(\d+)$/;

/** Takes the lock of a directory that exists: how to let go of it, or null where somebody else has it. */
export async function lockDirectory(directory: string): Promise<(() => void) | null> {
  if (process.platform === 'win32') return pipe(directory);
  const short = await shortened(directory);
  try {
    return await take(directory, short.path);
  } finally {
    await short.close();
  }
}

async function take(directory: string, short: string): Promise<(() => void) | null> {
  const name = `lock.${randomBytes(6).toString('hex')}.new`;
  let server: Server | undefined;
  try {
    for (;;) {
      const newest = await highest(directory);
      if (newest > 0 && (await isAlive(join(short, `lock.${newest}`)))) return null;
      server ??= await listen(join(short, name));
      if (server === undefined) return null;
      const own = newest + 1;
      // It listens before it has its name: there is no moment at which it looks dead.
      if (!(await linked(join(directory, name), join(directory, `lock.${own}`)))) continue;
      if ((await highest(directory)) !== own) continue;
      await tidy(directory, own);
      const held = server;
      server = undefined;
      return () => void held.close();
    }
  } finally {
    server?.close();
    await gone(join(directory, name));
  }
}

/** The greatest number that has a name. */
async function highest(directory: string): Promise<number> {
  const numbers = (await readdir(directory)).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers);
}

/** Removes names that are long over, and those of attempts that a crash has ended. */
async function tidy(directory: string, own: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (Number(NAME.exec(name)?.[1] ?? own) < own - KEPT) await gone(join(directory, name));
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function gone(path: string): Promise<void> {
  await unlink(path).catch(() => {}); // somebody else has removed it
}

/** A server that keeps no process alive; undefined where its address is taken, which on Windows says who holds the lock. */
function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', (error) => (codeOf(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    server.listen(address, () => resolve(server));
  });
}

/** Whether somebody listens there. What cannot be asked (another user's) counts as living. */
function isAlive(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    const end = (alive: boolean) => {
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', () => end(true));
    socket.once('error', (error) => end(codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT'));
  });
}

/** A path to the directory that is short enough for an address: on Linux there is one to everything that is open. */
async function shortened(directory: string): Promise<{ path: string; close(): Promise<void> }> {
  if (Buffer.byteLength(join(directory, 'lock.0123456789ab.new')) <= LONGEST_ADDRESS || process.platform !== 'linux') {
    return { path: directory, close: async () => {} };
  }
  const handle = await open(directory, 'r');
  return { path: `/proc/self/fd/${handle.fd}`, close: () => handle.close() };
}

async function pipe(directory: string): Promise<(() => void) | null> {
  const name = createHash('sha256').update((await realpath(directory)).toLowerCase()).digest('hex');
  const server = await listen(`\\\\.\\pipe\\edge-session-${name}`);
  return server === undefined ? null : () => void server.close();
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}
