// `fetch` that carries a session, over real connections: responses in any order, other origins, clients without a replica.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readToken, toResponse, withToken, writeToken } from 'edge-session/http';
import { SECRET, open, openAll, pull, rejection, thrown } from './support.mjs';
import { orders, serve } from './web.mjs';

/** An edge. `/login?user=` begins a session, every other path is a key that is written; a `gate` holds responses back. */
async function edge(t, replica, { detached = false, gate = async () => {} } = {}) {
  const asked = [];
  const url = await serve(t, async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    const token = readToken(request);
    asked.push(token);
    try {
      const session = searchParams.has('user') ? replica.session({ user: searchParams.get('user') }) : replica.session({ token, onStale: 'throw' });
      if (!searchParams.has('user')) await session.set(pathname, 1, { guarantees: 'none' });
      const response = writeToken(Response.json(session.user), await session.sealed({ detached }));
      await gate(pathname);
      return response;
    } catch (error) {
      return toResponse(error);
    }
  });
  return { url, asked };
}

/** Lets responses go in a given order, once all requests are here. */
function turnstile(paths) {
  const waiting = new Map();
  let go = () => {};
  const there = new Promise((resolve) => {
    go = resolve;
  });
  const gate = (path) =>
    paths.includes(path) ? new Promise((resolve) => (waiting.set(path, resolve), waiting.size === paths.length && go())) : undefined;
  return { gate, there, release: (path) => waiting.get(path)() };
}

test('what one server answered, the next one waits for', async (t) => {
  const [paris, tokyo, tab] = await openAll(t, ['paris', 'tokyo'], { secret: SECRET }).then(async (edges) => [...edges, await open(t)]);
  const [here, there] = [await edge(t, paris), await edge(t, tokyo)];
  const session = tab.session((await fetch(`${here.url}/?user=ann`)).headers.get('Edge-Session'));
  const api = withToken(fetch, session);
  assert.equal(await (await api(`${here.url}/a`)).json(), 'ann');
  assert.deepEqual(session.inspect().writes, { [paris.id]: 1 });
  assert.equal(tokyo.session({ token: await session.sealed(), onStale: 'throw' }).satisfied(), false);
  await pull(tokyo, paris);
  assert.equal((await api(there.url)).status, 200);
  assert.deepEqual(session.inspect().writes, { [paris.id]: 1, [tokyo.id]: 1 });
});

for (const [who, detached] of [['a session', false], ['a client without a replica', false], ['a client without a replica, by detached tokens,', true]]) {
  test(`${who} loses nothing of parallel responses, in whichever order they come`, async (t) => {
    const replicas = await openAll(t, ['a', 'b', 'c'], { secret: SECRET });
    for (const order of orders(['/0', '/1', '/2'])) {
      const turns = turnstile(order);
      const edges = await Promise.all(replicas.map((replica) => edge(t, replica, { gate: turns.gate, detached })));
      const session = who === 'a session' ? (await open(t)).session() : undefined;
      const api = withToken(fetch, session);
      const responses = new Map(['/0', '/1', '/2'].map((path, n) => [path, api(edges[n].url + path)]));
      await turns.there;
      for (const path of order) {
        turns.release(path);
        await responses.get(path);
      }
      await api(`${edges[0].url}/after`);
      const { writes } = replicas[0].session(edges[0].asked.at(-1)).inspect();
      const sequence = (replica) => replica.inspect().vectors.default[replica.id];
      // What the first edge wrote after it is not in what it was asked with.
      const expected = replicas.map((replica, n) => [replica.id, sequence(replica) - (n === 0 ? 1 : 0)]);
      assert.deepEqual(writes, Object.fromEntries(expected), order.join());
    }
  });
}

test('who logs in goes on from what they saw before, and a late response of before does not log them out', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const turns = turnstile(['/late']);
  const { url, asked } = await edge(t, replica, { gate: turns.gate });
  const api = withToken(fetch);
  await api(`${url}/before`);
  const late = api(`${url}/late`);
  await turns.there;
  assert.equal(await (await api(`${url}/?user=ann`)).json(), 'ann');
  turns.release('/late');
  await late;
  assert.equal(await (await api(`${url}/after`)).json(), 'ann');
  assert.deepEqual(replica.session(asked.at(-1)).inspect().writes, { [replica.id]: 2 });
  assert.equal(await (await api(`${url}/?user=bob`)).json(), 'bob');
  assert.equal(await (await api(`${url}/after`)).json(), 'bob');
});

test('other origins do not get the token', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const [own, other] = [await edge(t, replica), await edge(t, replica)];
  const api = withToken(fetch, replica.session({ user: 'ann' }), { origins: [own.url] });
  for (const where of [(url) => url, (url) => new URL(url), (url) => new Request(url)]) {
    await api(where(`${other.url}/x`));
    assert.equal(other.asked.pop(), null);
    await api(where(`${own.url}/x`));
    assert.equal(replica.session(own.asked.pop()).user, 'ann');
  }
});

test('what the caller says stands, and what is asked for is sent as it is', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  await session.set('a', 1);
  const seen = [];
  const api = withToken(async (input, init) => {
    seen.push(new Request(input, init));
    return new Response();
  }, session);
  await api('https://shop.example/', { headers: { 'edge-session': '~' } });
  assert.equal(seen.pop().headers.get('Edge-Session'), '~');
  const controller = new AbortController();
  await api(new Request('https://shop.example/', { method: 'PUT', headers: { 'X-A': '1' }, body: 'body' }), { signal: controller.signal });
  const sent = seen.pop();
  assert.deepEqual([sent.method, sent.headers.get('X-A'), await sent.text(), sent.headers.get('Edge-Session')], ['PUT', '1', 'body', session.token]);
  controller.abort();
  assert.equal((await rejection(api('https://shop.example/', { signal: controller.signal }))).code, 'ABORTED');
  assert.equal(seen.length, 0);
});

test('another user’s response changes nothing, and a refused session sends nothing', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const { url, asked } = await edge(t, replica);
  const session = replica.session({ user: 'ann' });
  const api = withToken(fetch, session);
  const response = await api(`${url}/?user=bob`);
  assert.equal(await response.json(), 'bob');
  assert.equal(replica.session(response.headers.get('Edge-Session')).user, 'bob');
  assert.deepEqual([session.user, session.inspect().writes], ['ann', {}]);
  const before = asked.length;
  assert.equal((await rejection(withToken(fetch, replica.session('forged.token.x~'))(url))).code, 'TOKEN_INVALID');
  assert.equal(asked.length, before);
  assert.equal(thrown(() => withToken('fetch', session)).code, 'ARGUMENT_INVALID');
});
