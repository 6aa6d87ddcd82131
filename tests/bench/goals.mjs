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
  ['W6 bytes an entry', most(90, 'ascii')],
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

/**
 * The verdicts on one figure: each goal, the peer that it is held beside, and whether it is met (undefined where a figure is
 * missing). `share` is how much of the ratios is asked for (0.7 in a browser).
 */
export function verdicts(title, what, by, share) {
  const goals = GOALS.find(([name]) => what.startsWith(name))?.slice(1) ?? [];
  return goals.filter((goal) => goal !== undefined && (goal.of === undefined || title.includes(goal.of))).map((goal) => judge(goal, share, by));
}

/** The lines of one figure: the first holds ours. */
export function lines(what, by, judged) {
  const own = by[OURS];
  const cells = judged.map(({ goal, beside, met }) => [...besides(by, beside), goal, met === undefined ? '' : met ? 'met' : 'missed']);
  // Whoever is the fastest of all is named, whether or not a goal speaks of it.
  const best = fastest(by);
  if (best !== undefined && !judged.some(({ beside }) => beside === best)) cells.push([...besides(by, best), '', '']);
  if (cells.length === 0) cells.push(['', '', '', '', '']);
  const unit = /bytes|ms|KiB|KB|×|grown/.test(what) ? '' : 'ns';
  const floor = digits(ratio(own, by[FLOOR]));
  return cells.map((rest, at) => (at === 0 ? [`  ${what}`, unit, digits(own), floor, ...rest] : ['', '', '', '', ...rest]));
}

const ratio = (a, b) => (a === undefined || b === undefined ? undefined : a / b);
const besides = (by, rival) => (rival === undefined ? ['', '', ''] : [rival, digits(by[rival]), digits(ratio(by[rival], by[OURS]))]);

function fastest(by, peers = Object.keys(by).filter((name) => name !== OURS && name !== FLOOR)) {
  const there = peers.filter((name) => by[name] !== undefined);
  return there.reduce((least, name) => (least === undefined || by[name] < by[least] ? name : least), undefined);
}

function judge(goal, share, by) {
  const own = by[OURS];
  const say = (text, measured, holds, beside) => ({ goal: text, beside, met: measured === undefined ? undefined : holds(measured) });
  if (goal.toMap !== undefined) return say(`≤ ${digits(goal.toMap / share)}× Map`, ratio(own, by[FLOOR]), (times) => times <= goal.toMap / share);
  if (goal.most !== undefined) return say(`≤ ${digits(goal.most)}`, own, (figure) => figure <= goal.most);
  // Logarithmic, or as much as the memory of the machine slows a `Map` down.
  if (goal.grown !== undefined) return say(`≤ ${goal.grown}, or as Map`, own, (times) => times <= Math.max(goal.grown, by[FLOOR] ?? 0));
  const rival = fastest(by, goal.peers);
  return say(`≥ ${digits(goal.ahead * share)}× ${goal.whom}`, ratio(by[rival], own), (times) => times >= goal.ahead * share, rival);
}
