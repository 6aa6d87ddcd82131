// Composes the page: this tab's replica, the world of edges (in one tab of the browser only), Ann's roaming session,
// the history with its checker, and the views. It wires and decides nothing about consistency.
//
// `window.demo` is for reading, by tests and by the curious at the console; everything is done through the controls:
//   demo.ready      a promise: the page serves requests
//   demo.role       'host' (this tab runs the edges) or 'guest' (another one does)
//   demo.counts()   { requests, anomalies: {guarantee: n}, judged: {guarantee: n} } since the last clearing
//   demo.entries()  the log: { who, place, what, steps, took, anomalies }
//   demo.replicas() place → { replica, vector, values, missing }
//   demo.token      Ann's token
//   demo.idle()     a promise: no request of Ann's is under way

import { channel, openReplica } from '/pkg/bundle.js';
import { Autopilot } from './autopilot.js';
import { Controls } from './controls.js';
import { History } from './history.js';
import { observe } from './observe.js';
import { EDGES, LINKS, PLACES } from './places.js';
import { Roamer } from './roamer.js';
import { SCENARIOS } from './scenarios.js';
import { serve } from './serve.js';
import { CardsView } from './view/cards.js';
import { byId } from './view/dom.js';
import { LogView, missingWords } from './view/log.js';
import { MapView } from './view/map.js';
import { Plot } from './view/plot.js';
import { TokenView } from './view/token.js';
import { VectorsView } from './view/vectors.js';
import { World } from './world.js';

/** One name for both: tabs meet on the channel, and whoever holds the lock runs the edges. */
const MEETING = 'edge-session-demo';
/** How long a tab hopes for the lock before it shows itself as a guest; a reloaded tab gets its own lock back sooner. */
const HOPE_MS = 400;
/** A play is only worth watching under some lag. */
const PLAY_LAG_MS = 800;

const replicas = new Map(PLACES.map(({ id }) => [id, { replica: null, vector: {}, values: {}, missing: [] }]));
const dirty = { vectors: true };
let db;
let world = null;
let places = ['tab'];

const lagPlot = new Plot(byId('lag-plot'), { series: PLACES.map(({ id }) => id), sum: byId('lag-plot-sum'), label: 'Replication lag of the last minute, by the replica that a write reached', empty: 'from one replica to another' });
const waitPlot = new Plot(byId('wait-plot'), { series: PLACES.map(({ id }) => id), sum: byId('wait-plot-sum'), label: 'Time that Ann’s requests took in the last minute, by place', empty: 'each of Ann’s requests' });
const log = new LogView(byId('log'), byId('verdict'));
const token = new TokenView({ text: byId('token-text'), size: byId('token-size'), facts: byId('token-facts') });
const vectors = new VectorsView(byId('vectors'));
const map = new MapView(byId('map'), { cut: (name, cut) => { world.cut(name, cut); showRoads(); }, traffic: byId('traffic') });
const cards = new CardsView(byId('cards'), { play, switched: () => {} });

const history = new History({
  changed(entry) {
    log.show(entry);
    showCounts();
    if (entry?.who === 'Ann') {
      map.ann(entry.place, entry.steps === null);
      // On autopilot a reader of the screen would hear nothing else: then only anomalies are announced.
      if (entry === history.entries.findLast(({ who }) => who === 'Ann')) log.latest(entry, !autopilot.running || entry.anomalies.length > 0);
    }
    if (entry?.who === 'Ann' && entry.steps !== null && !entry.plotted) {
      entry.plotted = true;
      waitPlot.add(entry.place, Date.now(), entry.took);
    }
  },
  arrived: ({ to, at, lag }) => lagPlot.add(to, at, lag),
});

const controls = new Controls({
  lag(ms) {
    if (world) world.lag = ms;
    showRoads();
  },
  home(edge) {
    world?.moveHome(db, edge, (message) => map.sent('tab', message));
    map.home(world ? edge : null);
  },
  request: (what) => ann.request(controls.place, what).catch(fail),
  autopilot: () => (autopilot.running ? autopilot.stop() : autopilot.start(controls.seed)),
  clear() {
    history.clear();
    lagPlot.clear();
    waitPlot.clear();
  },
});

const ask = (place, request) => (place === 'tab' ? serve(db, request) : world.ask(place, request));
const ann = new Roamer({ name: 'Ann', session: 'ann', ask, history, changed: showToken, terms: () => ({ guarantees: cards.chosen(), onStale: controls.policy, timeout: controls.deadline }) });
const bo = new Map(EDGES.map(({ id }) => [id, new Roamer({ name: 'Bo', session: `bo-${id}`, ask, history, terms: () => ({ guarantees: 'all', onStale: 'wait', timeout: controls.deadline }) })]));
const request = (who, place, what) => (who === 'ann' ? ann : bo.get(place)).request(place, what);
const autopilot = new Autopilot({
  request: (who, place, what) => request(who, place, what).catch(fail),
  pace: () => controls.pace,
  changed: () => controls.flying(autopilot.running),
});

// ── the world's reports ──────────────────────────────────────────────────────────────────

function report(place, message) {
  const known = replicas.get(place);
  dirty.vectors = true;
  switch (message.type) {
    case 'seen':
      known.values = message.values;
      history.seen(place, message);
      break;
    case 'vectors':
      Object.assign(known, { replica: message.replica, vector: message.vector, missing: message.missing });
      map.ready(place, message.missing.length > 0 ? `lacks ${missingWords(message.missing)}` : '', message.missing.length > 0);
      break;
    case 'sent':
      map.sent(place, message);
      break;
    case 'failed':
      fail(new Error(`${place}: ${message.message}`));
      break;
  }
}

function showToken() {
  world?.watch(ann.token);
  token.show(ann.token, db.inspectToken(ann.token));
  dirty.vectors = true;
}

function showRoads() {
  for (const { name } of LINKS) map.lag(name, world ? world.lagOf(name) : 0, world?.isCut(name) ?? false);
}

function showCounts() {
  const { requests, anomalies } = history.counts();
  cards.show(anomalies);
  controls.requests(requests);
}

function fail(error) {
  console.error(error);
  controls.notice(`Something failed: ${error.message}`, 'error');
}

// What changes many times a second is drawn a few times a second.
setInterval(() => {
  if (document.hidden || !dirty.vectors) return;
  dirty.vectors = false;
  const { reads, writes } = ann.token ? db.inspectToken(ann.token) : { reads: {}, writes: {} };
  vectors.show(replicas, { reads, writes }, places);
}, 200);
setInterval(() => {
  if (document.hidden) return;
  lagPlot.draw(Date.now());
  waitPlot.draw(Date.now());
}, 500);

// ── plays ────────────────────────────────────────────────────────────────────────────────

async function play(guarantee) {
  autopilot.stop();
  cards.rest(true);
  try {
    if (world.lag < PLAY_LAG_MS) controls.setLag(PLAY_LAG_MS * 2);
    for (const [who, place, what] of SCENARIOS[guarantee].steps) {
      if (who === 'ann') controls.go(place);
      await request(who, place, what);
    }
  } catch (error) {
    fail(error);
  } finally {
    cards.rest(false);
  }
}

// ── start ────────────────────────────────────────────────────────────────────────────────

async function host() {
  const started = new World(report);
  await started.start();
  started.lag = controls.lag;
  world = started;
  places = PLACES.map(({ id }) => id);
  // As a guest Ann may have written here; her new session depends on that too.
  await ann.signIn('paris', ann.token);
  controls.role('host');
  controls.home();
  showRoads();
  cards.rest(false);
}

function guest() {
  controls.role('guest');
  map.home(null);
  cards.rest(true);
}

async function start() {
  db = await openReplica({ id: 'tab', connect: channel(MEETING) });
  db.on('error', fail);
  observe(db, () => ann.token, (message) => report('tab', message));
  await new Promise((served, failed) => {
    const hope = setTimeout(() => { guest(); served(); }, HOPE_MS);
    // Held until the tab is gone: then the next tab in the queue runs the edges.
    navigator.locks.request(MEETING, () => {
      clearTimeout(hope);
      host().then(served, failed);
      return new Promise(() => {});
    }).catch(failed);
  });
}

window.demo = {
  ready: start().catch((error) => { fail(error); throw error; }),
  get role() { return document.body.dataset.role; },
  get token() { return ann.token; },
  counts: () => history.counts(),
  entries: () => history.entries,
  replicas: () => Object.fromEntries(replicas),
  idle: () => ann.idle(),
};
