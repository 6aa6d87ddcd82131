/**
 * A process for each contender, with the flags of this one, which takes its turn and then waits: no contender meets the heap,
 * the garbage or the inline caches that another has left.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('./contender.mjs', import.meta.url));

export async function apart(name, part, args) {
  const child = fork(FILE, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ask = (question) =>
    new Promise((resolve, reject) => {
      const gone = (code, signal) => reject(new Error(`its process ended (${signal ?? code})`));
      child.once('exit', gone);
      child.once('message', ({ figures, error }) => {
        child.off('exit', gone);
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
