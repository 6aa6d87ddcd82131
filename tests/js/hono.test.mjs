// The middleware for Hono, behind its real server for Node.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { EdgeSessionError } from 'edge-session';
import { edgeSession } from 'edge-session/hono';
import { currentSession } from 'edge-session/http';
import { SECRET, TestStorage, open, openAll, pull } from './support.mjs';
import { Jar } from './web.mjs';

async function start(t, replica, { options, routes } = {}) {
  const app = new Hono();
  app.use(edgeSession(replica, options));
  app.post('/login/:user', (c) => {
    c.set('session', c.var.session.reason === null ? replica.session({ user: c.req.param('user') }).merge(c.var.session.token) : replica.session({ user: c.req.param('user') }));
    return c.text('welcome');
  });
  app.get('/:key', async (c) => c.json({ user: c.var.session.user, value: (await c.var.session.get(c.req.param('key'))) ?? null }));
  app.put('/:key', async (c) => {
    await currentSession().set(c.req.param('key'), await c.req.json());
    return c.body(null, 204);
  });
  routes?.(app);
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** A browser: its jar goes along. */
function browser() {
  const jar = new Jar();
  return async (url, init = {}) => {
    const response = await fetch(url, { ...init, headers: { ...init.headers, ...(jar.header && { Cookie: jar.header }) } });
    jar.take(response);
    return response;
  };
}

const put = (value) => ({ method: 'PUT', body: JSON.stringify(value) });

test('a session goes from request to request and from edge to edge, by cookies or by the header', async (t) => {
  const [paris, tokyo] = await openAll(t, ['paris', 'tokyo'], { secret: SECRET });
  const options = { onStale: 'throw' };
  const [here, there] = [await start(t, paris, { options }), await start(t, () => Promise.resolve(tokyo), { options })];
  const go = browser();
  await go(`${here}/login/ann`, { method: 'POST' });
  const written = await go(`${here}/cart`, put(['book']));
  assert.equal(written.status, 204);
  assert.deepEqual(await (await go(`${here}/cart`)).json(), { user: 'ann', value: ['book'] });

  const headers = { 'Edge-Session': written.headers.get('Edge-Session') };
  for (const ask of [() => go(`${there}/cart`), () => fetch(`${there}/cart`, { headers })]) {
    const behind = await ask();
    assert.deepEqual([behind.status, await behind.json()], [503, { code: 'STALE_REPLICA', retryable: true }]);
    assert.equal(behind.headers.get('Retry-After'), '1');
  }
  await pull(tokyo, paris);
  for (const ask of [() => go(`${there}/cart`), () => fetch(`${there}/cart`, { headers })]) {
    assert.deepEqual(await (await ask()).json(), { user: 'ann', value: ['book'] });
  }
});

test('who logs in has seen what they saw before', async (t) => {
  const [paris, tokyo] = await openAll(t, ['paris', 'tokyo'], { secret: SECRET });
  const [here, there] = [await start(t, paris), await start(t, tokyo, { options: { onStale: 'throw' } })];
  const go = browser();
  await go(`${here}/cart`, put(1));
  await go(`${here}/login/ann`, { method: 'POST' });
  assert.equal((await go(`${there}/cart`)).status, 503);
});

test('a forged token is refused where it matters, and the browser begins anew', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const url = await start(t, replica, { routes: (app) => app.get('/public/page', (c) => c.text('hello')) });
  const forged = { headers: { Cookie: '__Host-edge-session=a.b.c~' } };
  const refused = await fetch(`${url}/cart`, forged);
  assert.deepEqual([refused.status, await refused.json()], [401, { code: 'TOKEN_INVALID', retryable: false }]);
  const page = await fetch(`${url}/public/page`, forged);
  assert.deepEqual([page.status, await page.text()], [200, 'hello']);
  const jars = [refused, page].map((response) => {
    const jar = new Jar();
    jar.cookies.set('__Host-edge-session', 'a.b.c~');
    jar.take(response);
    return jar;
  });
  for (const { header } of jars) assert.equal((await fetch(`${url}/cart`, { headers: { Cookie: header } })).status, 200);
  assert.equal(page.headers.has('Edge-Session'), false);
});

test('errors of others stay with the application, and what the session wrote before is in the token', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const routes = (app) => {
    app.post('/broken', async (c) => {
      await c.var.session.set('a', 1);
      throw new Error('mine');
    });
    app.onError((error, c) => c.text(error.message, 500));
  };
  const url = await start(t, replica, { routes });
  const response = await fetch(`${url}/broken`, { method: 'POST' });
  assert.deepEqual([response.status, await response.text()], [500, 'mine']);
  assert.deepEqual(replica.session(response.headers.get('Edge-Session')).inspect().writes, { [replica.id]: 1 });
});

test('a write that is not durable is not answered as if it were', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { secret: SECRET, storage });
  const url = await start(t, replica, {
    options: { timeout: 50 },
    routes: (app) => app.post('/quick', (c) => (c.var.session.sync.set('a', 1), c.text('done'))),
  });
  storage.hold();
  t.after(() => storage.release());
  const response = await fetch(`${url}/quick`, { method: 'POST' });
  assert.deepEqual([response.status, await response.json()], [504, { code: 'TIMEOUT', retryable: true }]);
  storage.release();
});

test('Server-Timing tells what the session cost and how far behind the replica was, and only where it is asked for', async (t) => {
  const [paris, tokyo] = await openAll(t, ['paris', 'tokyo'], { secret: SECRET });
  const [here, there] = [await start(t, paris), await start(t, tokyo, { options: { serverTiming: true, onStale: 'throw' } })];
  const written = await fetch(`${here}/cart`, put(1));
  assert.equal(written.headers.has('Server-Timing'), false);
  const read = await fetch(`${there}/cart`, { headers: { 'Edge-Session': written.headers.get('Edge-Session') } });
  assert.match(read.headers.get('Server-Timing'), /^session;dur=\d+\.\d, behind;desc="1", seal;dur=\d+\.\d$/);
  assert.match((await fetch(`${there}/cart`)).headers.get('Server-Timing'), /^session;dur=\d+\.\d, seal;dur=\d+\.\d$/);
});

test('where the replica cannot be had, that is the answer', async (t) => {
  const url = await start(t, async () => {
    throw new EdgeSessionError('STORAGE_FAILED', 'the disk of hunter2');
  });
  const response = await fetch(`${url}/cart`);
  assert.deepEqual([response.status, await response.json()], [500, { code: 'STORAGE_FAILED', retryable: true }]);
});

test('a response that is a stream goes on with the session', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const routes = (app) =>
    app.get('/changes/stream', (c) => {
      const watch = c.var.session.watch('a');
      const stream = new ReadableStream({
        async pull(controller) {
          const { value } = await watch.next();
          controller.enqueue(new TextEncoder().encode(`${value.value}\n`));
          if (value.value === 2) controller.close();
        },
      });
      return c.body(stream);
    });
  const url = await start(t, replica, { routes });
  const reader = (await fetch(`${url}/changes/stream`)).body.pipeThrough(new TextDecoderStream()).getReader();
  await fetch(`${url}/a`, put(1));
  assert.equal((await reader.read()).value, '1\n');
  await fetch(`${url}/a`, put(2));
  assert.equal((await reader.read()).value, '2\n');
});
