// kill -9 at random moments while writes are acknowledged: nothing acknowledged is missing, and no dot names two writes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { join, ticket } from './client.mjs';
import { Workerd, until } from './support.mjs';

const KILLS = 25;
const WRITERS = 3;

test('nothing that was acknowledged is missing after any of many kills, and no dot names two writes', { timeout: 280_000 }, async (t) => {
  const edge = await Workerd.start(t, './worker.mjs', { EDGE: 'Edge' });
  const token = await ticket(edge);
  const { id } = await edge.json('/inspect');
  const client = await join(t, edge, { token });

  // The write that each acknowledged dot names. (A dot that only the replica elsewhere has seen, and that then names another
  // write, leaves the two with different entries under equal vectors; that is looked at in the end.)
  const dots = new Map();
  const note = (writes, write) => {
    const [[origin, n]] = Object.entries(writes);
    assert.equal(dots.get(`${origin}:${n}`), undefined, `${origin}:${n} is ${write} as well`);
    dots.set(`${origin}:${n}`, write);
  };

  const acknowledged = new Map();
  const number = (text) => Number(text?.split(':')[1] ?? -1);
  /** Whether everything acknowledged is there. A write that was under way may have come after it. */
  const hold = (there, promised, when) => {
    for (const [key, value] of promised) {
      assert.ok(number(there.get(key)) >= number(value), `${when}: ${key} is ${there.get(key)}, ${value} was acknowledged`);
    }
  };
  let [running, cut] = [true, 0];
  const write = async (writer) => {
    for (let n = 0; running; n += 1) {
      const [key, value] = [`${writer}:${n % 40}`, `${writer}:${n}`];
      const { writes } = await edge.json('/do', { steps: [['set', key, value]] }).catch(() => ({}));
      if (writes === undefined) {
        // Not acknowledged: it may be there or not.
        cut += 1;
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      acknowledged.set(key, value);
      note(writes, `${key} = ${value}`);
    }
  };
  // The client writes too: what the object has acknowledged to it is in the object.
  const own = client.session();
  let mine = 0;
  const writeHere = async () => {
    for (; running; mine += 1) {
      own.sync.set('client', mine + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const work = [...Array.from({ length: WRITERS }, (_, writer) => write(writer)), writeHere()];

  for (let kill = 0; kill < KILLS; kill += 1) {
    const before = dots.size;
    await until('writes to be acknowledged', () => dots.size > before + 5);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
    await edge.kill();
    const promised = new Map(acknowledged);
    await edge.start();
    const { answers } = await edge.json('/do', { steps: [['list']] });
    hold(new Map(answers[0]), promised, `after kill ${kill + 1}`);
  }
  running = false;
  await Promise.all(work);

  const { answers } = await edge.json('/do', { steps: [['list']] });
  hold(new Map(answers[0]), acknowledged, 'in the end');
  await until('the client and the object to hold the same', async () => {
    const [here, other] = [client.inspect().vectors.default, (await edge.json('/inspect')).vectors.default];
    return JSON.stringify(Object.entries(here).sort()) === JSON.stringify(Object.entries(other).sort());
  });
  const here = client.session().sync.list().map(({ key, value, version }) => [key, value, version]);
  assert.deepEqual((await edge.json('/do', { steps: [['list']] })).answers[0], here, 'equal vectors, equal entries');
  assert.equal(client.session().sync.get('client'), mine);
  assert.equal((await edge.json('/do', { steps: [['get', 'client']] })).answers[0], mine);
  const end = await edge.json('/inspect');
  assert.equal(end.id, id, 'no state was lost, so the id is still its own');
  assert.ok(cut > 0, 'some write was cut off by a kill');
  t.diagnostic(`${KILLS} kills, ${dots.size} writes acknowledged, ${cut} writes cut off, sequence ${end.vectors.default[id]}`);
});
