// The exported conformance suite: storage that keeps nothing passes it, a disk of the tests' own passes all of it, and each law
// that a storage breaks is told by the case that is named after it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EdgeSessionError, memory } from 'edge-session';
import { storageCases } from 'edge-session/testing';
import { Disk, TestStorage } from './support.mjs';

/** A place in memory: one storage until it is killed, which forgets everything. */
const inMemory = {
  create: () => ({ storage: memory() }),
  open: (place) => place.storage,
  kill: (place) => {
    place.storage = memory();
  },
};

describe('memory()', () => {
  for (const { name, skip, run } of storageCases(inMemory)) test(name, { skip }, run);
});

/** A place is a disk. `Storage` is what runs on it. */
const onDisk = (Storage) => ({
  create: () => new Disk(),
  open: (disk) => new Storage(disk),
  kill: (disk, storage) => {
    storage.dead = true;
    disk.locked = false;
  },
  fail: (_, storage, failing) => {
    storage.fail = failing;
  },
  tear: (disk) => {
    disk.records.pop();
  },
  corrupt: (disk, record) => {
    disk.damaged = record;
  },
  copy: (disk) => Object.assign(new Disk(), { snapshot: disk.snapshot, records: disk.records.slice(), doubtful: true }),
});

/** The tests' storage, as strict as the suite wants it. */
class Strict extends TestStorage {
  dead = false;

  async load() {
    const { damaged } = this.disk;
    if (damaged !== undefined) throw new EdgeSessionError('STORAGE_FAILED', 'a damaged record', { details: { record: damaged } });
    return { ...(await super.load()), doubtful: this.disk.doubtful };
  }

  async append(records) {
    if (this.dead) return new Promise(() => {});
    await super.append(records);
    this.disk.doubtful = false;
  }

  async compact(snapshot) {
    if (this.dead) return new Promise(() => {});
    if (this.fail) throw new Error('the disk is full');
    await super.compact(snapshot);
    this.disk.doubtful = false;
  }
}

describe('a disk of the tests', () => {
  for (const { name, skip, run } of storageCases(onDisk(Strict))) test(name, { skip }, run);
});

const mutants = {
  'records come back whole, in the order in which they were appended': class extends Strict {
    async append(records) {
      await super.append(records.slice().reverse());
    }
  },
  'what append has resolved for survives a crash': class extends Strict {
    async append(records) {
      void Promise.resolve().then(() => new Promise(setImmediate)).then(() => super.append(records));
    }
  },
  'a crash within an append leaves a prefix, and all that was resolved': class extends Strict {
    async append(records) {
      for (const record of records.slice().reverse()) {
        await new Promise(setImmediate);
        await super.append([record]);
      }
    }
  },
  'bytes are taken as they are when append is called': class extends Strict {
    async append(records) {
      this.disk.records.push(...records);
    }
  },
  'a snapshot replaces all records before it, and the snapshot before': class extends Strict {
    async compact(snapshot) {
      const { records } = this.disk;
      await super.compact(snapshot);
      this.disk.records = records;
    }
  },
  'a crash within a compaction leaves the old state or the new one': class extends Strict {
    async compact(snapshot) {
      this.disk.records = [];
      await new Promise((resolve) => setTimeout(resolve, 2));
      await super.compact(snapshot);
    }
  },
  'while one holds the lock nobody else gets it': class extends Strict {
    async lock() {
      return () => {};
    }
  },
  'of two who want the lock at once one gets it': class extends Strict {
    async lock() {
      const { locked } = this.disk;
      await new Promise(setImmediate);
      if (locked) return null;
      this.disk.locked = true;
      return () => {
        this.disk.locked = false;
      };
    }
  },
  'an append that was refused has stored nothing': class extends Strict {
    async append(records) {
      if (this.fail) this.disk.records.push(records[0].slice());
      await super.append(records);
    }
  },
  'a compaction that was refused has changed nothing': class extends Strict {
    async compact(snapshot) {
      if (this.fail) this.disk.records = [];
      await super.compact(snapshot);
    }
  },
  'a damaged record in the middle is named, and nothing is skipped': class extends Strict {
    async load() {
      const { damaged } = this.disk;
      return { snapshot: null, records: this.disk.records.filter((_, n) => n !== damaged) };
    }
  },
  'a copy is doubtful until something was stored in it': class extends Strict {
    async load() {
      const stored = await super.load();
      this.disk.doubtful = false;
      return stored;
    }
  },
};

describe('a storage that breaks a law is told so', () => {
  for (const [name, Storage] of Object.entries(mutants)) {
    test(name, async () => {
      const found = storageCases(onDisk(Storage)).find((one) => one.name === name);
      await assert.rejects(found.run());
    });
  }
});

test('what a bench cannot do is skipped, and says why', () => {
  const skipped = storageCases(inMemory).filter(({ skip }) => skip !== false);
  assert.equal(skipped.length, 5);
  for (const { skip } of skipped) assert.match(skip, /the bench has no '(fail|tear|corrupt|copy)'/);
});
