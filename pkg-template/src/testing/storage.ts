/**
 * The conformance suite of storage adapters: everything that a replica relies on, one case each.
 *
 * Invariant: the suite knows an adapter only by its interface. The bench does what only the platform can do (a crash, a
 * torn write, a copy of the files). A case never awaits a promise of a killed adapter, which may never settle.
 */
import { EdgeSessionError, invalid } from '../errors.js';
import { type ConformanceCase, ensure, rejected, rest } from './case.js';
import { Desk, type StorageBench, type Use, alike, bytes, expect, same } from './desk.js';

export type { StorageBench } from './desk.js';

/**
 * The cases that every storage adapter must pass, in the order in which a new adapter should meet them. They are
 * independent of each other; run them one after another.
 *
 * An adapter with `durable: false` must keep nothing: after a restart it is empty.
 *
 * @example
 * ```ts
 * import { test } from 'node:test';
 * for (const { name, skip, run } of storageCases(bench)) test(name, { skip }, run);
 * ```
 */
export function storageCases<State>(bench: StorageBench<State>): ConformanceCase[] {
  if (typeof bench?.open !== 'function') throw invalid('a bench has a method open');
  const needs = (ability: 'fail' | 'tear' | 'corrupt' | 'copy') => (bench[ability] === undefined ? `the bench has no '${ability}'` : false);
  const one = (name: string, run: (desk: Desk<State>) => Promise<void>, skip: string | false = false): ConformanceCase => ({
    name,
    skip,
    async run() {
      const desk = new Desk(bench, await bench.create());
      try {
        await run(desk);
      } finally {
        await desk.clear();
      }
    },
  });
  return [
    one('a new place is empty', empty),
    one('records come back whole, in the order in which they were appended', order),
    one('what append has resolved for survives a crash', crash),
    one('a crash within an append leaves a prefix, and all that was resolved', crashes),
    one('bytes are taken as they are when append is called', views),
    one('records and snapshots of 8 MB come back', large),
    one('five hundred small appends come back, and a thousand records in one', small),
    one('a snapshot replaces all records before it, and the snapshot before', compaction),
    one('a crash within a compaction leaves the old state or the new one', compactionCrashes),
    one('while one holds the lock nobody else gets it', lock),
    one('of two who want the lock at once one gets it', race),
    one('a lock dies with its holder', orphan),
    one('close may come twice, and before anything else', close),
    one('two places know nothing of each other', apart),
    one('an append that was refused has stored nothing', refusal, needs('fail')),
    one('a compaction that was refused has changed nothing', refusedCompaction, needs('fail')),
    one('a torn tail is cut, and the log goes on', torn, needs('tear')),
    one('a damaged record in the middle is named, and nothing is skipped', damage, needs('corrupt')),
    one('a copy is doubtful until something was stored in it', doubt, needs('copy')),
  ];
}

async function empty<S>(desk: Desk<S>): Promise<void> {
  for (const visit of ['first', 'second']) {
    const { snapshot, records, doubtful } = await desk.stored();
    ensure(snapshot === null && records.length === 0, `the ${visit} load of a new place answers a snapshot or records`);
    ensure(!doubtful, `the ${visit} load of a new place is doubtful`);
  }
}

async function order<S>(desk: Desk<S>): Promise<void> {
  const groups = [[bytes(1, 10)], [bytes(2, 0), bytes(3, 1)], [bytes(4, 70_000), bytes(5, 3), bytes(6, 3)]];
  const use = await desk.use();
  for (const group of groups) await use.adapter.append(group);
  await desk.close(use);
  expect(await desk.stored(), use.adapter, null, groups.flat());
  const again = await desk.use();
  await again.adapter.append([bytes(7, 5)]);
  await desk.close(again);
  expect(await desk.stored(), use.adapter, null, [...groups.flat(), bytes(7, 5)]);
}

async function crash<S>(desk: Desk<S>): Promise<void> {
  const kept: Uint8Array[] = [];
  for (let life = 0; life < 5; life += 1) {
    const use = await desk.use();
    expect(use, use.adapter, null, kept);
    for (let n = 0; n < 4; n += 1) {
      const record = bytes(life * 10 + n, 100 * n + 1);
      await use.adapter.append([record]);
      kept.push(record);
    }
    await desk.kill(use);
  }
  const last = await desk.stored();
  expect(last, last.adapter, null, kept);
}

async function crashes<S>(desk: Desk<S>): Promise<void> {
  let kept: readonly Uint8Array[] = [];
  for (let life = 0; life < 12; life += 1) {
    const use = await desk.use();
    const asked = Array.from({ length: 6 }, (_, n) => [bytes(life, 5000 * n + life), bytes(n, 20)]);
    let resolved = 0;
    const work = (async () => {
      for (const group of asked) {
        await use.adapter.append(group);
        resolved += group.length;
      }
    })();
    work.catch(() => {}); // it may fail when killed, or stay unsettled
    await moment(life);
    await desk.kill(use);
    const sure = resolved;
    const found = await desk.use();
    await desk.close(found);
    if (found.adapter.durable === false) continue;
    const all = [...kept, ...asked.flat()];
    ensure(found.snapshot === null, 'a snapshot appeared');
    ensure(found.records.length >= kept.length + sure, `${kept.length + sure} records were resolved, ${found.records.length} are there`);
    same(found.records, all.slice(0, found.records.length));
    kept = found.records;
  }
}

async function views<S>(desk: Desk<S>): Promise<void> {
  const buffer = bytes(3, 100);
  const views = [buffer.subarray(10, 20), buffer.subarray(20, 50)];
  const wanted = views.map((view) => view.slice());
  const use = await desk.use();
  await use.adapter.append(views);
  buffer.fill(0);
  await use.adapter.append([buffer.subarray(0, 7)]);
  await desk.close(use);
  expect(await desk.stored(), use.adapter, null, [...wanted, new Uint8Array(7)]);
}

async function large<S>(desk: Desk<S>): Promise<void> {
  const [record, snapshot] = [bytes(1, 8 << 20), bytes(2, (8 << 20) + 1)];
  const use = await desk.use();
  await use.adapter.append([bytes(3, 3), record, bytes(4, 4)]);
  await desk.close(use);
  expect(await desk.stored(), use.adapter, null, [bytes(3, 3), record, bytes(4, 4)]);
  const again = await desk.use();
  await again.adapter.compact(snapshot);
  await again.adapter.append([record]);
  await desk.kill(again);
  expect(await desk.stored(), use.adapter, snapshot, [record]);
}

async function small<S>(desk: Desk<S>): Promise<void> {
  const use = await desk.use();
  const single = Array.from({ length: 500 }, (_, n) => bytes(n, 20 + (n % 50)));
  for (const record of single) await use.adapter.append([record]);
  const group = Array.from({ length: 1000 }, (_, n) => bytes(n + 7, n % 90));
  await use.adapter.append(group);
  await desk.kill(use);
  expect(await desk.stored(), use.adapter, null, [...single, ...group]);
}

async function compaction<S>(desk: Desk<S>): Promise<void> {
  const use = await desk.use();
  await use.adapter.compact(bytes(9, 9));
  await use.adapter.append([bytes(1, 1000), bytes(2, 1000)]);
  await use.adapter.compact(bytes(10, 5000));
  await use.adapter.append([bytes(3, 10)]);
  await desk.kill(use);
  const again = await desk.use();
  expect(again, use.adapter, bytes(10, 5000), [bytes(3, 10)]);
  await again.adapter.append([bytes(4, 10)]);
  await again.adapter.compact(bytes(11, 3));
  await desk.close(again);
  expect(await desk.stored(), use.adapter, bytes(11, 3), []);
}

async function compactionCrashes<S>(desk: Desk<S>): Promise<void> {
  let before: Pick<Use, 'snapshot' | 'records'> = { snapshot: null, records: [] };
  for (let life = 0; life < 12; life += 1) {
    const use = await desk.use();
    expect(use, use.adapter, before.snapshot, before.records);
    const record = bytes(life, 300);
    await use.adapter.append([record]);
    const old = { snapshot: before.snapshot, records: [...before.records, record] };
    const fresh = { snapshot: bytes(life + 100, 200_000 + life), records: [] };
    let resolved = false;
    const work = (async () => {
      await use.adapter.compact(fresh.snapshot);
      resolved = true;
    })();
    work.catch(() => {}); // as above
    await moment(life);
    await desk.kill(use);
    const sure = resolved;
    const found = await desk.stored();
    if (found.adapter.durable === false) continue;
    const isNew = found.snapshot !== null && alike(found.snapshot, fresh.snapshot);
    ensure(isNew || !sure, 'a compaction that had resolved is undone');
    before = isNew ? fresh : old;
    expect(found, use.adapter, before.snapshot, before.records);
  }
}

async function lock<S>(desk: Desk<S>): Promise<void> {
  const use = await desk.use();
  ensure((await use.adapter.lock()) === null, 'the holder was given the lock a second time');
  const other = await desk.adapter();
  if (other !== use.adapter) ensure((await other.lock()) === null, 'a second adapter was given the lock');
  await use.adapter.append([bytes(1, 1)]);
  await desk.close(use);
  const next = await desk.use();
  expect(next, use.adapter, null, [bytes(1, 1)]);
}

async function race<S>(desk: Desk<S>): Promise<void> {
  const rivals = [await desk.adapter(), await desk.adapter()] as const;
  const locks = await Promise.all(rivals.map((rival) => rival.lock()));
  const held = locks.filter((unlock) => unlock !== null);
  for (const rival of rivals) await rival.close?.();
  for (const unlock of held) unlock();
  ensure(held.length === 1, `${held.length} of two have the lock`);
  await desk.stored();
}

async function orphan<S>(desk: Desk<S>): Promise<void> {
  for (let life = 0; life < 3; life += 1) await desk.kill(await desk.use());
  await desk.stored();
}

async function close<S>(desk: Desk<S>): Promise<void> {
  const unused = await desk.adapter();
  await unused.close?.();
  const use = await desk.use();
  await use.adapter.append([bytes(1, 1)]);
  await use.adapter.close?.();
  await desk.close(use);
  expect(await desk.stored(), use.adapter, null, [bytes(1, 1)]);
}

async function apart<S>(desk: Desk<S>): Promise<void> {
  const other = await desk.another();
  const [own, their] = [await desk.use(), await other.use()];
  await own.adapter.append([bytes(1, 10)]);
  await their.adapter.append([bytes(2, 20)]);
  await own.adapter.compact(bytes(3, 30));
  await desk.close(own);
  await other.close(their);
  expect(await desk.stored(), own.adapter, bytes(3, 30), []);
  expect(await other.stored(), own.adapter, null, [bytes(2, 20)]);
}

async function refusal<S>(desk: Desk<S>): Promise<void> {
  const use = await desk.use();
  await use.adapter.append([bytes(1, 100)]);
  const group = [bytes(2, 60_000), bytes(3, 30)];
  await desk.bench.fail?.(desk.state, use.adapter, true);
  for (let attempt = 0; attempt < 3; attempt += 1) await rejected((async () => use.adapter.append(group))(), 'an append to storage that fails');
  await desk.bench.fail?.(desk.state, use.adapter, false);
  await use.adapter.append(group);
  await use.adapter.append([bytes(4, 4)]);
  await desk.kill(use);
  expect(await desk.stored(), use.adapter, null, [bytes(1, 100), ...group, bytes(4, 4)]);
}

async function refusedCompaction<S>(desk: Desk<S>): Promise<void> {
  const use = await desk.use();
  await use.adapter.compact(bytes(1, 1000));
  await use.adapter.append([bytes(2, 100)]);
  await desk.bench.fail?.(desk.state, use.adapter, true);
  await rejected((async () => use.adapter.compact(bytes(3, 50_000)))(), 'a compaction of storage that fails');
  await desk.bench.fail?.(desk.state, use.adapter, false);
  await use.adapter.append([bytes(4, 4)]);
  await desk.kill(use);
  const again = await desk.use();
  expect(again, use.adapter, bytes(1, 1000), [bytes(2, 100), bytes(4, 4)]);
  await again.adapter.compact(bytes(5, 5));
  await desk.close(again);
  expect(await desk.stored(), use.adapter, bytes(5, 5), []);
}

async function torn<S>(desk: Desk<S>): Promise<void> {
  let kept = [bytes(1, 100), bytes(2, 100)];
  for (const cut of [1, 7, 90, 100]) {
    const use = await desk.use();
    if (cut === 1) await use.adapter.append(kept);
    await use.adapter.append([bytes(cut, 100)]);
    await desk.close(use);
    await desk.bench.tear?.(desk.state, cut);
    const found = await desk.use();
    expect(found, use.adapter, null, kept);
    kept = [...kept, bytes(cut + 1, 50)];
    await found.adapter.append(kept.slice(-1));
    await desk.kill(found);
    expect(await desk.stored(), use.adapter, null, kept);
  }
}

async function damage<S>(desk: Desk<S>): Promise<void> {
  const use = await desk.use();
  for (let n = 0; n < 5; n += 1) await use.adapter.append([bytes(n, 100 + n)]);
  await desk.close(use);
  await desk.bench.corrupt?.(desk.state, 2);
  const error = await rejected(desk.use(), 'loading a damaged record');
  ensure(EdgeSessionError.is(error, 'STORAGE_FAILED'), `a damaged record is told by STORAGE_FAILED, not by ${String(error)}`);
  ensure(error.details['record'] === 2, `the error's details name the record 2, not ${String(error.details['record'])}`);
}

async function doubt<S>(desk: Desk<S>): Promise<void> {
  const use = await desk.use();
  await use.adapter.compact(bytes(1, 100));
  await use.adapter.append([bytes(2, 20)]);
  await desk.close(use);
  const copy = await desk.another(await desk.bench.copy?.(desk.state));
  for (let visit = 0; visit < 2; visit += 1) {
    const found = await copy.stored();
    ensure(found.doubtful, 'a copy is not known for one');
    expect(found, use.adapter, bytes(1, 100), [bytes(2, 20)]);
  }
  const taken = await copy.use();
  await taken.adapter.append([bytes(3, 3)]);
  await copy.kill(taken);
  const after = await copy.stored();
  ensure(!after.doubtful, 'a copy that has a life of its own is still doubtful');
  expect(after, use.adapter, bytes(1, 100), [bytes(2, 20), bytes(3, 3)]);
  const original = await desk.stored();
  ensure(!original.doubtful, 'the original became doubtful');
  expect(original, use.adapter, bytes(1, 100), [bytes(2, 20)]);
}

/** The moments of a crash: within the turn of the call, some turns later, some milliseconds later. */
async function moment(life: number): Promise<void> {
  if (life < 4) for (let turn = 0; turn < life; turn += 1) await Promise.resolve();
  else await rest(life - 3);
}
