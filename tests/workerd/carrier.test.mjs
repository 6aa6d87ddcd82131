// Sessions in headers and cookies, answered by objects in the real workerd.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Workerd } from './support.mjs';

/** What a browser keeps of cookies. */
class Jar {
  cookies = new Map();

  get header() {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  take(response) {
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (line.includes('; Max-Age=0')) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
  }
}

for (const hono of ['', '&hono']) {
  test(`parallel requests of one browser to two objects: each its own session, and nothing is lost${hono && ', with Hono'}`, async (t) => {
    const edge = await Workerd.start(t, './carrier.mjs', { SHOPS: 'Shop' });
    const jar = new Jar();
    jar.take(await edge.fetch('/?user=ann'));
    const writes = Array.from({ length: 12 }, (_, n) => {
      const init = { method: 'PUT', body: JSON.stringify(n), headers: { Cookie: jar.header } };
      // Each object would wait for what the other has: they do not know each other.
      return edge.fetch(`/${n}?shop=${n % 2 ? 'two' : 'one'}${hono}`, init);
    });
    const responses = await Promise.all(writes);
    for (const [n, response] of responses.entries()) {
      assert.equal(response.status, 200);
      assert.deepEqual(await response.json(), { user: 'ann', same: true, value: n });
      assert.match(response.headers.get('Cache-Control'), /^private/);
      assert.equal(response.headers.has('Server-Timing'), hono !== '');
    }
    for (const response of responses.reverse()) jar.take(response);
    assert.equal(jar.cookies.size, 13);
    // Both are named in what the browser brings, so neither object may answer.
    for (const shop of ['one', 'two']) {
      const behind = await edge.fetch(`/x?shop=${shop}${hono}`, { headers: { Cookie: jar.header } });
      assert.deepEqual([behind.status, await behind.json()], [503, { code: 'STALE_REPLICA', retryable: true }]);
      assert.equal(behind.headers.get('Retry-After'), '1');
    }
  });
}

test('requests that interleave in one object have each their own session', async (t) => {
  const edge = await Workerd.start(t, './carrier.mjs', { SHOPS: 'Shop' });
  const users = Array.from({ length: 30 }, (_, n) => `user-${n}`);
  const said = await Promise.all(users.map(async (user) => (await edge.fetch(`/cart?user=${user}`)).json()));
  assert.deepEqual(said.map(({ user, same }) => [user, same]), users.map((user) => [user, true]));
});

test('a forged token is refused in an object as everywhere, and its cookie marked', async (t) => {
  const edge = await Workerd.start(t, './carrier.mjs', { SHOPS: 'Shop' });
  for (const hono of ['', '?hono']) {
    const response = await edge.fetch(`/cart${hono}`, { headers: { Cookie: '__Host-edge-session=a.b.c~' } });
    assert.deepEqual([response.status, await response.json()], [401, { code: 'TOKEN_INVALID', retryable: false }]);
    const [mark = '', ...more] = response.headers.getSetCookie();
    assert.deepEqual([more, (await edge.fetch(`/cart${hono}`, { headers: { Cookie: `__Host-edge-session=a.b.c~; ${mark.split(';')[0]}` } })).status], [[], 200]);
  }
});
