// Random histories through the package: sessions that roam with their tokens, read and write in front of the core and
// through it, over replicas that hear of each other seldom. Judged from what was answered alone, without any version or vector.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeSessionError } from 'edge-session';
import { openAll, pull } from './support.mjs';

const SESSIONS = 4;
const SLOTS = 3;
const STEPS = 400;

/** A small generator (mulberry32): a seed decides everything that follows. */
function dice(seed) {
  let state = seed;
  const draw = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { below: (bound) => Math.floor(draw() * bound), chance: (share) => draw() < share };
}

/** Session `s` writes its numbers 1, 2, 3, … to its own keys in turn; a value says what the session had seen of the others. */
const key = (s, slot) => `s${s}.${slot}`;

/** The number that a key must show at the least where the session's number `upto` is known. */
const due = (slot, upto) => {
  const back = (((upto - slot) % SLOTS) + SLOTS) % SLOTS;
  return Math.max(0, upto - back);
};

/** One run; counts, for each promise, how often it was broken, and how often it was looked at. */
async function run(t, seed, guarantees) {
  const rng = dice(seed);
  const replicas = await openAll(t, ['tokyo', 'paris', 'lagos']);
  const broken = { ryw: 0, mr: 0, mw: 0, wfr: 0 };
  let [reads, writes, stale, judged] = [0, 0, 0, 0];
  const people = Array.from({ length: SESSIONS }, (_, s) => {
    const at = rng.below(replicas.length);
    const open = (place, token) => replicas[place].session({ token, guarantees, onStale: 'throw' });
    return { s, at, open, session: open(at), wrote: 0, last: Array(SLOTS).fill(0), seen: new Map(), saw: Array(SESSIONS).fill(0) };
  });

  /** An answer about one key, as its session is promised it. */
  function answered(person, name, value) {
    reads += 1;
    const [author, slot] = name.slice(1).split('.').map(Number);
    const number = value?.n ?? 0;
    if (author === person.s && number < person.last[slot]) broken.ryw += 1;
    if (number < (person.seen.get(name) ?? 0)) broken.mr += 1;
    person.seen.set(name, Math.max(number, person.seen.get(name) ?? 0));
    person.saw[author] = Math.max(person.saw[author], number);
  }

  /** What a replica shows to a stranger: a later write of a session comes with its earlier ones, and with what it had seen. */
  async function judge(replica) {
    judged += 1;
    const shown = new Map();
    for await (const { key: name, value } of replica.session().list()) shown.set(name, value);
    for (let s = 0; s < SESSIONS; s += 1) {
      const own = Array.from({ length: SLOTS }, (_, slot) => shown.get(key(s, slot))?.n ?? 0);
      const most = Math.max(...own);
      if (own.some((n, slot) => n < due(slot, most))) broken.mw += 1;
    }
    for (const { saw } of shown.values()) {
      saw.forEach((upto, s) => {
        for (let slot = 0; slot < SLOTS; slot += 1) {
          if ((shown.get(key(s, slot))?.n ?? 0) < due(slot, upto)) {
            broken.wfr += 1;
            return;
          }
        }
      });
    }
  }

  async function act(person) {
    const { session } = person;
    if (rng.chance(0.45)) {
      const [number, slot] = [person.wrote + 1, (person.wrote + 1) % SLOTS];
      const value = { n: number, saw: person.saw.map((n, s) => (s === person.s ? 0 : n)) };
      if (rng.chance(0.7)) session.sync.set(key(person.s, slot), value);
      else await session.set(key(person.s, slot), value);
      [person.wrote, person.last[slot]] = [number, number];
      writes += 1;
    } else if (rng.chance(0.8)) {
      const name = key(rng.below(SESSIONS), rng.below(SLOTS));
      answered(person, name, rng.chance(0.7) ? session.sync.get(name) : await session.get(name));
    } else {
      const author = rng.below(SESSIONS);
      for await (const { key: name, value } of session.list({ prefix: `s${author}.` })) answered(person, name, value);
    }
  }

  for (let step = 0; step < STEPS; step += 1) {
    const person = people[rng.below(SESSIONS)];
    if (rng.chance(0.15)) {
      const { token } = person.session;
      person.at = rng.below(replicas.length);
      person.session = person.open(person.at, token);
    }
    // Several in a row, within one task as long as nothing is awaited.
    for (let n = rng.below(6); n >= 0; n -= 1) {
      try {
        await act(person);
      } catch (error) {
        if (!(error instanceof EdgeSessionError) || error.code !== 'STALE_REPLICA') throw error;
        stale += 1;
        break;
      }
    }
    if (rng.chance(0.12)) await pull(replicas[rng.below(3)], replicas[rng.below(3)]);
    if (rng.chance(0.2)) await judge(replicas[rng.below(3)]);
  }
  return { broken, reads, writes, stale, judged };
}

const SEEDS = Array.from({ length: 12 }, (_, n) => n + 1);

test('under all guarantees no history breaks a promise', async (t) => {
  let [reads, writes, stale, judged] = [0, 0, 0, 0];
  for (const seed of SEEDS) {
    const done = await run(t, seed, undefined);
    assert.deepEqual(done.broken, { ryw: 0, mr: 0, mw: 0, wfr: 0 }, `seed ${seed}`);
    [reads, writes, stale, judged] = [reads + done.reads, writes + done.writes, stale + done.stale, judged + done.judged];
  }
  t.diagnostic(`${reads} reads, ${writes} writes, ${stale} refused as stale, ${judged} replicas judged`);
  assert.ok(reads > 2_000 && writes > 2_000 && stale > 100 && judged > 300, 'too little happened');
});

// The test of the test: what each promise is there for does happen without it.
for (const [promise, guarantee] of Object.entries({ ryw: 'read-your-writes', mr: 'monotonic-reads', mw: 'monotonic-writes', wfr: 'writes-follow-reads' })) {
  test(`without ${guarantee} it is broken, and seen to be`, async (t) => {
    const others = ['read-your-writes', 'monotonic-reads', 'monotonic-writes', 'writes-follow-reads'].filter((name) => name !== guarantee);
    let broken = 0;
    for (const seed of SEEDS) if (broken === 0) broken += (await run(t, seed, others)).broken[promise];
    assert.ok(broken > 0);
  });
}
