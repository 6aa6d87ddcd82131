// The demo's edges: `node main.mjs DIRECTORY` runs one workerd for each place, with its state in DIRECTORY, and the roads between
// them. It prints one line of JSON that tells pages where to find it, and ends with its standard input, however its parent ends.
//
// Pages give orders over a WebSocket: what roads do, and to kill an edge (kill -9) or to start it again.

import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { WebSocketServer } from 'ws';
import { EDGES } from '../places.js';
import { Sea } from './sea.mjs';
import { Workerd } from './workerd.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const directory = process.argv[2];
const sharedState = join(directory, 'shared.json');

/** The worker, as one file beside its wasm module; answers their names. */
async function bundle() {
  const outdir = join(directory, 'build');
  await rm(outdir, { recursive: true, force: true });
  await build({
    entryPoints: { worker: join(HERE, 'worker.js') },
    outdir,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*'],
    nodePaths: [join(HERE, '../../consumer/node_modules')],
    loader: { '.wasm': 'copy' },
    logLevel: 'warning',
  });
  return (await readdir(outdir)).sort((a) => (a === 'worker.js' ? -1 : 1));
}

/** The secret that the edges share, and the name of this world of theirs, as long as the directory lives. */
async function shared() {
  const known = await readFile(sharedState, 'utf8').catch(() => null);
  if (known !== null) return JSON.parse(known);
  const made = { id: randomBytes(6).toString('hex'), secret: randomBytes(32).toString('base64url') };
  await writeFile(sharedState, JSON.stringify(made), { mode: 0o600 });
  return made;
}

await mkdir(directory, { recursive: true });
const [{ id, secret }, modules] = [await shared(), await bundle()];
// Of the operator and of an ordinary user: made for this run, kept in memory alone, told to pages and to edges and to nobody else.
const passwords = { root: randomBytes(24).toString('base64url'), ann: randomBytes(24).toString('base64url') };
const edges = new Map(EDGES.map((place) => [place.id, new Workerd(place.id, { directory, modules, secret, passwords })]));
const seas = new Map();
const changed = () => {
  for (const sea of seas.values()) sea.changed();
};
const start = async (edge) => {
  await edge.start(changed);
  changed();
};
const end = async () => {
  await Promise.all([...edges.values()].map((edge) => edge.kill()));
  process.exit();
};

await Promise.all([...edges.values()].map(start));
const server = createServer((_, response) => response.writeHead(426).end('pages come by WebSocket\n'));
const pages = new WebSocketServer({
  server,
  // Any page of the web may knock at an address of this machine.
  verifyClient: ({ origin, req }) => /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?$/.test(origin ?? '') && /^\/\?world=[a-z0-9]{8,40}$/.test(req.url),
});
pages.on('connection', (page, request) => {
  const world = request.url.slice('/?world='.length);
  if (!seas.has(world)) seas.set(world, new Sea(world, edges, { secret, passwords }));
  page.on('message', (data) => {
    const { type, edge } = JSON.parse(data);
    const place = edges.get(edge);
    if (type === 'kill') place?.kill().catch(report);
    if (type === 'start' && place !== undefined) start(place).catch(report);
  });
  seas.get(world).join(page);
});

function report(error) {
  console.error(error.message);
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, end);
process.stdin.on('end', end).resume();
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ id, sea: `ws://127.0.0.1:${server.address().port}/` })));
