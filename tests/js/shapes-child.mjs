// Replicas that come and go, and what the engine says of it (`--trace-deopt`); run by `shapes.test.mjs`.
import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { openReplica } from 'edge-session';
import { collect } from './garbage.mjs';

const KEYS = 3_001;
const WARMING = 5;

class Point {
  x = 1;
}
const known = (point) => point.x;

// Hot, and nothing of its shape is left: what the engine says of this one tells that it would say so of others.
function heat() {
  const points = Array.from({ length: 100 }, () => new Point());
  let sum = 0;
  for (let turn = 0; turn < 20_000; turn += 1) for (const point of points) sum += known(point);
  return sum;
}

function use(replica) {
  const { sync } = replica.session();
  for (let at = 0; at < KEYS; at += 1) sync.set(`key ${at}`, `value ${at}`);
  for (let turn = 0; turn < 10; turn += 1) {
    for (let at = 0; at < KEYS; at += 1) assert.equal(sync.get(`key ${(at * 7) % KEYS}`), `value ${(at * 7) % KEYS}`);
  }
  for (let at = 0; at < 10 * KEYS; at += 1) sync.set(`key ${at % 10}`, `value ${at % 10}`);
}

// As a bench does: of what is only written nothing else learns.
function write(replica) {
  const { sync } = replica.session();
  for (let at = 0; at < 10 * KEYS; at += 1) sync.set(`key ${at}`, `value ${at}`);
}

const work = process.argv[2] === 'write' ? write : use;

// Each replica has classes of its own for what crosses: an engine has to have seen some before it looks for none.
for (let turn = 0; turn < 2 * WARMING; turn += 1) {
  if (turn === WARMING) process.stdout.write('WARM\n');
  const replica = await openReplica();
  work(replica);
  await replica.close();
  assert.equal(heat(), 2_000_000);
  // What a task has made lives as long as the task, as a rule.
  for (let each = 0; each < 5; each += 1) {
    await setImmediate();
    collect();
  }
}
