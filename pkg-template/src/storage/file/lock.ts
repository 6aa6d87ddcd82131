/**
 * The lock of a directory: a listening socket in it, which the system closes with its process.
 *
 * Node has no file locks that die with their holder, and a file with a process id is wrong once the process has died,
 * its id was reused, or it runs in another container. Whether somebody listens on a socket, the system knows. The lock
 * holds among all processes of one machine that see the directory, including containers that share it, but not between
 * machines that share it over a network. On Windows it is a named pipe, which is exclusive by itself.
 *
 * Invariant: of all names `lock.N` the one with the greatest N decides: whoever listens there holds the lock. A number
 * is never given up. Taking over means linking the next number, which only one process can do, and old names stay until
 * newer ones have existed for long. So a process that looked before others came, and acts after them, sees that it
 * lost.
 */
import { randomBytes, createHash } from 'node:crypto';
import { link, open, readdir, realpath, unlink } from 'node:fs/promises';
import { type Server, connect, createServer } from 'node:net';
import { join } from 'node:path';

// Fits the socket address of every system that has such sockets.
const LONGEST_ADDRESS = 100;
// How many old names are kept: a name may vanish only when no process can still be looking for it.
const KEPT = 8;
const NAME = /^lock\.(\d+)$/;

/** Takes the lock of an existing directory. Returns a function that releases it, or null if another process has it. */
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
      // The socket listens before it gets its name, so it never looks dead.
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

/** The greatest number among the names. */
async function highest(directory: string): Promise<number> {
  const numbers = (await readdir(directory)).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers);
}

/** Removes names that are long obsolete, and those of attempts that a crash has ended. */
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
  await unlink(path).catch(() => {}); // another process has removed it
}

/**
 * A server that keeps no process alive; undefined if its address is taken, which on Windows means that the lock is
 * held.
 */
function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', (error) => (codeOf(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    server.listen(address, () => resolve(server));
  });
}

/** Whether somebody listens there. If that cannot be determined (another user's socket), yes. */
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

/** A path to the directory that is short enough for a socket address: on Linux every open file has one. */
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
