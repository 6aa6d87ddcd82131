// Tokens in headers and cookies: what a session has seen is merged, in whatever order responses arrive.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES, EdgeSessionError } from 'edge-session';
import { clearToken, readToken, toResponse, writeToken } from 'edge-session/http';
import { SECRET, open, openAll, pull, rejection, thrown } from './support.mjs';
import { Jar, orders, serve } from './web.mjs';

const NAME = '__Host-edge-session';
const HEADER = { cookie: false };

/** Answers a request as servers do: a session of its token, one write, its token with the response. */
async function answer(replica, request, { key, detached = true, ...reply } = {}) {
  const session = replica.session({ token: readToken(request, reply), onStale: 'throw' });
  try {
    if (key !== undefined) await session.set(key, 1, { guarantees: 'none' });
    return writeToken(Response.json(session.user), await session.sealed({ detached }), { ...reply, request });
  } catch (error) {
    return toResponse(error, { ...reply, request });
  }
}

const ask = (jar, headers = {}) => new Request('https://shop.example/', { headers: { ...(jar.header && { Cookie: jar.header }), ...headers } });

/** What the tokens of a request depend on. */
function seen(replica, request) {
  const { reads, writes } = replica.session(readToken(request)).inspect();
  return { ...reads, ...writes };
}

async function login(replica, jar, user = 'ann') {
  const request = ask(jar);
  const session = replica.session(user === null ? {} : { user });
  jar.take(writeToken(new Response(), await session.sealed({ detached: true }), { request }));
}

test('the header brings a session from one server to the next, and the response is for this user alone', async (t) => {
  const [paris, tokyo] = await openAll(t, ['paris', 'tokyo'], { secret: SECRET });
  const at = async (replica) => serve(t, (request) => answer(replica, request, { ...HEADER, key: 'a' }));
  const [here, there] = [await at(paris), await at(tokyo)];
  const first = await fetch(here);
  const token = first.headers.get('Edge-Session');
  assert.match(token, /^[\w.~,-]+$/);
  assert.deepEqual(first.headers.getSetCookie(), []);
  assert.equal(first.headers.get('Vary'), 'Edge-Session');
  assert.equal(first.headers.get('Cache-Control'), 'private, no-cache');
  assert.equal(first.headers.get('Access-Control-Expose-Headers'), 'Edge-Session');
  const second = await fetch(there, { headers: { 'Edge-Session': token } });
  assert.deepEqual(seen(paris, new Request(here, { headers: second.headers })), { [paris.id]: 1, [tokyo.id]: 1 });
});

test('a list in the header, in one line or several, is one session', async (t) => {
  const [paris, tokyo] = await openAll(t, ['paris', 'tokyo'], { secret: SECRET });
  const [one, other] = [paris.session({ user: 'ann' }), tokyo.session({ user: 'ann' })];
  await one.set('a', 1);
  await other.set('b', 1);
  const headers = new Headers([['Edge-Session', await one.sealed()], ['Edge-Session', await other.sealed()]]);
  const session = paris.session(readToken(headers));
  assert.deepEqual([session.user, session.id], ['ann', one.id]);
  assert.deepEqual(session.missing().map(({ replica, need }) => [replica, need]), [[tokyo.id, 1]]);
  const five = new Headers({ 'Edge-Session': Array(5).fill(await one.sealed()).join(',') });
  assert.equal(paris.session(readToken(five)).reason, 'TOKEN_TOO_LARGE');
});

test('cookies are of this host alone, by secure connections, hidden from scripts, and small', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const response = await answer(replica, new Request('https://shop.example/'), { key: 'a' });
  const cookies = response.headers.getSetCookie();
  assert.equal(cookies.length, 2);
  for (const cookie of cookies) {
    const [pair, ...attributes] = cookie.split('; ');
    assert.match(pair, /^__Host-edge-session(-[\da-v]{10})?=[\w.~-]+$/);
    assert.deepEqual(attributes, ['Path=/', 'Secure', 'HttpOnly', 'SameSite=Lax']);
    assert.ok(cookie.length < 4096);
  }
  assert.equal(response.headers.get('Vary'), 'Edge-Session, Cookie');

  const cookie = { name: '__Host-s', maxAge: '1h', sameSite: 'none', partitioned: true };
  const [other] = (await answer(replica, new Request('https://shop.example/'), { header: false, cookie })).headers.getSetCookie();
  assert.match(other, /^__Host-s=.*; Path=\/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age=3600$/);
});

test('of parallel responses at one replica none is lost, in whichever order they come', async (t) => {
  const replica = await open(t, { secret: SECRET });
  let all = 0;
  for (const order of orders([0, 1, 2, 3])) {
    const jar = new Jar();
    await login(replica, jar);
    for (let round = 0; round < 2; round += 1) {
      const request = ask(jar);
      const responses = await Promise.all([0, 1, 2, 3].map((n) => answer(replica, request, { key: `k${n}` })));
      all += 4;
      for (const n of order) jar.take(responses[n]);
      assert.deepEqual(seen(replica, ask(jar)), { [replica.id]: all });
      assert.equal(replica.session(readToken(ask(jar))).user, 'ann');
    }
  }
});

test('of parallel responses of many replicas none is lost, and the next response leaves one slot', async (t) => {
  const labels = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const replicas = await openAll(t, labels, { secret: SECRET });
  const jar = new Jar();
  await login(replicas[0], jar);
  const request = ask(jar);
  const responses = await Promise.all(replicas.map((replica) => answer(replica, request, { key: 'k' })));
  for (const response of responses.reverse()) jar.take(response);
  assert.deepEqual(seen(replicas[0], ask(jar)), Object.fromEntries(replicas.map(({ id }) => [id, 1])));
  assert.equal(jar.cookies.size, 9);
  for (const from of replicas) await pull(replicas[0], from);
  jar.take(await answer(replicas[0], ask(jar)));
  assert.equal(jar.cookies.size, 2);
  assert.equal(Object.keys(seen(replicas[0], ask(jar))).length, 8);
  // Nothing new to say: nothing is said.
  assert.deepEqual((await answer(replicas[0], ask(jar))).headers.getSetCookie(), []);
});

test('a response that comes late takes nothing away, neither of what came after it nor of a login', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const jar = new Jar();
  await login(replica, jar, null);
  const late = await answer(replica, ask(jar), { key: 'late' });
  await login(replica, jar, 'ann');
  for (let n = 2; n < 5; n += 1) jar.take(await answer(replica, ask(jar), { key: `k${n}` }));
  jar.take(late);
  const { user } = replica.session(readToken(ask(jar)));
  assert.equal(user, 'ann');
  assert.deepEqual(seen(replica, ask(jar)), { [replica.id]: 4 });
});

test('tokens that are not detached are joined too: four at once, the others by the requests that follow', async (t) => {
  const replicas = await openAll(t, ['a', 'b', 'c', 'd', 'e', 'f', 'g'], { secret: SECRET });
  const jar = new Jar();
  const begun = replicas[0].session({ user: 'ann' });
  jar.take(writeToken(new Response(), begun.token, { request: ask(jar) }));
  const request = ask(jar);
  const responses = await Promise.all(replicas.map((replica) => answer(replica, request, { key: 'k', detached: false })));
  for (const response of responses) jar.take(response);
  for (const from of replicas) await pull(replicas[0], from);
  assert.ok(Object.keys(seen(replicas[0], ask(jar))).length < 7, 'more signed tokens than a replica takes at once');
  for (let n = 0; n < 3; n += 1) jar.take(await answer(replicas[0], ask(jar), { detached: false }));
  assert.equal(Object.keys(seen(replicas[0], ask(jar))).length, 7);
});

test('the header says who it is; what the cookies have seen is seen', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const jar = new Jar();
  await login(replica, jar, 'bob');
  jar.take(await answer(replica, ask(jar), { key: 'k' }));
  const ann = replica.session({ user: 'ann' });
  const request = ask(jar, { 'Edge-Session': await ann.sealed() });
  const session = replica.session(readToken(request));
  assert.equal(session.user, 'ann');
  assert.deepEqual(session.inspect().writes, { [replica.id]: 1 });

  // Slots that are signed say who they are of, and that is not said here.
  jar.take(writeToken(new Response(), await replica.session({ user: 'bob' }).sealed(), { request: ask(jar) }));
  assert.equal(replica.session(readToken(ask(jar, { 'Edge-Session': await ann.sealed() }))).reason, null);
});

test('the cookie of a session whose tokens slide is renewed when half of its time is over', async (t) => {
  // The carrier looks at the real time, so the replica's is the one that moves.
  let ahead = -4_000;
  const replica = await open(t, { secret: SECRET, clock: () => Date.now() + ahead, session: { expiresIn: '1h', tokenExpiresIn: '10s' } });
  const jar = new Jar();
  await login(replica, jar);
  const before = jar.cookies.get(NAME);
  ahead = 0;
  jar.take(await answer(replica, ask(jar)));
  assert.equal(jar.cookies.get(NAME), before);
  ahead = -7_000;
  await login(replica, jar);
  const old = jar.cookies.get(NAME);
  ahead = 0;
  jar.take(await answer(replica, ask(jar)));
  assert.notEqual(jar.cookies.get(NAME), old);
  assert.ok(replica.inspectToken(jar.cookies.get(NAME)).expiresAt > replica.inspectToken(old).expiresAt);
});

test('who is in use stays so at a replica that has heard of no use, where the cookie is renewed in time', async (t) => {
  let now = 1_800_000_000_000;
  const replicas = await openAll(t, ['paris', 'tokyo'], { secret: SECRET, clock: () => now, session: { idleTimeout: '30m' } });
  for (const [cookie, status] of [[{ renewAfter: '10m' }, 200], [{}, 401]]) {
    const jar = new Jar();
    await login(replicas[0], jar);
    const first = jar.cookies.get(NAME);
    for (let visit = 1; visit < 9; visit += 1) {
      now += 5 * 60_000;
      jar.take(await answer(replicas[0], ask(jar), { cookie }));
      if (visit < 2) assert.equal(jar.cookies.get(NAME), first, 'not with each visit: a late response would undo a login');
    }
    now += 9 * 60_000;
    assert.equal((await answer(replicas[1], ask(jar), { cookie })).status, status);
  }
  assert.equal(thrown(() => readToken(ask(new Jar()), { cookie: { renewAfter: -1 } })).code, 'ARGUMENT_INVALID');
});

test('cookies of others, and damaged ones, are no tokens of ours', async () => {
  const read = (cookie) => readToken(new Headers({ Cookie: cookie }));
  assert.equal(read('theme=dark; __Host-edge-sessions=x; __Host-edge-session-=y; __Host-edge-session-short=z; a'), null);
  assert.equal(read(`${NAME}=~abc; ${NAME}=~def`), '~abc');
  assert.equal(read(`a=b;${NAME} = ~abc ;c=d`), '~abc');
  assert.equal(readToken(new Headers({ 'Edge-Session': ' , ' })), null);
  assert.equal(readToken(new Headers({ 'Edge-Session': '~a', Cookie: `${NAME}=~b` }), { header: false }), '~b');
});

test('what is no token is not sent, and the response is as it was', () => {
  for (const [token, code] of [['x\r\nSet-Cookie: a=b', 'TOKEN_INVALID'], ['a; Domain=evil', 'TOKEN_INVALID'], ['', 'TOKEN_INVALID'], [null, 'TOKEN_INVALID'], ['x'.repeat(1025), 'TOKEN_TOO_LARGE'], [Array(9).fill('x'.repeat(500)).join(','), 'TOKEN_TOO_LARGE']]) {
    const response = new Response();
    assert.equal(thrown(() => writeToken(response, token)).code, code);
    assert.deepEqual([...response.headers], []);
  }
  for (const carrier of [{ header: 'a b' }, { cookie: 'a=b' }, { cookie: { sameSite: 'wide' } }, { cookie: { maxAge: 'soon' } }]) {
    assert.equal(thrown(() => readToken(new Headers(), carrier)).code, 'ARGUMENT_INVALID');
  }
});

test('what the application says about caches stays, as far as it is this user’s alone', () => {
  const said = (value) => writeToken(new Response(null, { headers: value ? { 'Cache-Control': value } : {} }), '~').headers.get('Cache-Control');
  assert.equal(said('public, max-age=60, s-maxage=600'), 'private, max-age=60');
  assert.equal(said('no-store'), 'no-store');
  assert.equal(said('private'), 'private, no-cache');
  const response = new Response(null, { headers: { Vary: 'Accept, edge-session', 'Access-Control-Expose-Headers': '*' } });
  assert.deepEqual([...writeToken(response, '~', HEADER).headers], [
    ['access-control-expose-headers', '*'], ['cache-control', 'private, no-cache'], ['edge-session', '~'], ['vary', 'Accept, edge-session'],
  ]);
});

test('a response whose headers cannot be changed is copied', async () => {
  const response = writeToken(Response.redirect('https://shop.example/', 303), '~', { request: ask(new Jar()) });
  assert.deepEqual([response.status, response.headers.get('Location'), response.headers.get('Edge-Session')], [303, 'https://shop.example/', '~']);
  const own = new Response('body');
  assert.equal(writeToken(own, '~'), own);
});

test('an error leaves as status, code and whether to try again, and as nothing else', async () => {
  for (const code of ERROR_CODES) {
    const error = new EdgeSessionError(code, 'the password is hunter2', { details: { replica: 'fra1~hunter2' }, cause: new Error('hunter2') });
    for (const response of [error.toResponse(), toResponse(error)]) {
      assert.equal(response.status, error.status);
      assert.deepEqual(await response.clone().json(), { code, retryable: error.retryable });
      assert.ok(!JSON.stringify([await response.text(), ...response.headers]).includes('hunter2'));
      assert.equal(response.headers.get('Retry-After'), error.retryable ? '1' : null);
      assert.equal(response.headers.get('Cache-Control'), 'no-store');
      assert.equal(response.headers.has('WWW-Authenticate'), error.status === 401);
    }
  }
  const own = new Error('a bug of the application');
  assert.equal(thrown(() => toResponse(own)), own);
});

test('a browser whose cookies are refused begins anew', async (t) => {
  const [replica, foreign] = [await open(t, { secret: SECRET }), await open(t, { secret: { kid: 'k1', key: new Uint8Array(32) } })];
  const jar = new Jar();
  await login(foreign, jar);
  jar.take(await answer(foreign, ask(jar), { key: 'a' }));
  const refused = await answer(replica, ask(jar), { key: 'a' });
  assert.deepEqual([refused.status, (await refused.json()).code], [401, 'TOKEN_INVALID']);
  jar.take(refused);
  assert.equal(readToken(ask(jar)), null);
  assert.equal((await answer(replica, ask(jar), { key: 'a' })).status, 200);
});

for (const [how, code, end] of [
  ['was killed', 'SESSION_KILLED', (replica, id) => replica.admin.killSession(id)],
  ['was logged out elsewhere', 'SESSION_EXPIRED', (replica, _, token) => replica.session(token).end()],
]) {
  /** A browser that was answered, and whose session then ended in this way. */
  const over = async (t) => {
    const [replica, jar] = [await open(t, { secret: SECRET }), new Jar()];
    await login(replica, jar);
    jar.take(await answer(replica, ask(jar), { key: 'a' }));
    const token = readToken(ask(jar));
    await end(replica, replica.session(token).id, token);
    return { replica, jar };
  };

  test(`a browser whose session ${how} is told so once, and begins anew`, async (t) => {
    const { replica, jar } = await over(t);
    const refused = await answer(replica, ask(jar), { key: 'a' });
    assert.deepEqual([refused.status, (await refused.json()).code], [401, code]);
    jar.take(refused);
    assert.equal(readToken(ask(jar)), null);
    const before = jar.cookies.get(NAME);
    const anew = await answer(replica, ask(jar), { key: 'a' });
    assert.equal(anew.status, 200);
    jar.take(anew);
    assert.notEqual(jar.cookies.get(NAME), before);
    assert.equal([...jar.cookies.values()].filter((value) => value.startsWith('-')).length, 0, 'what was marked is gone, and its mark with it');
    assert.equal(seen(replica, ask(jar))[replica.id], 2);
  });

  test(`a browser whose session ${how} logs in, and no late refusal undoes that`, async (t) => {
    const { replica, jar } = await over(t);
    const late = await Promise.all([ask(jar), ask(jar)].map((request) => answer(replica, request, { key: 'a' })));
    assert.deepEqual(late.map(({ status }) => status), [401, 401]);
    await login(replica, jar, 'bob');
    const [cookie, slots] = [jar.cookies.get(NAME), jar.cookies.size];
    for (const response of late) jar.take(response);
    assert.equal(jar.cookies.get(NAME), cookie);
    assert.ok(jar.cookies.size <= slots + 1, 'all who refuse one token write one mark');
    const next = await answer(replica, ask(jar), { key: 'b' });
    assert.deepEqual([next.status, await next.json()], [200, 'bob']);
    jar.take(next);
    assert.equal([...jar.cookies.values()].filter((value) => value.startsWith('-')).length, 0);
    assert.equal(jar.cookies.get(NAME), cookie);
    // A logout takes away what is marked, and the mark.
    await end(replica, replica.session(readToken(ask(jar))).id, readToken(ask(jar)));
    jar.take(await answer(replica, ask(jar), { key: 'b' }));
    jar.take(clearToken(new Response(), { request: ask(jar) }));
    assert.equal(jar.cookies.size, 0);
  });
}

test('a session that is nobody’s leaves a marked cookie, and its mark, where they are', async (t) => {
  const [edge, tab] = [await open(t, { secret: SECRET }), await open(t)];
  const jar = new Jar();
  await login(edge, jar);
  await edge.admin.killSession(edge.session(readToken(ask(jar))).id);
  jar.take(await answer(edge, ask(jar), { key: 'a' }));
  const local = tab.session();
  await local.set('a', 1);
  jar.take(writeToken(new Response(), await local.sealed({ detached: true }), { request: ask(jar) }));
  assert.deepEqual(seen(tab, ask(jar)), { [tab.id]: 1 });
  assert.ok(jar.cookies.has(NAME));
});

test('where the header says who it is, and is refused, the cookie stays as good as it was', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const jar = new Jar();
  await login(replica, jar);
  const refused = await answer(replica, ask(jar, { 'Edge-Session': 'a.b.c~' }), { key: 'a' });
  assert.equal(refused.status, 401);
  jar.take(refused);
  const next = await answer(replica, ask(jar), { key: 'a' });
  assert.deepEqual([next.status, await next.json()], [200, 'ann']);
});

test('a logout takes the cookies away, and a wait that failed does not', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const jar = new Jar();
  await login(replica, jar);
  jar.take(await answer(replica, ask(jar), { key: 'a' }));
  const request = ask(jar);
  jar.take(toResponse(new EdgeSessionError('STALE_REPLICA', ''), { request }));
  assert.equal(jar.cookies.size, 2);
  for (const given of [undefined, null, {}, { cookie: false }]) {
    assert.equal(thrown(() => clearToken(new Response(), given)).code, 'ARGUMENT_INVALID', 'or nobody would notice that they stay');
  }
  assert.equal(thrown(() => clearToken(undefined, { request })).code, 'ARGUMENT_INVALID');
  jar.take(clearToken(new Response(), { request }));
  assert.equal(jar.cookies.size, 0);
});

test('a session that is nobody’s takes the cookie that says who it is away', async (t) => {
  const [edge, tab] = [await open(t, { secret: SECRET }), await open(t)];
  const jar = new Jar();
  await login(edge, jar);
  const local = tab.session();
  await local.set('a', 1);
  jar.take(writeToken(new Response(), await local.sealed({ detached: true }), { request: ask(jar) }));
  assert.deepEqual([...jar.cookies.keys()].filter((name) => name === NAME), []);
  assert.deepEqual(seen(tab, ask(jar)), { [tab.id]: 1 });
  assert.equal((await rejection(Promise.resolve().then(() => toResponse('no error at all')))), 'no error at all');
});
