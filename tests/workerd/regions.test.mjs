// The example worker: two regions, each an object, that keep in step with each other; sessions of users that roam between them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SECRET, Workerd, until } from './support.mjs';

const start = (t) => Workerd.start(t, '../examples/cloudflare-worker.ts', { REGIONS: 'Region' }, { TOKEN_SECRET: SECRET });

async function login(edge, region, user) {
  const response = await edge.fetch(`/login?region=${region}`, { method: 'POST', body: JSON.stringify({ user }) });
  assert.equal(response.status, 200);
  return response.headers.get('Edge-Session');
}

async function cart(edge, region, token, items) {
  const init = items === undefined ? {} : { method: 'PUT', body: JSON.stringify(items) };
  const response = await edge.fetch(`/cart?region=${region}`, { ...init, headers: { 'Edge-Session': token } });
  const body = await response.json();
  if (response.status !== 200) throw Object.assign(new Error(body.message), body);
  return { items: body, token: response.headers.get('Edge-Session') };
}

test('what a session wrote in one region it reads in the other, at once, and back again', async (t) => {
  const edge = await start(t);
  let token = await login(edge, 'eu', 'ann');
  for (let n = 0; n < 20; n += 1) {
    const [here, there] = n % 2 === 0 ? ['eu', 'us'] : ['us', 'eu'];
    ({ token } = await cart(edge, here, token, [`item ${n}`]));
    const read = await cart(edge, there, token);
    assert.deepEqual(read.items, [`item ${n}`]);
    ({ token } = read);
  }
});

test('users see their own carts, in either region', async (t) => {
  const edge = await start(t);
  const users = ['ann', 'bob', 'eve', 'joe'];
  const tokens = await Promise.all(users.map((user, n) => login(edge, n % 2 ? 'us' : 'eu', user)));
  const wrote = await Promise.all(users.map((user, n) => cart(edge, 'eu', tokens[n], [`of ${user}`])));
  const read = await Promise.all(users.map((_, n) => cart(edge, 'us', wrote[n].token)));
  assert.deepEqual(read.map(({ items }) => items), users.map((user) => [`of ${user}`]));
  await assert.rejects(() => cart(edge, 'us', `${tokens[0].slice(0, 60)}AAAA${tokens[0].slice(64)}`), { code: 'TOKEN_INVALID' });
});

test('after a kill both regions go on, and what one could not tell the other it tells then', async (t) => {
  const edge = await start(t);
  let token = await login(edge, 'eu', 'ann');
  for (let n = 0; n < 5; n += 1) {
    ({ token } = await cart(edge, 'eu', token, [`item ${n}`]));
    await edge.restart();
    // Only the other region is asked. Its own first words, or the alarm of the one that wrote, bring what is missing.
    const read = await until('the cart in the other region', () => cart(edge, 'us', token).catch((error) => (error.code === 'STALE_REPLICA' ? null : Promise.reject(error))));
    assert.deepEqual(read.items, [`item ${n}`]);
    ({ token } = read);
  }
});
