// Copies of several spaces, and of very many: each belongs to its own space, and those that nobody uses are released.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { collect } from './garbage.mjs';
import { open, openAll, pull, SECRET, warm } from './support.mjs';

const untold = process.versions.bun ? 'Bun does not tell how much memory objects take' : false;

test('what was read in one space is not taken for read in another', async (t) => {
  const [paris] = await openAll(t, ['paris'], { secret: SECRET, roleOf: () => 'User' });
  for (const space of ['shop', 'blog']) await paris.admin.createSpace(space);
  const [ann, bob] = [warm(paris, { user: 'ann', space: 'shop' }), warm(paris, { user: 'bob', space: 'blog' })];
  for (let n = 0; n < 20; n += 1) bob.batch((tx) => tx.set('key', 'blog'));
  // Each of them a write of its own: what comes with others is told by nothing but its own reading.
  for (const session of [ann, bob]) {
    for (let n = 0; n < 60; n += 1) {
      session.sync.set(`key ${n}`, 'value');
      session.satisfied();
    }
  }
  const cid = paris.session({ user: 'cid', space: 'blog' });
  for (const space of ['blog', 'shop', 'blog']) {
    await cid.run(`USE ${space}`);
    for (let times = 0; times < 2; times += 1) for (let n = 0; n < 60; n += 1) assert.equal(cid.sync.get(`key ${n}`), 'value');
    assert.equal(cid.inspect().spaces[space].reads[paris.id], paris.inspect().vectors[space][paris.id], space);
  }
});

test('a session in a space is answered what is true, however many other spaces have been read since', async (t) => {
  for (const values of ['fresh', 'frozen']) {
    const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { values });
    const ann = warm(tokyo);
    for (const key of ['a', 'b']) ann.sync.set(key, { n: 0 });
    await pull(paris, tokyo);
    const bob = paris.session();
    let n = 0;
    for (let space = 0; space < 5_001; space += 1) {
      assert.equal(paris.session({ space: `space-${space}` }).sync.get('a'), undefined);
      if (space % 2_500 > 0) continue;
      await setImmediate();
      collect();
      for (const key of ['a', 'b']) assert.deepEqual(bob.sync.get(key), { n });
      n += 1;
      ann.sync.set('a', { n });
      ann.sync.set('b', { n });
      await pull(paris, tokyo);
      // Two who share the copies, one of them after all those spaces.
      for (const reader of [bob, paris.session(), bob]) assert.deepEqual(reader.sync.get('a'), { n });
    }
  }
});

test('spaces that were read once, as one is for each user, leave nothing behind', { skip: untold }, async (t) => {
  for (const values of ['fresh', 'frozen']) {
    const replica = await open(t, { values });
    const taken = () => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    let before = 0;
    for (let space = 0; space < 15_000; space += 1) {
      if (space === 5_000) before = taken();
      const session = replica.session({ space: `space-${space}` });
      assert.equal(session.sync.get('key'), undefined);
      session[Symbol.dispose]();
      // What was looked at stays until its task is over.
      if (space % 100 === 0) await setImmediate();
    }
    await setImmediate();
    const more = taken() - before;
    assert(more < 4_000_000, `10,000 spaces have left ${more} bytes`);
  }
});
