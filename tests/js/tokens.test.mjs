// Tokens carry what a session has seen, and its identity, from replica to replica.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEADLINE, SECRET, clock, open, openAll, pull, rejection, thrown, within } from './support.mjs';

test('an anonymous token carries what was read and written, and no more', async (t) => {
  const tokyo = await open(t, { id: 'tokyo' });
  const session = tokyo.session();
  await session.set('a', 1);
  const token = await session.sealed();
  assert.match(token, /^[A-Za-z0-9._~-]+$/);
  assert.equal(session.token, token);
  const info = tokyo.inspectToken(token);
  assert.deepEqual(info.writes, { [tokyo.id]: 1 });
  assert.deepEqual(info.spaces, { default: { reads: info.reads, writes: info.writes } });
  assert.deepEqual([info.signed, info.kid, info.user, info.sessionId, info.guarantees], [false, null, null, null, null]);
  assert.equal(info.bytes, token.length);
});

test('a signed token carries the session to every replica that knows the key', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { secret: SECRET });
  const session = tokyo.session({ user: 'ann', client: 'phone', space: 'shop', guarantees: ['monotonic-reads'], expiresIn: '1h' });
  await session.set('a', 1);
  const there = paris.session(await session.sealed());
  assert.equal(there.resumed, true);
  assert.equal(there.reason, null);
  for (const name of ['id', 'user', 'space', 'guarantees']) assert.deepEqual(there[name], session[name]);
  // A JWS counts in seconds.
  assert.equal(there.expiresAt, Math.floor(session.expiresAt / 1000) * 1000);
  const info = paris.inspectToken(there.token);
  assert.deepEqual([info.signed, info.kid, info.user, info.client, info.space], [true, 'k1', 'ann', 'phone', 'shop']);
  assert.deepEqual(info.guarantees, ['monotonic-reads']);
  assert.deepEqual(info.writes, { [tokyo.id]: 1 });
  assert.equal(info.sessionId, session.id);
  assert.equal(info.expiresAt, there.expiresAt);
});

test('who a session is that came with a token is told alike before its end and after it', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { secret: SECRET, session: { tokenExpiresIn: '5m' } });
  const tab = await open(t, { id: 'tab' });
  const who = ({ id, user, space, guarantees, expiresAt, resumed }) => ({ id, user, space, guarantees, expiresAt, resumed });
  const begun = [{ user: 'ännchen "a" 東京', client: 'c', space: 'shop', guarantees: ['monotonic-reads'] }, { guarantees: [] }, { user: 'ann', expiresIn: '1m' }];
  for (const init of begun) {
    const first = tokyo.session(init);
    await first.set('a', 1);
    const token = await first.sealed();
    const listing = `${token},${await tokyo.session().sealed()}`;
    for (const replica of [paris, tab]) {
      for (const text of [token, listing, tab.session().token]) {
        const asked = replica.session(text);
        const before = who(asked);
        const unasked = replica.session(text);
        unasked[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
        const id = text[0] === '~' ? { id: unasked.id } : {};
        assert.deepEqual(who(unasked), { ...before, ...id, expiresAt: text[0] === '~' ? unasked.expiresAt : before.expiresAt });
        assert.deepEqual(who(asked), before);
      }
    }
  }
  const token = await tokyo.session({ user: 'ann' }).sealed();
  const [left, asked] = [paris.session(token), paris.session(token)];
  const before = who(asked);
  await paris.close();
  assert.deepEqual(who(left), before, 'nobody has asked before the replica was closed');
});

test('a key of base64url is the key of its bytes, and a retired one still verifies', async (t) => {
  const base64url = Buffer.from(SECRET.key).toString('base64url');
  const [old, rotated, other] = [
    await open(t, { secret: { kid: 'k1', key: base64url } }),
    await open(t, { secret: [{ kid: 'k2', key: new Uint8Array(48).fill(1) }, SECRET] }),
    await open(t, { secret: { kid: 'k1', key: new Uint8Array(32) } }),
  ];
  const { token } = old.session({ user: 'ann' });
  const there = rotated.session(token);
  assert.equal(there.user, 'ann');
  assert.equal(rotated.inspectToken(there.token).kid, 'k2');
  assert.equal(other.session(token).reason, 'TOKEN_INVALID');
});

test('a token stays short however many replicas its session has seen', async (t) => {
  const [edge, peer] = await openAll(t, ['edge', 'peer'], { secret: SECRET });
  for (let number = 0; number < 30; number += 1) {
    const tab = await open(t, { id: `tab-number-${number}` });
    await tab.session().set(`k${number}`, number);
    await pull(edge, tab);
  }
  const session = edge.session({ user: 'ann' });
  assert.equal(session.sync.list().length, 30);
  const error = thrown(() => session.token);
  assert.equal(error.code, 'TOKEN_TOO_LARGE');
  assert.deepEqual([error.details.limit, error.details.allowed], ['tokenBytes', 1024]);

  // It is folded onto a write of the edge that a peer must have.
  const sealing = session.sealed({ timeout: DEADLINE });
  let message = new Uint8Array();
  for (const replica of [peer, edge, peer, edge]) message = await replica.exchange(message);
  const token = await sealing;
  assert.ok(token.length < 400, `${token.length} characters`);
  assert.equal(session.token, token);
  assert.deepEqual(Object.keys(edge.inspectToken(token).reads), [edge.id]);
  assert.equal(Object.keys(session.inspect().reads).length, 30, 'the session itself still knows what it has read');
  const there = peer.session(token);
  assert.deepEqual([there.user, there.satisfied(), await there.get('k29')], ['ann', true, 29]);
  assert.equal((await open(t, { secret: SECRET })).session(token).satisfied(), false);
});

test('a forged, damaged or foreign token gives a session that refuses everything, with the reason', async (t) => {
  const [replica, foreign] = [await open(t, { secret: SECRET }), await open(t, { secret: SECRET, issuer: 'another' })];
  const { token } = replica.session({ user: 'ann' });
  const at = token.indexOf('.') + 5;
  const tampered = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
  for (const bad of [tampered, 'nonsense', `${token}~~`, foreign.session({ user: 'ann' }).token, 'x'.repeat(10_000)]) {
    const session = replica.session(bad);
    assert.ok(['TOKEN_INVALID', 'TOKEN_TOO_LARGE'].includes(session.reason), session.reason);
    assert.equal(session.resumed, false);
    assert.equal(session.user, null);
    const { reason } = session;
    for (const call of [session.get('a'), session.set('a', 1), session.list().next(), session.sealed(), session.batch((tx) => tx.set('a', 1))]) {
      assert.equal((await rejection(call)).code, reason);
    }
    for (const call of [() => session.token, () => session.sync.get('a'), () => session.peek('a'), () => session.missing(), () => session.watch('a')]) {
      assert.equal(thrown(call).code, reason);
    }
    const fresh = replica.session({ token: bad, onRefused: 'anonymous' });
    assert.deepEqual([fresh.reason, fresh.resumed, fresh.user], [null, false, null]);
    assert.equal(await fresh.get('a'), undefined);
  }
});

test('a token has the letters that base64url gives its bytes, and with any other letter in any place it is refused', async (t) => {
  const tab = await open(t, { id: 'tab' });
  // Without a secret no signature stands before the letters: what they are made of is judged by itself. Of all lengths, because
  // long texts are read many letters at a time, and their ends one by one.
  for (let number = 1; number <= 5; number += 1) {
    const other = await open(t, { id: 'other'.slice(0, number) });
    await other.session().set(`k${number}`, number);
    await pull(tab, other);
    const session = tab.session();
    session.sync.list();
    const [, suffix] = (await session.sealed()).split('~');
    assert.equal(Buffer.from(suffix, 'base64url').toString('base64url'), suffix);
    assert.equal(tab.session(`~${suffix}`).resumed, true);
    for (let place = 0; place < suffix.length; place += 1) {
      for (const letter of '+/=@[`{.: ^\0\x7fé') {
        const damaged = `~${suffix.slice(0, place)}${letter}${suffix.slice(place + 1)}`;
        assert.equal(tab.session(damaged).reason, 'TOKEN_INVALID', `${JSON.stringify(letter)} in place ${place} of ${suffix.length}`);
      }
    }
  }
});

test('a token that has expired is refused, and so is a session whose time is over', async (t) => {
  const now = clock();
  const replica = await open(t, { secret: SECRET, clock: now, session: { expiresIn: '1h' } });
  const session = replica.session({ user: 'ann' });
  const { token } = session;
  assert.equal(session.expiresAt, now.now + 3_600_000);
  now.now += 3_600_000;
  assert.equal((await rejection(session.get('a'))).code, 'SESSION_EXPIRED');
  assert.equal(replica.session(token).reason, 'TOKEN_EXPIRED');
});

test('a suffix adds dependencies and never an identity', async (t) => {
  const [edge, tab] = [await open(t, { id: 'edge', secret: SECRET }), await open(t, { id: 'tab' })];
  const signed = edge.session({ user: 'ann' }).token;
  const here = tab.session(signed);
  await here.set('draft', 'text');
  const token = await here.sealed();
  assert.equal(token.split('~')[0], signed.split('~')[0], 'the signed part is kept to the letter');
  const back = edge.session({ token, onStale: 'throw' });
  assert.equal(back.user, 'ann');
  assert.equal((await rejection(back.get('draft'))).code, 'STALE_REPLICA');
  await pull(edge, tab);
  assert.equal(await back.get('draft'), 'text');
  // The edge signs what it has made sure of.
  assert.deepEqual(edge.inspectToken(back.token).reads, { [tab.id]: 1 });
});

test('a token slides with each seal, and a tab is renewed by the later one, until the session ends', async (t) => {
  const now = clock();
  const options = { secret: SECRET, clock: now, session: { expiresIn: '1h', tokenExpiresIn: '10m' } };
  const [edge, tab] = [await open(t, options), await open(t, { clock: now })];
  const began = now.now;
  const there = edge.session({ user: 'ann' });
  const here = tab.session(await there.sealed());
  assert.deepEqual([here.expiresAt, there.expiresAt], [began + 600_000, began + 3_600_000]);
  const info = edge.inspectToken(here.token);
  assert.deepEqual([info.expiresAt, info.endsAt], [began + 600_000, began + 3_600_000]);
  here.sync.set('draft', 1);
  now.now = began + 540_000;
  here.merge(await there.sealed());
  assert.equal(here.expiresAt, began + 1_140_000);
  now.now = began + 700_000;
  assert.equal(here.sync.get('draft'), 1);
  assert.equal(edge.session(here.token).user, 'ann');
  now.now = began + 1_140_000;
  assert.equal(thrown(() => here.sync.get('draft')).code, 'TOKEN_EXPIRED');
  now.now = began + 3_599_000;
  assert.equal(edge.inspectToken(there.token).expiresAt, began + 3_600_000);
});

test('merging joins what two devices have seen; nothing is overwritten', async (t) => {
  const [tokyo, paris, osaka] = await openAll(t, ['tokyo', 'paris', 'osaka'], { secret: SECRET });
  const phone = tokyo.session({ user: 'ann' });
  await phone.set('phone', 1);
  const laptop = paris.session({ user: 'ann' });
  await laptop.set('laptop', 1);
  const session = osaka.session({ user: 'ann', onStale: 'throw' });
  assert.equal(session.merge(await phone.sealed(), null, undefined, await laptop.sealed()), session);
  assert.deepEqual(session.missing().map((missing) => missing.replica).sort(), [paris.id, tokyo.id].sort());
  await pull(osaka, tokyo);
  assert.deepEqual(session.missing().map((missing) => missing.replica), [paris.id]);
  await pull(osaka, paris);
  assert.equal(session.satisfied(), true);
  assert.deepEqual([await session.get('phone'), await session.get('laptop')], [1, 1]);

  const stranger = osaka.session({ user: 'bob' });
  assert.equal(thrown(() => stranger.merge(phone.token)).code, 'TOKEN_INVALID');
  assert.equal(stranger.satisfied(), true);
});

test('whether a replica can serve a token can be asked before a session begins', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = tokyo.session();
  await ann.set('a', 1);
  const token = await ann.sealed();
  const asking = paris.session();
  assert.equal(asking.satisfied(), true);
  assert.equal(asking.satisfied({ token }), false);
  assert.deepEqual(asking.missing({ token }).map(({ replica, have, need }) => [replica, have, need]), [[tokyo.id, 0, 1]]);
  await pull(paris, tokyo);
  assert.equal(asking.satisfied({ token }), true);
});

test('a session goes on where its token is presented, also before the replica has caught up', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris']);
  const ann = tokyo.session();
  await ann.set('cart', ['book']);
  const there = paris.session({ token: await ann.sealed(), timeout: DEADLINE });
  const add = there.get('cart').then((cart) => there.set('cart', [...cart, 'pen']));
  await pull(paris, tokyo);
  await within(add, 'the cart');
  await pull(tokyo, paris);
  assert.deepEqual(await tokyo.session(await there.sealed()).get('cart'), ['book', 'pen']);
});

test('what is no token at all cannot be inspected', async (t) => {
  const replica = await open(t);
  assert.equal(thrown(() => replica.inspectToken('no token')).code, 'TOKEN_INVALID');
  assert.equal(thrown(() => replica.inspectToken(7)).code, 'ARGUMENT_INVALID');
});
