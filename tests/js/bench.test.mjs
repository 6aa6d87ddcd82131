// The benchmark refuses what is wrong: a contender that loses, swaps or keeps a value that it should not has no figures. And its
// verdicts are those that the goals' words say.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { lines, verdicts } from '../bench/goals.mjs';
import { interleave } from '../bench/harness.mjs';
import { markdown } from '../bench/markdown.mjs';
import { rewrites } from '../bench/workloads/rewrite.mjs';
import { workload } from '../bench/workloads/store.mjs';
import { concurrent, pull } from '../bench/workloads/sync.mjs';

const COUNT = 2_000;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A store of the right behaviour in the fewest words: of two writes of a key, the greater value stays. */
const honest = {
  open: () => new Map(),
  put: (store, key, value) => store.set(key, value),
  done: () => {},
  get: (store, key) => store.get(key),
  save: (store) => encoder.encode(JSON.stringify([...store])),
  load(store, bytes) {
    for (const [key, value] of JSON.parse(decoder.decode(bytes))) if (!(JSON.stringify(store.get(key)) > JSON.stringify(value))) store.set(key, value);
  },
  vector: () => [],
  since: (store) => honest.save(store),
  close: () => {},
};

const WORK = {
  'writes, reads and copies of texts': (contender) => workload(contender, COUNT, 'ascii'),
  'writes, reads and copies of objects': (contender) => workload(contender, COUNT, 'object'),
  'texts written over': (contender) => rewrites(contender, COUNT, 'ascii'),
  'objects written over': (contender) => rewrites(contender, COUNT, 'object'),
  'concurrent writes': (contender) => concurrent(contender, COUNT),
};
const measured = async (work, contender) => interleave(new Map([['it', await work(contender)]]), 1, () => {});

for (const [what, work] of Object.entries(WORK)) {
  test(`${what}: who does them rightly has a figure of each`, async () => {
    const { figures, failed } = await measured(work, honest);
    assert.deepEqual(failed, {});
    assert.ok(Object.keys(figures).length > 0);
    for (const by of Object.values(figures)) assert.ok(Number.isFinite(by.it));
  });
}

test('changes pulled one by one: who does them rightly has a figure', async () => {
  // Every change is greater than what it takes the place of.
  const put = (store, key, value) => store.set(key, value.startsWith('change') ? `~${value}` : value);
  const get = (store, key) => store.get(key)?.replace(/^~/, '');
  const { figures, failed } = await measured((contender) => pull(contender, COUNT), { ...honest, put, get });
  assert.deepEqual(failed, {});
  assert.ok(figures['W4b pull of one change'].it > 0);
});

let writes = 0;
const BROKEN = {
  'loses one write of two thousand': [Object.keys(WORK)[0], { put: (store, key, value) => ((writes += 1) % 1_999 === 0 ? store : store.set(key, value)) }],
  'answers another value': [Object.keys(WORK)[0], { get: (store, key) => (key.endsWith('777') ? 'something else' : store.get(key)) }],
  'keeps the first value of a key': [Object.keys(WORK)[0], { put: (store, key, value) => (store.has(key) ? store : store.set(key, value)) }],
  'loads all but one entry': [Object.keys(WORK)[0], { save: (store) => honest.save([...store].slice(1)) }],
  'replicates all but one entry': [Object.keys(WORK)[0], { since: (store) => honest.save([...store].slice(1)) }],
  'loses a field of an object': [Object.keys(WORK)[1], { put: (store, key, { stock, ...value }) => store.set(key, value) }],
  'keeps what was read before it was written over': [Object.keys(WORK)[2], { put: (store, key, value) => (store.read?.has(key) ? store : store.set(key, value)), get: (store, key) => ((store.read ??= new Set()).add(key), store.get(key)) }],
  'writes over one object for another': [Object.keys(WORK)[3], { put: (store, key, value) => store.set(key, store.has(key) ? { ...value, id: 0 } : value) }],
  'takes no concurrent write': [Object.keys(WORK)[4], { load: () => {} }],
  'agrees on nothing at all': [Object.keys(WORK)[4], { get: () => undefined }],
};
for (const [how, [what, change]] of Object.entries(BROKEN)) {
  test(`${what}: a contender that ${how} has no figures, and its reason is kept`, async () => {
    const { figures, failed } = await measured(WORK[what], { ...honest, ...change });
    assert.deepEqual(figures, {});
    assert.ok(failed.it.length > 0);
  });
}

test('medians are of the rounds that count, of every contender', async () => {
  const [a, b] = [[9, 1, 5, 3], [9, 4, 2, 8]];
  const { figures, all } = await interleave(new Map([['a', () => ({ it: a.shift() })], ['b', () => ({ it: b.shift() })]]), 3, () => {});
  assert.deepEqual(figures, { it: { a: 3, b: 4 } });
  assert.deepEqual(all, { it: { a: [1, 5, 3], b: [4, 2, 8] } });
});

test('a goal is judged beside the fastest of those of whom it speaks', () => {
  const by = { 'edge-session': 100, Map: 20, TinyBase: 110, ywasm: 290, Yjs: 310 };
  assert.deepEqual(verdicts('entries', 'W1 write', by, 1), [
    { goal: '≤ 6× Map', beside: undefined, met: true },
    { goal: '≥ 3× any CRDT', beside: 'ywasm', met: false },
  ]);
  // On a page seven tenths of the ratios are asked for.
  assert.deepEqual(verdicts('entries', 'W1 write', by, 0.7).map(({ met }) => met), [true, true]);
  const rows = lines('W1 write', by, verdicts('entries', 'W1 write', by, 1));
  assert.deepEqual(rows.map((row) => row.at(-1)), ['met', 'missed', ''], 'the fastest of all is named as well');
  assert.ok(rows[2].includes('TinyBase'));
});

test('a goal is not judged where a figure is missing, nor by entries of another size', () => {
  assert.deepEqual(verdicts('entries', 'W6 load', { 'edge-session': 1, Yjs: 20 }, 1).map(({ met }) => met), [undefined, true]);
  assert.deepEqual(verdicts('entries, unicode', 'W4 bytes an entry', { 'edge-session': 112 }, 1), []);
  assert.deepEqual(verdicts('entries, unicode', 'W6 bytes an entry', { 'edge-session': 112 }, 1), []);
  assert.deepEqual(verdicts('entries, ascii', 'W4 bytes an entry', { 'edge-session': 112 }, 1), [{ goal: '≤ 86', beside: undefined, met: false }]);
});

test('a run becomes a page: every figure, every verdict, and who had none', () => {
  const by = { 'edge-session': 100, Map: 20, ywasm: 290 };
  const part = { seconds: 7, load: '1.0', note: 'ywasm: 10 entries', failed: { Loro: 'lost a write' }, figures: { 'W1 write': by }, verdicts: { 'W1 write': verdicts('x', 'W1 write', by, 1) } };
  const machine = { place: 'Deno 2.9', cores: 2, cpu: 'a processor' };
  const run = { date: '2026-01-02T03:04:05.678Z', command: 'cargo xtask bench --deno W1', machine, versions: { 'edge-session': '1.2.3', ywasm: '4.5' }, how: 'one process', rounds: 3, met: 1, missed: 1, seconds: 61 };
  const page = markdown({ ...run, results: { 'some entries': part, others: { ...part, figures: { 'W10 minimal, KB': { 'edge-session': 9 } }, verdicts: { 'W10 minimal, KB': [] } } } });
  for (const said of ['Deno 2.9', '2026-01-02', '`cargo xtask bench --deno W1`', 'edge-session 1.2.3, ywasm 4.5', '1 goals met, 1 missed', 'Loro has no figures: lost a write', 'ywasm: 10 entries']) {
    assert.ok(page.includes(said), said);
  }
  assert.ok(page.includes('| what | unit | edge-session | × Map | beside | its figure | ahead × | goal | is |'));
  assert.ok(page.includes('| W1 write | ns | 100 | 5 |  |  |  | ≤ 6× Map | met |\n|  |  |  |  | ywasm | 290 | 2.9 | ≥ 3× any CRDT | **missed** |'));
  // Columns of which nothing is known are left out.
  assert.ok(page.includes('| what | edge-session |\n| --- | --- |\n| W10 minimal, KB | 9 |'));
});
