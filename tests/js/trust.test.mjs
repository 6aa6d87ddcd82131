// A tab is an untrusted replica: its messages are judged, over real sockets and requests, and an honest tab is unaffected.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { http, webSocket } from 'edge-session';
import { WebSocket } from 'ws';
import { serve } from './server.mjs';
import { DEADLINE, SECRET, clock, next, open, pull, rejection, within } from './support.mjs';

const QUICK = { WebSocket, maxDelay: 50 };

async function edgeWith(t, options = {}) {
  const edge = await open(t, { id: 'edge', secret: SECRET, ...options });
  edge.on('error', () => {}); // What is refused is told here; each test looks at what matters to it.
  const server = await serve(t, edge);
  server.judges = true;
  const join = (tab, token) => tab.connect(webSocket(server.url, { ...QUICK, token }));
  return { edge, server, join };
}

async function arrives(from, to, key, value) {
  const writer = from.session();
  await writer.set(key, value);
  const reader = to.session({ token: await writer.sealed(), timeout: DEADLINE });
  assert.deepEqual(await within(reader.get(key), `${key} from ${from.id} at ${to.id}`), value);
}

test('an honest tab writes and reads as if nobody judged it', async (t) => {
  const { edge, join } = await edgeWith(t);
  const tab = await open(t, { id: 'tab' });
  const { id } = tab;
  await tab.session().set('before', 'joining');
  const link = join(tab, edge.session({ user: 'ann' }).token);
  await within(link.ready, 'the link');
  await arrives(tab, edge, 'a', 1);
  await arrives(edge, tab, 'b', { big: 'x'.repeat(900_000) });
  await arrives(tab, edge, 'c', 'y'.repeat(900_000));
  assert.equal(await edge.session().get('before'), 'joining');
  assert.equal(tab.id, id, 'nor does it need another id');
});

test('by requests as over sockets', async (t) => {
  const { edge, server } = await edgeWith(t);
  const tab = await open(t, { id: 'tab' });
  const token = edge.session({ user: 'ann' }).token;
  const link = tab.connect(http(server.url.replace('ws:', 'http:'), { token, every: 50 }));
  await within(link.ready, 'the link');
  await arrives(tab, edge, 'a', 1);
  await arrives(edge, tab, 'b', 2);
});

test('writes of another replica do not come in under a token, and honest traffic goes on', async (t) => {
  const { edge, join } = await edgeWith(t);
  const [honest, liar, victim] = [await open(t, { id: 'honest' }), await open(t, { id: 'liar' }), await open(t, { id: 'victim' })];
  await within(join(honest, edge.session({ user: 'ann' }).token).ready, 'the honest link');
  await arrives(honest, edge, 'a', 1);
  // The liar has what the victim never sent to anybody else, and says that the edge should have it.
  await victim.session().set('stolen', 'words');
  await pull(liar, victim);
  await liar.session().set('own', 'words');
  await within(join(liar, edge.session({ user: 'eve' }).token).ready, 'the other link');
  assert.equal((await rejection(liar.synced({ timeout: 500 }))).code, 'TIMEOUT');
  await arrives(honest, edge, 'a', 2);
  await arrives(edge, honest, 'b', 3);
  assert.equal(await edge.session().get('stolen'), undefined);
  assert.equal(edge.inspect().vectors.default[victim.id], undefined);
  // It is no lie once the victim has said so: what rests on it comes in, too.
  await within(join(victim, edge.session({ user: 'joe' }).token).ready, 'the link of the victim');
  await liar.synced({ timeout: DEADLINE });
  assert.deepEqual(await Promise.all(['stolen', 'own'].map((key) => edge.session().get(key))), ['words', 'words']);
});

test('a tab whose clock is wrong is told what was refused, and goes on by the clock of the edge', async (t) => {
  const { edge, join } = await edgeWith(t);
  const ahead = () => Date.now() + 3_600_000;
  const tab = await open(t, { id: 'tab', clock: ahead });
  const session = tab.session();
  await session.set('early', ['too', 'early']);
  const told = next(tab, 'rejected');
  const token = edge.session({ user: 'ann', expiresIn: '3h' }).token;
  await within(join(tab, token).ready, 'the link');
  assert.deepEqual(await told, { space: 'default', code: 'CLOCK_DRIFT', writes: [{ key: 'early', value: ['too', 'early'] }] });
  assert.equal(await session.get('early'), undefined);
  await arrives(tab, edge, 'later', 1);
});

test('a link ends with its token, and is told so', async (t) => {
  const now = clock(Date.now());
  const { edge, join } = await edgeWith(t, { clock: now, session: { tokenExpiresIn: '1m' }, heartbeat: 100 });
  const tab = await open(t, { id: 'tab' });
  const link = join(tab, edge.session({ user: 'ann' }).token);
  await within(link.ready, 'the link');
  await arrives(tab, edge, 'a', 1);
  const refused = next(tab, 'link', (event) => event.state === 'unauthorized');
  now.now += 61_000;
  edge.session().sync.set('the edge', 'does something');
  assert.equal((await refused).error.code, 'TOKEN_EXPIRED');
  assert.equal(link.state, 'unauthorized');
});

test('only a token that the edge has signed admits, in messages as well', async (t) => {
  const { edge } = await edgeWith(t);
  const token = edge.session({ user: 'ann' }).token;
  assert.ok((await edge.exchange(new Uint8Array(), { token })).length > 0);
  for (const bad of ['', 'x', `${token.slice(0, 40)}AAAA${token.slice(44)}`]) {
    assert.equal((await rejection(edge.exchange(new Uint8Array(), { token: bad }))).code, 'TOKEN_INVALID', bad);
  }
  assert.equal((await rejection(edge.exchange(new Uint8Array(), { token: 7 }))).code, 'ARGUMENT_INVALID');
});
