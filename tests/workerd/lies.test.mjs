// Each lie, told over a real WebSocket to an object in the real workerd.
import { test } from 'node:test';
import { tellLies } from '../js/lies.mjs';
import { join, open } from './client.mjs';
import { DEADLINE, Workerd } from './support.mjs';

tellLies(test, 'an object', async (t) => {
  const edge = await Workerd.start(t, './worker.mjs', { EDGE: 'Edge' });
  const ask = (steps, about = {}) => edge.json('/do', { ...about, steps });
  await edge.json('/inspect'); // From now on it counts what goes wrong.
  const honest = await join(t, edge);
  const session = honest.session();
  let written = 0;
  const write = async (key) => {
    await session.set(key, (written += 1));
    await honest.synced({ timeout: DEADLINE });
  };
  await write('kept');
  return {
    honest,
    served: () => write('honest'),
    connect: (token) => open(edge, 'one', token),
    ticket: async (about) => (await ask([], about)).token,
    end: (token) => ask([['end']], { token }),
    async state() {
      const [{ id, vectors, errors }, { answers }] = [await edge.json('/inspect'), await ask([['list']])];
      return { id, vectors, errors, entries: answers[0] };
    },
  };
});
