/**
 * What a page does for the benchmark: fills a database, opens it cold, writes durably. Bundled for the browser, both contenders in
 * one page, so that neither loads more than the other.
 *
 * Each contender: `fill(name, entries)`, `open(name, key)` answers the value of `key` once the database is open, and
 * `sustain(name, groups)` writes groups of entries, one group a turn of the event loop, until all of them are on disk.
 */
import { openReplica } from 'edge-session';
import { idb } from 'edge-session/browser';
import { IndexeddbPersistence } from 'y-indexeddb';
import * as Y from 'yjs';

// Writes that may wait for the disk at a time.
const WAITING = 700;
const turn = () => new Promise((resolve) => setTimeout(resolve));
const kept = [];

const ours = (durability) => {
  const replica = (name) => openReplica({ storage: idb(name, { durability }) });
  return {
    async fill(name, entries) {
      const db = await replica(name);
      const me = db.session({ timeout: '10m' });
      for (let at = 0; at < entries.length; at += 1_000) await Promise.all(entries.slice(at, at + 1_000).map(([key, value]) => me.set(key, value)));
      await db.close();
    },
    async open(name, key) {
      const db = await replica(name);
      kept.push(db);
      return db.session().get(key);
    },
    async sustain(name, groups) {
      const db = await replica(name);
      const me = db.session({ timeout: '10m' });
      const began = performance.now();
      const acknowledged = [];
      for (const group of groups) {
        for (const [key, value] of group) acknowledged.push(me.set(key, value));
        // Storage falls behind where the disk is busy; a replica refuses to let more than 1,024 callers wait.
        await acknowledged[acknowledged.length - WAITING];
        await turn();
      }
      await Promise.all(acknowledged);
      const took = performance.now() - began;
      await db.close();
      return took;
    },
  };
};

const yjs = () => {
  const open = async (name) => {
    const doc = new Y.Doc();
    const persistence = new IndexeddbPersistence(name, doc);
    await persistence.whenSynced;
    return { doc, map: doc.getMap('store'), persistence };
  };
  // It tells nobody when an update is on disk. Transactions of one store are in order, so an empty one that writes comes last.
  const stored = ({ persistence }) => new Promise((resolve, reject) => {
    const last = persistence.db.transaction(['updates'], 'readwrite');
    last.oncomplete = resolve;
    last.onerror = reject;
    last.objectStore('updates').count();
  });
  return {
    async fill(name, entries) {
      const store = await open(name);
      for (let at = 0; at < entries.length; at += 1_000) {
        store.doc.transact(() => entries.slice(at, at + 1_000).forEach(([key, value]) => store.map.set(key, value)));
        await turn();
      }
      await stored(store);
      await store.persistence.destroy();
    },
    async open(name, key) {
      const store = await open(name);
      kept.push(store);
      return store.map.get(key);
    },
    async sustain(name, groups) {
      const store = await open(name);
      const began = performance.now();
      for (const group of groups) {
        for (const [key, value] of group) store.map.set(key, value);
        await turn();
      }
      await stored(store);
      const took = performance.now() - began;
      await store.persistence.destroy();
      return took;
    },
  };
};

window.contenders = { 'edge-session': ours('strict'), 'edge-session, relaxed': ours('relaxed'), Yjs: yjs() };
