// A process with a replica in a directory, killed by SIGKILL at moments of chance while it acknowledges writes, sixty times.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newDirectory } from './file-bench.mjs';

const KILLS = 60;
const WRITER = fileURLToPath(new URL('file-writer.mjs', import.meta.url));

/** One life: what the process said before it died. It is killed some milliseconds after its first acknowledgement. */
async function live(directory, life) {
  const child = spawn(process.execPath, [WRITER, directory, String(life)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(JSON.parse(line));
    if (said.length === 2) setTimeout(() => child.kill('SIGKILL'), Math.random() * 150);
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  assert.equal(child.signalCode, 'SIGKILL', 'it died of nothing else');
  return said;
}

test('sixty times killed: nothing acknowledged is missing, no dot is given twice, and the id changes only with a torn tail', { timeout: 240_000 }, async (t) => {
  const directory = await newDirectory();
  t.after(() => rm(directory, { recursive: true }));
  const acknowledged = new Map();
  const dots = new Map();
  const ids = new Map();
  let id;
  let torn = 0;
  for (let life = 0; life <= KILLS; life += 1) {
    const [{ found, doubtful, vector, id: own }, ...writes] = await live(directory, life);
    // A kill in the middle of a large append leaves a torn tail now and then. It may have been durable: who finds it takes a new id.
    if (doubtful) torn += 1;
    assert.equal(own !== id, doubtful || life === 0, `life ${life}: the id was ${id} and is ${own}`);
    id = own;
    const there = new Map(found);
    for (const [key, n] of acknowledged) assert.equal(there.get(key), n, `${key} was acknowledged and is missing in life ${life}`);
    for (const [before, last] of ids) assert.ok(vector[before] >= last, `the vector of life ${life} went back for ${before}`);
    for (const { key, n, sequence } of writes) {
      const dot = `${id} ${sequence}`;
      assert.equal(dots.get(dot), undefined, `the dot ${dot} names ${dots.get(dot)} and ${key}`);
      dots.set(dot, key);
      ids.set(id, sequence);
      acknowledged.set(key, n);
    }
  }
  assert.ok(torn < KILLS / 4, `${torn} torn tails are more than kills in the middle of a write can leave`);
  assert.ok(acknowledged.size > KILLS * 3, `${acknowledged.size} writes are too few to say anything`);
  t.diagnostic(`${acknowledged.size} writes were acknowledged in ${KILLS + 1} lives, ${torn} torn tails`);
});
