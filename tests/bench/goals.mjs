/**
 * The goals, and whether figures meet them. A figure may have several, of which each has a line of the table.
 *
 * `toMap` is how many times the floor ours may cost, `ahead` how many times ours a peer must cost: the fastest one of those
 * that it names. `most` is a limit of ours alone.
 */
import { CRDT, FLOOR, OURS } from './contenders.mjs';
import { digits } from './harness.mjs';

const toMap = (times) => ({ toMap: times });
const ahead = (times, whom = 'any peer', peers) => ({ ahead: times, whom, peers });
const crdt = (times) => ahead(times, 'any CRDT', CRDT);
const than = (times, peer) => ahead(times, peer, [peer]);
const most = (limit, of) => ({ most: limit, of });

// By what the figure's name is or begins with. Where an entry's bytes are spoken of, entries of 80 bytes are meant.
const GOALS = [
  ['W1 write', toMap(6), crdt(3)],
  ['W2 overwrite', crdt(6)],
  ['W2 snapshot, × the live data', most(1.1)],
  ['W2 bytes of memory an overwrite', most(2)],
  ['W3 read', toMap(1.3), ahead(1)],
  ['W4 encode', crdt(5)],
  ['W4 apply', crdt(10)],
  ['W4 in all, first read included', crdt(3)],
  ['W4 bytes an entry', most(86, 'ascii')],
  ['W4b pull of one change', most(12_000), than(2, 'Loro')],
  ['W4b bytes', most(120)],
  ['W5 merge both ways', ahead(5)],
  ['W6 save', than(2, 'Loro')],
  ['W6 load, first read', undefined],
  ['W6 load', than(1, 'Loro'), than(15, 'Yjs')],
  ['W6 bytes an entry', most(90)],
  ['W7', ahead(3)],
  ['W8 seal', than(2, 'fast-jwt'), than(15, 'jose')],
  ['W8 bytes, 3 dependencies', most(360)],
  ['W9 bytes an entry, wasm', most(160)],
  ['W9 bytes an entry, in all', most(300)],
  ['W10 workerd', most(100)],
  ['W10 minimal', most(135)],
  ['W10 import + first operation, ms', most(15)],
  ['W10 instance, ms', most(0.3)],
  ['W10 memory of an instance, KiB', most(256)],
  ['grown: ', { grown: 2 }],
];

/** The lines of one figure: the first holds ours. `share` is how much of the ratios is asked for (0.7 in a browser). */
export function lines(title, what, by, share) {
  const goals = (GOALS.find(([name]) => what.startsWith(name))?.slice(1) ?? []).filter((goal) => goal !== undefined);
  const own = by[OURS];
  const floor = by[FLOOR] === undefined || own === undefined ? undefined : own / by[FLOOR];
  const cells = [];
  const told = new Set();
  for (const goal of goals) {
    if (goal.of !== undefined && !title.includes(goal.of)) continue;
    const rival = goal.ahead === undefined ? undefined : fastest(by, goal.peers);
    if (rival !== undefined) told.add(rival);
    cells.push([...beside(by, own, rival), ...judge(goal, share, by, own, floor, rival)]);
  }
  // Whoever is the fastest of all is named, whether or not a goal speaks of it.
  const best = fastest(by);
  if (best !== undefined && !told.has(best)) cells.push([...beside(by, own, best), '', '']);
  if (cells.length === 0) cells.push(['', '', '', '', '']);
  const unit = /bytes|ms|KiB|KB|×|grown/.test(what) ? '' : 'ns';
  return cells.map((rest, at) => (at === 0 ? [`  ${what}`, unit, digits(own), digits(floor), ...rest] : ['', '', '', '', ...rest]));
}

const beside = (by, own, rival) => (rival === undefined ? ['', '', ''] : [rival, digits(by[rival]), own === undefined ? '' : digits(by[rival] / own)]);

function fastest(by, peers = Object.keys(by).filter((name) => name !== OURS && name !== FLOOR)) {
  const there = peers.filter((name) => by[name] !== undefined);
  return there.reduce((least, name) => (least === undefined || by[name] < by[least] ? name : least), undefined);
}

function judge(goal, share, by, own, floor, rival) {
  const say = (text, measured, met) => [text, measured === undefined ? '' : met ? 'met' : 'missed'];
  if (goal.toMap !== undefined) return say(`≤ ${digits(goal.toMap / share)}× Map`, floor, floor <= goal.toMap / share);
  if (goal.most !== undefined) return say(`≤ ${digits(goal.most)}`, own, own <= goal.most);
  // Logarithmic, or as much as the memory of the machine slows a `Map` down.
  if (goal.grown !== undefined) return say(`≤ ${goal.grown}, or as Map`, own, own <= Math.max(goal.grown, by[FLOOR] ?? 0));
  const times = rival === undefined || own === undefined ? undefined : by[rival] / own;
  return say(`≥ ${digits(goal.ahead * share)}× ${goal.whom}`, times, times >= goal.ahead * share);
}
