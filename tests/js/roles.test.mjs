// The host's own roles (`roleOf`): asked anew before each operation, in memory and over sockets; and what a session may do where
// there are no accounts at all.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { webSocket } from 'edge-session';
import { WebSocket } from 'ws';
import { serve } from './server.mjs';
import { DEADLINE, SECRET, next, open, rejection, thrown, within } from './support.mjs';

/** A replica whose roles are those of `members`, by space and user, and how often it has asked. */
async function hosted(t, options = {}) {
  const members = { default: { ann: 'User' } };
  const asked = [];
  const roleOf = (user, space) => {
    asked.push([user, space]);
    return members[space]?.[user] ?? null;
  };
  return { members, asked, replica: await open(t, { id: 'edge', secret: SECRET, roleOf, ...options }) };
}

const DENIED = 'PERMISSION_DENIED';

test('a role that the host takes away acts on the next operation, in every way of operating', async (t) => {
  const { members, replica } = await hosted(t);
  const session = replica.session({ user: 'ann' });
  await session.set('k', 'v');
  session.sync.set('k', 'w');
  const { sync } = session;
  for (let i = 0; i < 3; i += 1) assert.equal(sync.get('k'), 'w', 'from a copy');
  const changes = session.watch('k')[Symbol.asyncIterator]();
  members.default.ann = 'Guest';
  assert.equal(sync.get('k'), 'w', 'a Guest reads');
  assert.equal(thrown(() => sync.set('k', 'x')).code, DENIED, 'and writes no more, not in front of the core either');
  assert.equal((await rejection(session.set('k', 'x'))).code, DENIED);
  delete members.default.ann;
  assert.equal(thrown(() => sync.get('k')).code, DENIED, 'no copy is answered');
  assert.equal(thrown(() => sync.with('none').get('k')).code, DENIED);
  for (const read of [session.get('k'), session.read('k'), session.entry('k')]) assert.equal((await rejection(read)).code, DENIED);
  assert.equal(thrown(() => session.peek('k')).code, DENIED);
  members.default.bob = 'User';
  await replica.session({ user: 'bob' }).set('k', 'w');
  assert.equal((await within(rejection(changes.next()), 'the end of the subscription')).code, DENIED);
  assert.equal((await rejection(session.run('SHOW ROLES IN default'))).code, DENIED);
  members.default.ann = 'User';
  assert.equal(sync.get('k'), 'w', 'nothing of what was refused was written');
  assert.equal(await session.get('k'), 'w');
});

test('a role that is taken away acts on the next operation in a space that was dropped and created again, too', async (t) => {
  const { members, asked, replica } = await hosted(t);
  members.attic = { ann: 'User' };
  for (const statement of ['CREATE SPACE attic', 'DROP SPACE attic', 'CREATE SPACE attic']) await replica.admin.run(statement);
  const session = replica.session({ user: 'ann', space: 'attic' });
  await session.set('k', 'v');
  assert.equal(await replica.session({ user: 'ann', space: session.space }).get('k'), 'v', 'what a session says of its space can be said');
  for (let i = 0; i < 3; i += 1) assert.equal(session.sync.get('k'), 'v', 'from a copy');
  session.sync.set('k', 'w');
  members.attic.ann = 'Guest';
  assert.equal(thrown(() => session.sync.set('k', 'x')).code, DENIED);
  assert.equal(session.sync.get('k'), 'w');
  delete members.attic.ann;
  assert.equal(thrown(() => session.sync.get('k')).code, DENIED);
  assert.deepEqual([...new Set(asked.filter(([user]) => user === 'ann').map(([, space]) => space))], ['attic'], 'by its name alone');
});

test('what was accepted under a role stays, though the role goes before the core has it', async (t) => {
  const { members, replica } = await hosted(t);
  const session = replica.session({ user: 'ann' });
  session.sync.set('k', 1);
  session.sync.set('k', 2);
  delete members.default.ann;
  members.default.bob = 'Guest';
  assert.equal(replica.session({ user: 'bob' }).sync.get('k'), 2);
});

test('lists and statements go by the same answers', async (t) => {
  const { members, replica } = await hosted(t);
  await replica.admin.run('CREATE SPACE shop; CREATE USER ann; CREATE USER bob');
  members.shop = { ann: 'Admin', bob: 'Guest' };
  const [ann, bob] = ['ann', 'bob'].map((user) => replica.session({ user, space: 'shop' }));
  const users = (session) => replica.admin.as(session).sessions().map(({ user }) => user).sort();
  assert.deepEqual([users(ann), users(bob)], [['ann', 'bob'], ['bob']]);
  assert.deepEqual(await replica.admin.roles('shop'), [{ user: 'ann', role: 'Admin' }, { user: 'bob', role: 'Guest' }]);
  assert.equal((await rejection(replica.admin.as(bob).killSession(ann.id))).code, DENIED);
  members.shop.bob = 'Admin';
  assert.equal(await replica.admin.as(bob).killSession(ann.id), true);
  const refused = await rejection(replica.admin.grant('bob', 'Guest', 'shop'));
  assert.equal(refused.code, DENIED);
  assert.match(refused.message, /roleOf/);
});

test('the host is asked for the role where a session follows keys, wherever it is by now', async (t) => {
  const roles = { shop: 'User', blog: 'User' };
  const replica = await open(t, { secret: SECRET, roleOf: (user, space) => (user === 'root' ? 'God' : (roles[space] ?? null)) });
  await replica.admin.run('CREATE SPACE shop; CREATE SPACE blog');
  const ann = replica.session({ user: 'ann', space: 'shop' });
  const shop = replica.session({ user: 'root', space: 'shop' });
  const watch = ann.watch('key');
  await ann.run('USE blog');
  shop.sync.set('key', 1);
  assert.equal((await within(watch.next(), 'a change')).value.value, 1);
  delete roles.shop;
  shop.sync.set('key', 2);
  assert.equal((await within(rejection(watch.next()), 'the refusal')).code, 'PERMISSION_DENIED');
});

test('a host that answers badly is told so, and what it answers is no role', async (t) => {
  for (const roleOf of [() => 'Owner', async () => 'User', () => { throw new Error('no database'); }]) {
    const replica = await open(t, { secret: SECRET, roleOf });
    const told = next(replica, 'error');
    assert.equal((await rejection(replica.session({ user: 'ann' }).get('k'))).code, DENIED);
    assert.match((await told).message, /roleOf/);
  }
  let replica;
  replica = await open(t, { secret: SECRET, roleOf: () => (replica === undefined ? null : (replica.session(), 'User')) });
  const told = next(replica, 'error');
  assert.equal((await rejection(replica.session({ user: 'ann' }).get('k'))).code, DENIED);
  assert.match((await told).message, /may not use it/);
  assert.equal((await rejection(open(t, { roleOf: 'User' }))).code, 'ARGUMENT_INVALID');
});

test('roleOf that asks its own replica, and hides that it was refused, changes nothing of what is under way', async (t) => {
  const asks = [(session) => session.sync.get('a'), (session) => session.sync.set('of roleOf', 1), (session) => session.sync.get('absent'), (session) => session.token];
  for (const ask of asks) {
    let [session, asked, refused] = [undefined, 0, 0];
    const roleOf = () => {
      asked += 1;
      try {
        if (session !== undefined) ask(session);
      } catch (error) {
        refused += Number(error.code === 'ARGUMENT_INVALID');
      }
      return asked > 1_000 ? null : 'User';
    };
    const replica = await open(t, { secret: SECRET, roleOf });
    session = replica.session({ user: 'ann' });
    for (let n = 0; n < 20; n += 1) session.sync.set(`k${n}`, `${n}`);
    for (let n = 0; n < 20; n += 1) assert.equal(session.sync.get(`k${n}`), `${n}`);
    assert.ok(asked < 200 && refused === asked, `${refused} of ${asked}`);
    assert.equal(await session.get('of roleOf'), undefined);
  }
});

test('a tab over a socket gets and gives what its user may at that moment, and reads elsewhere as far', async (t) => {
  const { members, replica: edge } = await hosted(t);
  edge.on('error', () => {});
  const server = await serve(t, edge);
  server.judges = true;
  const tab = await open(t, { id: 'tab' });
  const token = await edge.session({ user: 'ann' }).sealed();
  const link = tab.connect(webSocket(server.url, { WebSocket, maxDelay: 50, token }));
  await within(link.ready, 'the link');
  const session = tab.session({ token, timeout: DEADLINE });
  await session.set('mine', 1);
  await tab.synced({ timeout: DEADLINE });
  assert.equal(await edge.session({ user: 'ann' }).get('mine'), 1);

  // Reads of a space that the tab does not hold: the session's wish is not the host's word.
  members.news = { bob: 'User', ann: 'Guest' };
  await edge.session({ user: 'bob', space: 'news' }).set('head', 'line');
  assert.equal(await session.remote.get('head', { space: 'news', timeout: '20s' }), 'line');
  delete members.news.ann;
  assert.equal((await rejection(session.remote.get('head', { space: 'news', timeout: '20s' }))).code, DENIED);

  // A Guest's write is refused, and undone at the tab.
  members.default.ann = 'Guest';
  const rejected = next(tab, 'rejected');
  await session.set('mine', 2);
  const { code, writes } = await rejected;
  assert.deepEqual([code, writes.map(({ key }) => key)], [DENIED, ['mine']]);
  members.default.bob = 'User';
  assert.equal(await edge.session({ user: 'bob' }).get('mine'), 1);
});

test('without accounts a session may use the space in which it was begun, and the error names cause and cure', async (t) => {
  const edge = await open(t, { secret: SECRET });
  const ann = edge.session({ user: 'ann', space: 'shop' });
  await ann.set('k', 'v');
  const again = edge.session(await ann.sealed());
  assert.deepEqual([again.space, await again.get('k')], ['shop', 'v']);
  await edge.admin.run('CREATE SPACE blog');
  const error = await rejection(again.run('USE blog'));
  assert.equal(error.code, DENIED);
  assert.match(error.message, /accounts.*roleOf/s);
  // The host itself says otherwise.
  assert.equal(await edge.session({ token: again.token, space: 'blog' }).get('k'), undefined);
  const local = await open(t);
  for (const space of ['a', 'b']) assert.equal(await local.session({ space }).get('k'), undefined, 'a replica without a secret holds nobody to a role');
});

test('while a statement is under way that changes the space, nothing of the one is read or written as if it were of the other', async (t) => {
  const roleOf = (user, space) => (space === 'default' || user !== 'bob' ? 'User' : null);
  const tokyo = await open(t, { id: 'tokyo', secret: SECRET, roleOf });
  await tokyo.admin.createSpace('secret');
  const [ann, bob, eve] = [tokyo.session({ user: 'ann' }), tokyo.session({ user: 'bob' }), tokyo.session({ user: 'eve', space: 'secret' })];
  for (let n = 0; n < 50; n += 1) eve.sync.set(`k${n}`, `secret ${n}`);
  bob.sync.set('k1', 'public');
  bob.sync.get('nothing');
  ann.sync.set('w', 1);
  ann.sync.get('w');
  for (const one of [eve, ann, bob]) void one.satisfied();
  const used = ann.run('USE secret');
  const first = ann.sync.get('k1');
  ann.sync.get('k7');
  ann.sync.set('q', 'q1');
  ann.sync.set('q', 'q2');
  await used;
  assert.equal(first, 'secret 1', 'the core has changed the space at once');
  assert.equal(bob.sync.get('k1'), 'public');
  assert.deepEqual(['k7', 'k20', 'q'].map((key) => bob.sync.get(key)), [undefined, undefined, undefined]);
  assert.equal(bob.peek('k1'), 'public', 'and his session depends on nothing of the other space');
  assert.deepEqual([ann.space, ann.sync.get('q'), eve.sync.get('q')], ['secret', 'q2', 'q2']);
});
