// Composes the page: this tab's replica, the way to the edges, Ann's roaming session, the history with its checker, and the views.
// It wires and decides nothing about consistency.
//
// `window.demo` is for reading, by tests and by the curious at the console; everything is done through the controls:
//   demo.ready      a promise: the page serves requests
//   demo.role       'online' (there are edges) or 'alone' (there is this tab only)
//   demo.edges()    place → whether its process runs
//   demo.counts()   { requests, anomalies: {guarantee: n}, judged: {guarantee: n} } since the last clearing
//   demo.entries()  the log: { who, place, what, steps, took, anomalies }
//   demo.replicas() place → { replica, vector, values, versions, missing }
//   demo.token      Ann's token
//   demo.idle()     a promise: no request of Ann's is under way

import { channel, flushOnHide, idb, openReplica, shared, webSocket } from '/pkg/bundle.js';
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
import { World, forgetWorld } from './world.js';

/** Tabs meet on a channel of this name; in a world of their own where there is one. */
const MEETING = 'edge-session-demo';
/** How a message between this tab and its edge is drawn: it takes as long as it takes, which is too short to be seen. */
const DRAWN_MS = 180;
/** A play is only worth watching under some lag. */
const PLAY_LAG_MS = 800;

const replicas = new Map(PLACES.map(({ id }) => [id, { replica: null, vector: {}, values: {}, versions: {}, missing: [] }]));
const dirty = { vectors: true };
let db;
let places = ['tab'];
let name = null; // of the world
let home = null; // { edge, link }
const world = new World({ report, sent: (from, message) => map.sent(from, message), changed: (state) => changed(state) });

const lagPlot = new Plot(byId('lag-plot'), { series: PLACES.map(({ id }) => id), sum: byId('lag-plot-sum'), label: 'Replication lag of the last minute, by the replica that a write reached', empty: 'from one replica to another' });
const waitPlot = new Plot(byId('wait-plot'), { series: PLACES.map(({ id }) => id), sum: byId('wait-plot-sum'), label: 'Time that Ann’s requests took in the last minute, by place', empty: 'each of Ann’s requests' });
const log = new LogView(byId('log'), byId('verdict'));
const token = new TokenView({ text: byId('token-text'), size: byId('token-size'), facts: byId('token-facts') });
const vectors = new VectorsView(byId('vectors'));
const map = new MapView(byId('map'), {
  cut(road, isCut) {
    world.cut(road, isCut);
    map.lag(road, 0, isCut);
  },
  kill: (edge) => world.kill(edge),
  revive: (edge) => world.revive(edge),
  traffic: byId('traffic'),
});
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
  lag: (ms) => world.lag(ms),
  home: (edge) => world.home(edge),
  request: (what) => ann.request(controls.place, what).catch(fail),
  autopilot: () => (autopilot.running ? autopilot.stop() : autopilot.start(controls.seed)),
  clear() {
    history.clear();
    lagPlot.clear();
    waitPlot.clear();
  },
  anew() {
    forgetWorld();
    location.reload();
  },
});

const ask = (place, request) => (place === 'tab' ? serve(db, request) : world.ask(place, request));
// No two writes of two pages are alike.
const load = Math.random().toString(36).slice(2, 6);
const ann = new Roamer({ name: 'Ann', user: 'ann', session: `ann.${load}`, ask, history, changed: showToken, over, terms: () => ({ guarantees: cards.chosen(), onStale: controls.policy, timeout: controls.deadline }) });
const bo = new Map(EDGES.map(({ id }) => [id, new Roamer({ name: 'Bo', user: `bo-${id}`, session: `bo-${id}.${load}`, ask, history, terms: () => ({ guarantees: 'all', onStale: 'wait', timeout: controls.deadline }) })]));
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
      known.versions = message.versions;
      history.seen(place, message);
      break;
    case 'vectors':
      Object.assign(known, { replica: message.replica, vector: message.vector, missing: message.missing });
      map.ready(place, message.missing.length > 0 ? `lacks ${missingWords(message.missing)}` : '', message.missing.length > 0);
      break;
    case 'failed':
      fail(new Error(`${place}: ${message.message}`));
      break;
  }
}

function showToken() {
  world.watch(ann.token);
  sessionStorage.setItem(`${MEETING}/${name}`, ann.token);
  token.show(ann.token, db.inspectToken(ann.token));
  dirty.vectors = true;
}

/** What all pages share is another now. */
function changed(state) {
  for (const { name: road } of LINKS) map.lag(road, lagOf(road), state.cut.includes(road));
  for (const [edge, { up }] of Object.entries(state.edges)) map.up(edge, up);
  controls.show(state);
  if (db !== undefined) hang(state.home);
}

const lagOf = (road) => world.state.lag * LINKS.find((link) => link.name === road).share;

/** Hangs the tabs off one edge; off one only, or they would be a road around the lag between edges. One of them holds the socket. */
function hang(edge) {
  if (home?.edge === edge) return;
  home?.link.close();
  const socket = webSocket(() => world.address(edge), { token: () => world.pass(), maxDelay: '2s' });
  home = { edge, link: db.connect(shared(`${MEETING}-${name}`, tapped(socket, edge))) };
  map.home(edge);
}

/** The same transport; every message that it carries is drawn. */
function tapped(transport, edge) {
  const drawn = (from, bytes) => map.sent(from, { road: 'home', bytes, lag: DRAWN_MS, lost: false });
  const tap = (peer) => ({
    ...peer,
    readable: {
      getReader() {
        const reader = peer.readable.getReader();
        const read = async () => {
          const message = await reader.read();
          if (!message.done) drawn(edge, message.value.byteLength);
          return message;
        };
        return { read, cancel: (reason) => reader.cancel(reason) };
      },
    },
    writable: {
      getWriter() {
        const writer = peer.writable.getWriter();
        const write = (bytes) => {
          drawn('tab', bytes.byteLength);
          return writer.write(bytes);
        };
        return { get ready() { return writer.ready; }, write, abort: (reason) => writer.abort(reason) };
      },
    },
  });
  return { kind: transport.kind, open: (hello, onPeer) => transport.open(hello, (peer) => onPeer(tap(peer))) };
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
    if (world.state.lag < PLAY_LAG_MS) controls.setLag(PLAY_LAG_MS * 2);
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

/** Ann's session goes on where this tab was reloaded; where some edge runs, it has a signature. */
async function signIn(past = sessionStorage.getItem(`${MEETING}/${name}`)) {
  const edge = EDGES.map(({ id }) => id).find((id) => world.state.edges[id].up);
  if (edge === undefined) ann.resume(past);
  else await ann.signIn(edge, past !== null && db.inspectToken(past).signed ? { token: past } : { merge: past });
}

/** An operator has killed Ann's session, or its time is over: she signs in anew, and knows nothing of what she had seen. */
function over() {
  sessionStorage.removeItem(`${MEETING}/${name}`);
  return signIn(null);
}

async function start() {
  name = await world.start();
  db = await openReplica({ id: 'tab', storage: idb(name === null ? MEETING : `${MEETING}-${name}`), ...(name === null && { connect: channel(MEETING) }) });
  flushOnHide(db);
  db.on('error', fail);
  observe(db, () => ann.token, (message) => report('tab', message));
  if (name === null) {
    controls.role('alone');
    cards.rest(true);
    return map.home(null);
  }
  changed(world.state);
  await signIn();
  places = PLACES.map(({ id }) => id);
  controls.role('online');
  cards.rest(false);
}

window.demo = {
  ready: start().catch((error) => { fail(error); throw error; }),
  get role() { return document.body.dataset.role; },
  get token() { return ann.token; },
  edges: () => Object.fromEntries(Object.entries(world.state?.edges ?? {}).map(([id, { up }]) => [id, up])),
  counts: () => history.counts(),
  entries: () => history.entries,
  replicas: () => Object.fromEntries(replicas),
  idle: () => ann.idle(),
};
