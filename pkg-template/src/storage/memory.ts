/**
 * Storage that stores nothing: the data lives as long as the replica.
 */
import type { StorageAdapter } from '../types/plug.js';

/**
 * The default storage. `status.persisted` is false with it, and a replica that opens again begins empty, under a new
 * id.
 */
export function memory(): StorageAdapter {
  let locked = false;
  return {
    kind: 'memory',
    durable: false,
    async lock() {
      if (locked) return null;
      locked = true;
      return () => {
        locked = false;
      };
    },
    load: async () => ({ snapshot: null, records: [] }),
    append: async () => {},
    compact: async () => {},
  };
}
