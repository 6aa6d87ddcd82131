// A storage of one's own: a log of records and one snapshot. This one keeps both in an object that outlives the replica.
import { type StorageAdapter, openReplica } from 'edge-session';

interface Shelf {
  snapshot: Uint8Array | null;
  records: Uint8Array[];
  taken: boolean;
}

export function shelf(on: Shelf): StorageAdapter {
  return {
    kind: 'shelf',
    async lock() {
      if (on.taken) return null;
      on.taken = true;
      return () => {
        on.taken = false;
      };
    },
    async load() {
      return { snapshot: on.snapshot, records: on.records };
    },
    async append(records) {
      on.records.push(...records);
    },
    async compact(snapshot) {
      on.snapshot = snapshot;
      on.records = [];
    },
  };
}

const kept: Shelf = { snapshot: null, records: [], taken: false };
{
  await using db = await openReplica({ storage: shelf(kept) });
  await db.session().set('theme', 'dark');
}
await using again = await openReplica({ storage: shelf(kept) });
console.log(await again.session().get('theme'), again.status.persisted);
