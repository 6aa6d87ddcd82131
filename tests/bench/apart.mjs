/**
 * A process for each contender, with the flags of this one, which takes its turn and is then stopped: no contender meets the heap,
 * the garbage or the inline caches that another has left, nor the threads that clear away after it. Whoever came behind the one with most
 * garbage took up to three times as long while these ran.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

// Windows has no such signals.
const STOPS = process.platform !== 'win32';
const FILE = fileURLToPath(new URL('./contender.mjs', import.meta.url));

/** Those that run or are stopped: who is stopped does not hear that this process ends. */
const children = new Set();
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

export async function apart(name, part, args) {
  const child = fork(FILE, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  const ask = (question) =>
    new Promise((resolve, reject) => {
      if (STOPS) child.kill('SIGCONT');
      const gone = (code, signal) => reject(new Error(`its process ended (${signal ?? code})`));
      child.once('exit', gone);
      child.once('message', ({ figures, error }) => {
        child.off('exit', gone);
        if (STOPS) child.kill('SIGSTOP');
        if (error === undefined) resolve(figures);
        else reject(new Error(error));
      });
      child.send(question, (error) => error && reject(error));
    });
  const close = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  try {
    await ask({ ready: [name, part, args] });
  } catch (error) {
    await close();
    throw error;
  }
  return { run: (warming) => ask({ warming }), close };
}
