/**
 * `cargo xtask bench durable`: where replicas live and keep their data, beside Yjs in the same place: tabs with IndexedDB in
 * headless Chromium (y-indexeddb) and Durable Objects in workerd. Options: `--quick`, `--entries N`, `--rounds N`, `--json FILE`.
 *
 * Ours is measured as it is by default: durable means on disk (`durability: 'strict'`), checksums on. y-indexeddb leaves its
 * transactions to the browser's default, which in Chromium is relaxed; what ours costs with that stands beside it.
 */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { digits, interleave, ratios, table } from './harness.mjs';
import { tabs } from './durable/browser.mjs';
import { objects } from './durable/objects.mjs';

const args = process.argv.slice(2);
const option = (name, otherwise) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : otherwise);
const quick = args.includes('--quick');
const ROUNDS = option('--rounds', quick ? 3 : 9);
const ENTRIES = option('--entries', quick ? 10_000 : 100_000);
const WRITES = Math.min(ENTRIES, 10_000);
const file = args.includes('--json') ? args[args.indexOf('--json') + 1] : undefined;

const PEERS = new Set(['Yjs', 'Yjs in SQLite']);
const OURS = 'edge-session';
const rows = [];
const results = {};
const tell = (what) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${what}`);

function add(title, { figures, failed }) {
  results[title] = { figures, failed };
  rows.push([title]);
  for (const [what, by] of Object.entries(figures)) {
    const { ours, best, ahead } = ratios(by, PEERS);
    rows.push([`  ${what}`, '', digits(ours), '', best ?? '', digits(by[best]), digits(ahead), '≥ 1×', ahead >= 1 ? 'met' : 'missed']);
    for (const [name, figure] of Object.entries(by)) if (name !== OURS && !PEERS.has(name)) rows.push([`    ${name.replace(`${OURS}, `, '')}`, '', digits(figure), '', '', '', digits(by[best] / figure)]);
  }
  for (const [name, why] of Object.entries(failed)) rows.push([`  ${name} did not run: ${why}`]);
}

const inTabs = await tabs(ENTRIES, WRITES);
try {
  for (const name of [OURS, 'Yjs']) await inTabs.fill(name);
  add('tabs, cold', await interleave(new Map([OURS, 'Yjs'].map((name) => [name, inTabs.opening(name)])), ROUNDS, tell));
  add(`tabs, ${WRITES} writes`, await interleave(new Map([OURS, `${OURS}, relaxed`, 'Yjs'].map((name) => [name, inTabs.writing(name)])), ROUNDS, tell));
} finally {
  await inTabs.close();
}
const inObjects = await objects(ENTRIES);
try {
  for (const name of inObjects.names) await inObjects.fill(name);
  add('Durable Objects, cold', await interleave(new Map(inObjects.names.map((name) => [name, inObjects.opening(name)])), ROUNDS, tell));
} finally {
  await inObjects.close();
}
tell('');

const machine = { node: process.version, cpu: os.cpus()[0]?.model, cores: os.cpus().length };
console.log(`Node ${machine.node} on ${machine.cores} × ${machine.cpu}, medians of ${ROUNDS} interleaved rounds`);
console.log(table('', rows));
if (file !== undefined) writeFileSync(file, `${JSON.stringify({ machine, rounds: ROUNDS, entries: ENTRIES, results }, null, 2)}\n`);
