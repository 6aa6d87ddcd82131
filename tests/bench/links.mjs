/**
 * `cargo xtask bench links`: clients of one server over WebSockets on the loopback, beside Yjs with y-websocket; stores in a
 * directory, beside Yjs with y-leveldb. Options: `--quick`, `--entries N`, `--rounds N`, `--json FILE`, names (`L1 F3 …`).
 *
 * Servers are processes of their own, clients share this one. Ours waits for the disk before it says that a write is durable (one
 * `fdatasync` a group); y-leveldb leaves that to the system, so one write by itself (F2) has the disk as its measure. A write of
 * ours is checked against all four guarantees.
 */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { digits, interleave, ratios, table } from './harness.mjs';
import * as ours from './links/edge-session.mjs';
import * as floor from './links/file.mjs';
import { clear, joining, opening, roundTrips, stream, writing } from './links/workloads.mjs';
import * as yjs from './links/yjs.mjs';

const args = process.argv.slice(2);
const option = (name, otherwise) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : otherwise);
const quick = args.includes('--quick');
const ROUNDS = option('--rounds', quick ? 3 : 9);
const ENTRIES = option('--entries', quick ? 10_000 : 100_000);
const file = args.includes('--json') ? args[args.indexOf('--json') + 1] : undefined;
const chosen = args.filter((arg) => /^[LF]\d$/.test(arg));
const wanted = (name) => chosen.length === 0 || chosen.includes(name);

const PEERS = new Set([yjs.name]);
const rows = [];
const results = {};
const tell = (what) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${what}`);

async function measure(name, title, work, count, contenders = [ours, yjs]) {
  if (!wanted(name)) return;
  const { figures, failed } = await interleave(new Map(contenders.map((one) => [one.name, work(one, count)])), ROUNDS, tell);
  results[title] = { figures, failed };
  rows.push([title]);
  for (const [what, by] of Object.entries(figures)) {
    const { ours: own, best, ahead } = ratios(by, PEERS);
    const aim = what.startsWith('F2') ? ['', ''] : ['≥ 1×', ahead >= 1 ? 'met' : 'missed'];
    rows.push([`  ${what}`, '', digits(own), '', best ?? '', digits(by[best]), digits(ahead), ...aim]);
    if (by[floor.name] !== undefined) rows.push([`    the floor: ${floor.name}`, '', digits(by[floor.name]), '', '', '', digits(by[floor.name] / own)]);
  }
  for (const [name, why] of Object.entries(failed)) rows.push([`  ${name} did not run: ${why}`]);
}

await measure('L1', `${ENTRIES / 5} writes from one client to another`, stream, ENTRIES / 5);
await measure('L2', 'two clients answer each other', roundTrips, 500);
await measure('L3', 'a client joins', joining, ENTRIES);
await measure('F1', `${ENTRIES / 10} writes to files`, writing, ENTRIES / 10, [ours, yjs, floor]);
await measure('F3', 'a directory is opened', opening, ENTRIES);
tell('');
await clear();

const machine = { node: process.version, cpu: os.cpus()[0]?.model, cores: os.cpus().length };
console.log(`Node ${machine.node} on ${machine.cores} × ${machine.cpu}, medians of ${ROUNDS} interleaved rounds`);
console.log(table('', rows));
if (file !== undefined) writeFileSync(file, `${JSON.stringify({ machine, rounds: ROUNDS, entries: ENTRIES, results }, null, 2)}\n`);
process.exit(0);
