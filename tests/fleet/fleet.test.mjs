// A real fleet: two edges in workerd and one in Node, their state on disk; three tabs of two users in Chromium, theirs in IndexedDB.
// Edges are killed and come back, tabs go offline and come back, and there is traffic all the while. In the end all replicas hold the
// same, nothing that was acknowledged is missing, and every session's history is clean by the checker of the simulation.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { until, within } from '../workerd/support.mjs';
import { Client, History } from './clients.mjs';
import { Network, NodeEdge, Tab, WorkerEdge, freePorts, openBrowser, servePage } from './places.mjs';

const SEED = Number(process.env.FLEET_SEED ?? Math.floor(Math.random() * 1e6));

/** What the checker of the simulation says of a history. One that is not clean stays in its file. */
async function check(lines) {
  const file = join(await mkdtemp(join(tmpdir(), 'edge-session-history-')), 'history.jsonl');
  await writeFile(file, `${lines.join('\n')}\n`);
  const { status, stdout, stderr, error } = spawnSync(process.env.SIM, ['--check', file], { encoding: 'utf8' });
  if (error !== undefined) throw error;
  const forget = () => rm(dirname(file), { recursive: true, force: true });
  if (status === 0) await forget();
  return { clean: status === 0, says: `${stdout}${stderr}`.trim(), forget };
}

test('a fleet whose edges die and whose tabs come and go', { timeout: 280_000 }, async (t) => {
  t.diagnostic(`seed ${SEED}`);
  const [a, b, n] = await freePorts(3);
  const [paris, tokyo] = await Promise.all([WorkerEdge.start(t, 'paris', a, b), WorkerEdge.start(t, 'tokyo', b, a)]);
  // The Node edge comes to the others over a network that can be cut, to one of them by WebSocket and to the other by requests.
  const road = await Network.to(t, [a, b]);
  const node = await NodeEdge.start(t, 'node', n, [road.urls[0], road.urls[1].replace('ws', 'http')]);
  const edges = [paris, tokyo, node];

  const history = new History();
  const up = new Set(edges);
  const running = (places = edges) => places.filter((place) => !edges.includes(place) || up.has(place));
  /** Where clients are held, if they are. */
  const held = new Map();
  let seed = SEED;
  const client = (name, user, tab) => {
    const at = () => running(held.get(one) ?? (tab === undefined ? edges : [tab, tab, tab, ...edges]));
    const one = Object.assign(new Client(name, user, history, at, (seed += 1)), { tab });
    return one;
  };

  // Who has logged in at an edge goes on elsewhere with that token; tabs come to the edges with it.
  const logins = { ann: client('ann at login', 'ann'), bob: client('bob at login', 'bob') };
  for (const login of Object.values(logins)) assert.ok(await login.write(paris, [`${login.user}:0`]));
  const [browser, page] = [await openBrowser(t), await servePage(t)];
  const users = {
    ann: { context: await browser.newContext(), network: await Network.to(t, [a, b]) },
    bob: { context: await browser.newContext(), network: await Network.to(t, [n, a]) },
  };
  const tabOf = (name, user) => Tab.open(name, users[user].context, page, { urls: users[user].network.urls, token: logins[user].token, name: 'fleet' });
  const tabs = [await tabOf('first tab', 'ann'), await tabOf('second tab', 'ann'), await tabOf('third tab', 'bob')];
  const [first, second, third] = tabs;
  assert.equal(new Set(tabs.map((tab) => tab.id)).size, 3);

  // Residents are mostly in their tab and roam with the same session; wanderers have no tab.
  const [one, two, three] = [client(first.name, 'ann', first), client(second.name, 'ann', second), client(third.name, 'bob', third)];
  const wanderers = [client('ann roams', 'ann'), client('bob roams', 'bob')];
  const clients = [one, two, three, ...wanderers];
  for (const each of clients) {
    each.token = logins[each.user].token;
    history.add({ kind: 'merge', client: each.name, name: history.token(logins[each.user].name) });
  }

  let [over, fault] = [false, undefined];
  const living = new Map();
  const live = (each) => {
    const others = clients.filter((other) => other.user === each.user && other !== each);
    each.paused = false;
    living.set(each, each.live(() => over || each.paused, others).catch((error) => (fault ??= error)));
  };
  const rest = async (each) => {
    each.paused = true;
    await within(living.get(each), `${each.name} to come to rest`);
  };
  clients.forEach(live);
  /** Waits until it is so; a client that fails ends that. */
  const wait = (what, ask) => until(what, () => {
    if (fault !== undefined) throw fault;
    return ask();
  });
  /** Waits until so many requests more have been answered to each of `who`. */
  const answered = async (count, who = clients) => {
    const goals = who.map((each) => each.answered + count);
    await wait(`${count} answers to each of ${who.map(({ name }) => name)}`, () => who.every((each, at) => each.answered >= goals[at]));
  };
  // A connection may break; where a place is gone for good, something is waited for in vain.
  const stateOf = (place) => place.state().catch((error) => void t.diagnostic(`${place.name} says nothing: ${error} ${error.cause ?? ''}`));
  /**
   * Whether every client waits for what no edge holds that runs, and something of `edge` is known that none of them holds: to a client, or
   * to a tab, whose own writes are held back until then, as an edge believes no tab what others wrote.
   */
  const waitFor = async (edge) => {
    const missing = clients.map((each) => each.missing);
    if (missing.some(({ length }) => length === 0)) return false;
    const [there, here] = await Promise.all([running(), tabs].map((places) => Promise.all(places.map(stateOf))));
    if ([...there, ...here].includes(undefined)) return false;
    const nowhere = ({ replica, need }) => there.every(({ vector }) => (vector[replica] ?? 0) < need);
    const known = here.flatMap(({ vector }) => Object.entries(vector).map(([replica, need]) => ({ replica, need })));
    return missing.every((list) => list.some(nowhere)) && [...missing.flat(), ...known].some((each) => each.replica.startsWith(`${edge.name}~`) && nowhere(each));
  };
  /**
   * An edge is gone while so many requests are answered elsewhere. Who depends on what only it has heard of waits for it; where all do,
   * because it was killed before its last writes had come to another edge, nobody goes on before it is back.
   */
  const killed = async (edge, count) => {
    const sum = () => clients.reduce((all, each) => all + each.answered, 0);
    up.delete(edge);
    await edge.kill();
    const goal = sum() + count;
    await wait('others to go on', async () => sum() >= goal || (await waitFor(edge)));
    if (sum() < goal) t.diagnostic(`all wait for what only ${edge.name} holds`);
    await edge.start();
    up.add(edge);
  };
  /** A user's network is gone. The clients in the tabs stay there, and the tabs hold what they depend on. */
  const cut = async ({ context, network }, own) => {
    own.forEach((each) => held.set(each, [each.tab]));
    await answered(3, own);
    network.cut();
    await context.setOffline(true);
    // Tabs that are cut off together have each other.
    await wait('the tabs to be on their own', async () => (await own[0].tab.standing()).peers === own.length - 1);
  };
  const restored = async ({ context, network }, own) => {
    await network.restore();
    await context.setOffline(false);
    own.forEach((each) => held.delete(each));
  };

  const phase = async (name, run) => {
    const began = Date.now();
    await run();
    t.diagnostic(`${name}: ${Date.now() - began} ms, ${clients.map(({ answered }) => answered)} answers`);
  };
  t.after(() => {
    over = true;
    for (const { name, answered, wrote, failed } of clients) t.diagnostic(`${name}: ${answered} requests answered, ${wrote} writes, not answered: ${JSON.stringify(Object.fromEntries(failed))}`);
  });
  await phase('all are there', () => answered(20));

  let offered;
  await phase('an edge is killed while a tab is offline', async () => {
    await cut(users.bob, [three]);
    const wrote = three.wrote;
    await killed(paris, 100);
    await wait('writes offline', () => three.wrote > wrote + 3);
    assert.ok((await third.standing()).unsynced > 0, 'they wait in the tab');
    offered = await forgetful(history, third, node);
    await restored(users.bob, [three]);
    await wait('the tab to be back', async () => (await third.standing()).online);
    await answered(10);
  });

  await phase('edges are killed one after the other', async () => {
    for (const edge of [node, tokyo, paris]) {
      await killed(edge, 100);
      await answered(3);
    }
  });

  await phase('an edge that nobody can reach but its users is killed, with what only it has heard of', async () => {
    await cut(users.bob, [three]);
    wanderers.forEach((each) => held.set(each, [node]));
    await answered(3, wanderers);
    road.cut();
    const wrote = wanderers.map((each) => each.wrote);
    await wait('writes there', () => wanderers.every((each, at) => each.wrote >= wrote[at] + 5));
    await killed(node, 50);
    await road.restore();
    wanderers.forEach((each) => held.delete(each));
    await restored(users.bob, [three]);
    await answered(5);
  });

  await phase('two tabs of a user are offline together, and one of them is thrown away and loaded again', async () => {
    await cut(users.ann, [one, two]);
    await answered(10, [one, two]);
    await rest(one);
    const { id } = first;
    // Pages come from elsewhere than edges.
    await users.ann.context.setOffline(false);
    await first.reload();
    assert.equal(first.id, id);
    live(one);
    await answered(10, [one, two]);
    await restored(users.ann, [one, two]);
    await answered(10);
  });

  await phase('the end', async () => {
    over = true;
    await Promise.all(clients.map(rest));
    const places = [...edges, ...tabs];
    const states = await until('all replicas to hold the same', async () => {
      const found = await Promise.all(places.map(stateOf));
      if (found.includes(undefined)) return false;
      const vectors = new Set(found.map(({ vector }) => JSON.stringify(Object.entries(vector).sort())));
      return vectors.size === 1 && found;
    });
    states.forEach((state, at) => history.add({ kind: 'state', place: places[at].name, ...state }));
  });

  assert.equal(fault, undefined);
  const judged = await check(history.lines);
  t.diagnostic(judged.says);
  assert.ok(judged.clean, judged.says);
  // The test of the test: the same history, had a session been served without its token.
  const caught = await check(offered);
  assert.ok(!caught.clean);
  assert.match(caught.says, /ReadYourWrites: forgetful was answered absent/);
  await caught.forget();
});

/** A user who writes in a tab and then goes to an edge without a token. The write is of the history; the answer would be no lawful one. */
async function forgetful(history, tab, edge) {
  const client = 'forgetful';
  const write = history.begin(client, [client], []);
  history.told(client, (await tab.perform({ steps: [['batch', write, [client], []]] })).answers);
  const before = [...history.lines];
  const { answers } = await edge.perform({ user: 'bob', steps: [['get', client]] });
  return [...before, ...answers.map((answer) => JSON.stringify({ kind: 'read', client, ...answer }))];
}
