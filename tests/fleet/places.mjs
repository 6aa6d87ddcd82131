// The places of the fleet: edges in workerd and in Node, which are killed and come back at their address, and tabs in Chromium.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { DEADLINE, SECRET, Workerd, within } from '../workerd/support.mjs';

/** Ports that are free now. Edges keep theirs, because those who come back look for them there. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

/** What an edge is asked, over the network. */
class Edge {
  constructor(name, port) {
    this.name = name;
    this.port = port;
  }

  async perform(request) {
    const init = { method: 'POST', body: JSON.stringify(request), signal: AbortSignal.timeout(10_000) };
    return (await fetch(`http://127.0.0.1:${this.port}/do`, init)).json();
  }

  async state() {
    return (await fetch(`http://127.0.0.1:${this.port}/state`, { signal: AbortSignal.timeout(DEADLINE) })).json();
  }
}

/** A Durable Object in a workerd of its own, its state on disk. */
export class WorkerEdge extends Edge {
  static async start(t, name, port, other) {
    const edge = new WorkerEdge(name, port);
    const bindings = { TOKEN_SECRET: SECRET, LABEL: name };
    edge.workerd = await Workerd.start(t, '../fleet/worker.mjs', { EDGE: 'Edge' }, bindings, { port, services: { OTHER: `127.0.0.1:${other}` } });
    return edge;
  }

  kill() {
    return this.workerd.kill();
  }

  async start() {
    await this.workerd.start();
    // An object is in memory from its first request on.
    await this.state();
  }
}

/** A process of Node's, its state in files. */
export class NodeEdge extends Edge {
  static async start(t, name, port, upstreams) {
    const edge = new NodeEdge(name, port);
    edge.directory = await mkdtemp(join(tmpdir(), 'edge-session-fleet-'));
    edge.upstreams = upstreams;
    t.after(async () => {
      await edge.kill();
      await rm(edge.directory, { recursive: true, force: true });
    });
    await edge.start();
    return edge;
  }

  async start() {
    const program = fileURLToPath(new URL('./edge.mjs', import.meta.url));
    this.child = fork(program, [this.port, join(this.directory, 'data'), SECRET, ...this.upstreams], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    let said = '';
    this.child.stderr.on('data', (data) => (said = (said + data).slice(-5_000)));
    const over = once(this.child, 'exit').then(([code]) => {
      // Who is killed has no code; who ends by itself says why, whoever waits for what then.
      if (code !== null) console.error(`the Node edge ended with ${code}: ${said}`);
      throw new Error(`the Node edge ended with ${code}: ${said}`);
    });
    over.catch(() => {});
    await within(Promise.race([once(this.child, 'message'), over]), 'the Node edge listens');
  }

  async kill() {
    if (this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}

/** The network between a user and the edges, which can be cut: connections break, and new ones are refused. */
export class Network {
  #roads;
  #sockets = new Set();

  static async to(t, edges) {
    const network = new Network();
    network.#roads = edges.map((edge) => ({ edge, port: 0 }));
    await network.restore();
    t.after(() => network.cut());
    return network;
  }

  get urls() {
    return this.#roads.map(({ port }) => `ws://127.0.0.1:${port}/sync`);
  }

  async restore() {
    for (const road of this.#roads) {
      road.server = createTcpServer((socket) => this.#join(socket, connect(road.edge, '127.0.0.1'))).listen(road.port, '127.0.0.1');
      await once(road.server, 'listening');
      road.port = road.server.address().port;
    }
  }

  cut() {
    for (const { server } of this.#roads) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(socket, onward) {
    for (const [one, other] of [[socket, onward], [onward, socket]]) {
      this.#sockets.add(one);
      one.on('error', () => {}).on('close', () => (this.#sockets.delete(one), other.destroy()));
      one.pipe(other);
    }
  }
}

const PACKAGE = fileURLToPath(new URL('../node_modules/edge-session/', import.meta.url));
const PAGE = `<!doctype html><link rel="icon" href="data:,"><title>tab</title><script type="module">
  import * as es from '/pkg/bundle.js';
  import { perform, stateOf } from '/fleet/perform.mjs';
  let db, held;
  window.start = async ({ urls, token, name }) => {
    // The nearest edge first, then another one.
    let calls = 0;
    const upstream = es.webSocket(() => urls[calls++ % urls.length], { token, maxDelay: 500 });
    db = await es.openReplica({ id: 'tab', storage: es.idb(name), connect: es.shared(name, upstream) });
    window.told = [];
    db.on('error', ({ code, message }) => told.push(code + ': ' + message));
    return db.id;
  };
  // The session of this tab lives as long as the page; it is begun with a token, and joined with those that come later.
  window.perform = async (request) => {
    held ??= db.session({ token: request.token, timeout: 2_000 });
    const answer = await perform(db, request, held);
    return answer;
  };
  window.state = () => stateOf(db);
  window.standing = () => db.status;
  window.ready = true;
</script>`;

/** Serves the page, the package and the modules of this directory. */
export async function servePage(t) {
  const roots = { pkg: PACKAGE, fleet: fileURLToPath(new URL('.', import.meta.url)) };
  const server = createServer(({ url }, response) => {
    const [, root, ...rest] = new URL(url, 'http://x').pathname.split('/');
    if (!(root in roots)) return response.setHeader('Content-Type', 'text/html').end(PAGE);
    const file = join(roots[root], normalize(`/${rest.join('/')}`));
    if (!existsSync(file)) return response.writeHead(404).end();
    response.setHeader('Content-Type', /\.m?js$/.test(file) ? 'text/javascript' : 'application/octet-stream');
    createReadStream(file).pipe(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}/`;
}

/** A browser with as many users as `context()` is called: each has storage and a network of its own. */
export async function openBrowser(t) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  t.after(() => browser.close());
  return browser;
}

/** A tab with a replica of its own. */
export class Tab {
  static async open(name, context, page, options) {
    const tab = new Tab();
    Object.assign(tab, { name, context, options, page: await context.newPage() });
    await tab.page.goto(page);
    await tab.begin();
    return tab;
  }

  async begin() {
    await this.page.waitForFunction(() => window.ready);
    this.id = await this.page.evaluate((options) => window.start(options), this.options);
  }

  perform(request) {
    return this.page.evaluate((request) => window.perform(request), request);
  }

  state() {
    return this.page.evaluate(() => window.state());
  }

  standing() {
    return this.page.evaluate(() => window.standing());
  }

  /** The page goes at once, as a crash of the tab would have it: nothing is flushed by hand. */
  async reload() {
    await this.page.reload();
    await this.begin();
  }
}
