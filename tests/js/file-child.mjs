// A process that holds one file storage and does with it what its parent says; its parent may kill it at any moment.
import { open } from 'node:fs/promises';
import { fileStorage } from 'edge-session/node';

const storage = fileStorage(process.argv[2]);
let unlock;

const commands = {
  async lock() {
    const answer = await storage.lock();
    unlock = answer ?? unlock;
    return answer !== null;
  },
  async unlock() {
    unlock();
  },
  async load() {
    const { snapshot, records, doubtful } = await storage.load();
    return { snapshot: snapshot && new Uint8Array(snapshot), records: Array.from(records, (record) => new Uint8Array(record)), doubtful };
  },
  append: (records) => storage.append(records),
  compact: (snapshot) => storage.compact(snapshot),
  close: () => storage.close(),
  fail: (how) => fail(how),
};

/** Makes the real files fail: a write stops half-way, or nothing can be made durable. */
async function fail(how) {
  const file = await open(new URL(import.meta.url));
  const prototype = Object.getPrototypeOf(file);
  await file.close();
  fail.whole ??= { write: prototype.write, datasync: prototype.datasync, sync: prototype.sync };
  Object.assign(prototype, fail.whole);
  const refuse = async () => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  };
  if (how === 'write') {
    prototype.write = async function (bytes, offset, length, position) {
      await fail.whole.write.call(this, bytes, offset, length >> 1, position);
      return refuse();
    };
  }
  if (how === 'sync') Object.assign(prototype, { datasync: refuse, sync: refuse });
}

process.on('message', async ({ id, command, argument }) => {
  try {
    process.send({ id, answer: await commands[command](argument) });
  } catch (error) {
    const { code, message, details } = error;
    process.send({ id, error: { code, message, details } });
  }
});
process.on('disconnect', () => process.exit());
process.send({ ready: true });
