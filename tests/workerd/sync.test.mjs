// An object and replicas elsewhere: WebSockets, requests, who may join, hibernation, and the alarm.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReplica } from 'edge-session';
import { closed, join, open, ticket } from './client.mjs';
import { SECRET, Workerd, until, within } from './support.mjs';

const TYPE = 'application/vnd.edge-session';
const start = (t) => Workerd.start(t, './worker.mjs', { EDGE: 'Edge' });
const has = (replica, key) => () => replica.session({ guarantees: 'none' }).sync.get(key) !== undefined;

test('a replica elsewhere and an object keep each other in step over a WebSocket', async (t) => {
  const edge = await start(t);
  const { token } = await edge.json('/do', { user: 'ann', steps: [['set', 'there', 1]] });
  const client = await join(t, edge);
  const session = client.session({ token, timeout: 30_000 });
  assert.equal(await session.get('there'), 1, 'what the token depends on has come');
  await session.set('here', 2);
  const roamed = await edge.json('/do', { token: await session.sealed(), timeout: 30_000, steps: [['get', 'here'], ['set', 'there', 3]] });
  assert.deepEqual(roamed.answers.slice(0, 1), [2]);
  assert.equal(await client.session({ token: roamed.token, timeout: 30_000 }).get('there'), 3, 'the object tells news of its own accord');
});

test('several replicas meet in one object, and one that is slow to come catches up', async (t) => {
  const edge = await start(t);
  const [first, second] = [await join(t, edge), await join(t, edge)];
  for (let n = 0; n < 50; n += 1) first.session().sync.set(`first ${n}`, n);
  await until('what the first wrote, at the second', has(second, 'first 49'));
  second.session().sync.set('second', 'x'.repeat(700_000));
  await until('a large value, at the first', has(first, 'second'));
  const third = await join(t, edge);
  await until('all of it, at the third', async () => has(third, 'second')() && has(third, 'first 49')());
});

test('only a token that the key has signed lets anybody join', async (t) => {
  const edge = await start(t);
  const token = await ticket(edge);
  const stranger = await openReplica({ secret: { kid: '1', key: new Uint8Array(32).fill(8) } });
  const anonymous = await openReplica();
  t.after(() => Promise.all([stranger.close(), anonymous.close()]));
  const bad = [undefined, await stranger.session({ user: 'ann' }).sealed(), await anonymous.session().sealed(), 'x', `${token.slice(0, 40)}AAAA${token.slice(44)}`];
  const post = (header) => edge.fetch('/sync', { method: 'POST', headers: { 'Content-Type': TYPE, ...(header && { 'Edge-Session': header }) }, body: new Uint8Array() });
  for (const one of bad) {
    assert.equal(await within(closed(open(edge, 'one', one)), 'the close'), 4401);
    const response = await post(one);
    assert.equal(response.status, 401);
    assert.equal((await response.json()).code, 'TOKEN_INVALID');
  }
  const good = open(edge, 'one', token);
  await within(new Promise((resolve, reject) => good.on('open', resolve).on('close', reject).on('error', reject)), 'the socket opens');
  assert.equal(good.protocol, 'edge-session.v1');
  good.terminate();
  assert.equal((await post(token)).status, 200);
});

test('what is no request of the protocol is answered so, and wakes no object', async (t) => {
  const edge = await start(t);
  for (const init of [{}, { method: 'POST', body: 'x' }]) assert.equal((await edge.fetch('/sync?name=asleep', init)).status, 426);
  const refused = new Promise((resolve) => open(edge, 'asleep', undefined, ['chat']).on('unexpected-response', (_, response) => resolve(response.statusCode)));
  assert.equal(await within(refused, 'the refusal'), 426);
  assert.equal(await edge.json('/constructions?name=asleep'), 0);
});

test('replicas that cannot hold a socket sync by requests', async (t) => {
  const edge = await start(t);
  const token = await ticket(edge);
  const client = await openReplica({ id: 'client' });
  t.after(() => client.close());
  await edge.json('/do', { steps: [['set', 'there', 1]] });
  client.session().sync.set('here', 2);
  const post = async (body) => {
    const response = await edge.fetch('/sync', { method: 'POST', headers: { 'Content-Type': TYPE, 'Edge-Session': token }, body });
    assert.deepEqual([response.status, response.headers.get('Content-Type')], [200, TYPE]);
    return new Uint8Array(await response.arrayBuffer());
  };
  let message = await client.exchange(new Uint8Array());
  for (let trip = 0; trip < 3; trip += 1) message = await client.exchange(await post(message));
  assert.equal(client.session().sync.get('there'), 1);
  assert.deepEqual((await edge.json('/do', { steps: [['get', 'here']] })).answers, [2, null]);
  const damaged = await edge.fetch('/sync', { method: 'POST', headers: { 'Content-Type': TYPE, 'Edge-Session': token }, body: Uint8Array.of(1, 2, 3) });
  assert.deepEqual([damaged.status, (await damaged.json()).code], [400, 'MESSAGE_MALFORMED']);
  const endless = await edge.fetch('/sync', { method: 'POST', headers: { 'Content-Type': TYPE, 'Edge-Session': token }, body: new Uint8Array((4 << 20) + 1) });
  assert.deepEqual([endless.status, (await endless.json()).code], [413, 'VALUE_TOO_LARGE']);
});

test('an acknowledgement that does not come is waited for by the alarm', async (t) => {
  const edge = await start(t);
  let deaf = false;
  let deltas = 0;
  // What was under way when the client became deaf comes too.
  const seen = (direction, bytes) => {
    if (direction === 'in' && deaf && Buffer.from(bytes).includes('told again')) deltas += 1;
    return !(deaf && direction === 'out');
  };
  const client = await join(t, edge, { seen });
  await until('the two to know each other', async () => (await edge.json('/inspect')).peers.some(({ replica }) => replica === client.id));
  deaf = true;
  await edge.json('/do', { steps: [['set', 'a', 'told again']] });
  const { alarm, now } = await edge.json('/inspect');
  assert.ok(alarm !== null && alarm <= now + 1_000, 'the alarm stands at the first attempt, or earlier');
  await until('the same delta again, and again', () => deltas >= 3);
  deaf = false;
  await until('the end of it', async () => (await edge.json('/inspect')).peers.some(({ holds }) => Object.keys(holds.default ?? {}).length > 0));
});

test('what is known of a peer may be more than a socket can keep: the link goes on, and would begin anew', async (t) => {
  const edge = await start(t);
  const options = { secret: { kid: '1', key: SECRET }, session: { publishEvery: false } };
  // A replica that takes an id after the other: its vector has more names than 16 KiB hold.
  const many = await openReplica(options);
  t.after(() => many.close());
  for (let n = 0; n < 800; n += 1) {
    many.session().sync.set(`of ${n}`, n);
    await many.restore(many.snapshot());
  }
  const client = await join(t, edge, options);
  await until('a note of what it holds', async () => (await edge.json('/inspect')).attachments[0] > 0);
  await client.restore(many.snapshot());
  await until('the last of many', async () => (await edge.json('/do', { steps: [['get', 'of 799']] })).answers[0] === 799);
  await until('the end of the note', async () => (await edge.json('/inspect')).attachments[0] === null);
  client.session().sync.set('there', 1);
  await until('a write there', async () => (await edge.json('/do', { steps: [['get', 'there']] })).answers[0] === 1);
  await edge.json('/do', { steps: [['set', 'back', 1]] });
  await until('a write back', has(client, 'back'));
});

test('an idle object hibernates with its sockets open, and goes on where it was when it is woken', { timeout: 240_000 }, (t) => hibernates(t, {}));

// Both tell each other of their sessions: of what changes, not of use.
test('an edge that has proved itself need not do so again, and sessions that are used there let the object sleep', { timeout: 240_000 }, (t) =>
  hibernates(t, { secret: { kid: '1', key: SECRET } }));

async function hibernates(t, options) {
  const edge = await start(t);
  const messages = [];
  const client = await join(t, edge, { ...options, seen: (direction, bytes) => void messages.push([direction, bytes.length]) });
  const { token } = await edge.json('/do', { user: 'ann', steps: [['set', 'before', 1]] });
  await until('what was there before', has(client, 'before'));
  await until('the note in the attachment', async () => (await edge.json('/inspect')).attachments[0] > 0);
  assert.equal((await edge.json('/inspect')).constructions, 1);

  // Nobody can see that an object has left memory but by waking it, so each attempt leaves it alone for longer than workerd waits.
  // Meanwhile one session is used at the other end, and another one is not.
  const [used, idle] = [client.session({ user: 'bob' }), client.session({ user: 'eve' })];
  let sent = 0;
  await until(
    'the object to leave memory',
    async () => {
      for (let second = 0; second < 15; second += 1) {
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        assert.equal(used.sync.list({ prefix: 'before' }).length, 1);
      }
      messages.length = 0;
      used.sync.set('after', (sent += 1));
      await until('the answer', () => messages.some(([direction]) => direction === 'in'));
      return (await edge.json('/constructions')) > 1;
    },
    120_000,
  );
  assert.deepEqual(messages.map(([direction]) => direction), ['out', 'in'], 'a write and its acknowledgement: nobody had to say hello');
  const woken = await edge.json('/do', { token, steps: [['get', 'after'], ['get', 'before'], ['set', 'reply', 1]] });
  assert.deepEqual(woken.answers.slice(0, 2), [sent, 1]);
  await until('news over the socket that was open all the while', has(client, 'reply'));
  assert.equal((await edge.json('/inspect')).peers.length, 1);
  assert.equal(idle.sync.get('before'), 1, 'nobody has used it, and it lives');
}
