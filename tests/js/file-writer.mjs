// A process that writes to a replica in a directory as fast as it is acknowledged, and says what was, until it is killed.
// First it says what it found, and whether storage doubted that it is the latest. Every line is JSON, written in one piece.
import { writeSync } from 'node:fs';
import { openReplica } from 'edge-session';
import { fileStorage } from 'edge-session/node';

const [directory, life] = process.argv.slice(2);
const say = (line) => writeSync(1, `${JSON.stringify(line)}\n`);

const storage = fileStorage(directory);
const load = storage.load.bind(storage);
let doubtful = false;
storage.load = async () => {
  const stored = await load();
  doubtful = stored.doubtful;
  return stored;
};

const replica = await openReplica({ id: 'fra1', storage });
const session = replica.session();
const found = session.sync.list().map(({ key, value }) => [key, typeof value === 'string' ? value.length : value]);
say({ id: replica.id, doubtful, found, vector: replica.inspect().vectors.default ?? {} });

const heavy = 'x'.repeat(40_000);
for (let n = 1; ; n += 1) {
  const key = `${life}/${n}`;
  // The same large value again and again makes the log long, so that compactions come often, and are killed too.
  await session.batch((tx) => tx.set(key, n).set('heavy', heavy));
  say({ key, n, sequence: replica.inspectToken(session.token).writes[replica.id] });
}
