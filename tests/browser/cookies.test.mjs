// A real browser's cookie jar: navigations, requests under way at once, responses that overtake each other.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { build } from 'esbuild';
import { openReplica } from 'edge-session';
import { clearToken, readToken, toResponse, writeToken } from 'edge-session/http';
import { inBrowser } from './page.mjs';

const SECRET = { kid: 'k1', key: new Uint8Array(32).fill(7) };
const NAME = '__Host-edge-session';

/**
 * A server with two replicas that hear of each other only when a test says so. Each request writes its path at the replica that
 * `at` names; `hold` requests wait until all of them are here, and are answered last to first.
 */
async function serve(t) {
  const replicas = await Promise.all(['paris', 'tokyo'].map((id) => openReplica({ id, secret: SECRET })));
  const held = [];
  const answer = async (request) => {
    const url = new URL(request.url);
    const [paris, tokyo] = replicas;
    const replica = url.searchParams.get('at') === 'tokyo' ? tokyo : paris;
    try {
      if (url.pathname === '/logout') return clearToken(new Response('bye'), { request });
      const user = url.searchParams.get('user');
      const session = user === null ? replica.session({ token: readToken(request), onStale: 'throw' }) : replica.session({ user });
      if (url.pathname.startsWith('/write')) await session.set(url.pathname, 1, { guarantees: 'none' });
      const { reads, writes } = session.inspect();
      const body = url.pathname === '/page' ? '<!doctype html><link rel="icon" href="data:,"><title>page</title>' : JSON.stringify({ user: session.user, seen: { ...reads, ...writes } });
      const headers = { 'Content-Type': url.pathname === '/page' ? 'text/html' : 'application/json' };
      return writeToken(new Response(body, { headers }), await session.sealed({ detached: true }), { request });
    } catch (error) {
      return toResponse(error, { request });
    }
  };
  const server = createServer(async (incoming, outgoing) => {
    if (incoming.url === '/edge-session.js') return outgoing.writeHead(200, { 'Content-Type': 'text/javascript' }).end(script);
    if (incoming.url === '/favicon.ico') return outgoing.writeHead(204).end();
    const response = await answer(new Request(`http://${incoming.headers.host}${incoming.url}`, { headers: incoming.headers }));
    const send = async () => {
      const others = [...response.headers].filter(([name]) => name !== 'set-cookie');
      const cookies = response.headers.getSetCookie().map((cookie) => ['Set-Cookie', cookie]);
      outgoing.writeHead(response.status, [...others, ...cookies].flat()).end(await response.text());
      await once(outgoing, 'close');
    };
    const { searchParams } = new URL(incoming.url, 'http://localhost');
    if (!searchParams.has('hold')) return send();
    held.push(send);
    if (held.length === Number(searchParams.get('hold'))) for (const one of held.splice(0).reverse()) await one();
  });
  const { outputFiles } = await build({
    stdin: { contents: "export * from 'edge-session/http';", resolveDir: import.meta.dirname },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  const script = outputFiles[0].text;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await Promise.all(replicas.map((replica) => replica.close()));
  });
  return { url: `http://localhost:${server.address().port}`, replicas };
}

const json = (page) => page.evaluate(() => JSON.parse(document.body.textContent));

test('a navigation carries the session, and no script reads its cookies', (t) => inBrowser({}, async ({ context }) => {
  const { url, replicas } = await serve(t);
  const page = await context.newPage();
  await page.goto(`${url}/page?user=ann`);
  await page.goto(`${url}/write/a`);
  await page.goto(`${url}/page`);
  assert.equal(await page.evaluate(() => document.cookie), '');
  const cookies = await context.cookies();
  assert.equal(cookies.length, 2);
  for (const { name, domain, path, secure, httpOnly, sameSite, value } of cookies) {
    assert.ok(name.startsWith(NAME) && value.length < 1100);
    assert.deepEqual({ domain, path, secure, httpOnly, sameSite }, { domain: 'localhost', path: '/', secure: true, httpOnly: true, sameSite: 'Lax' });
  }
  await page.goto(`${url}/seen`);
  assert.deepEqual(await json(page), { user: 'ann', seen: { [replicas[0].id]: 1 } });
  await page.goto(`${url}/logout`);
  assert.deepEqual(await context.cookies(), []);
}));

test('of requests under way at once, answered last to first, none is lost from the browser’s jar', (t) => inBrowser({}, async ({ context }) => {
  const { url, replicas: [paris, tokyo] } = await serve(t);
  const page = await context.newPage();
  await page.goto(`${url}/page?user=ann`);
  const asked = Array.from({ length: 6 }, (_, n) => `/write/${n}?hold=6&at=${n % 2 ? 'tokyo' : 'paris'}`);
  for (let round = 1; round <= 3; round += 1) {
    const said = await page.evaluate((paths) => Promise.all(paths.map(async (path) => (await fetch(path)).json())), asked);
    assert.deepEqual(said.map(({ user }) => user), Array(6).fill('ann'));
    const expected = { [paris.id]: 3 * round, [tokyo.id]: 3 * round };
    const brought = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
    const { writes } = paris.session(readToken(new Headers({ Cookie: brought }))).inspect();
    assert.deepEqual(writes, expected);
    // A navigation brings all of it, whichever replica answers.
    await page.goto(`${url}/seen?at=tokyo`);
    assert.deepEqual(await json(page), { user: 'ann', seen: expected });
    await page.goto(`${url}/page`);
  }
  await tokyo.exchange(await paris.exchange(await tokyo.exchange(new Uint8Array())));
  await paris.exchange(await tokyo.exchange(await paris.exchange(new Uint8Array())));
  await page.goto(`${url}/page`);
  assert.equal((await context.cookies()).length, 2, 'one says who it is, one says what it has seen');
}));

test('two tabs share one jar, and what either has seen the other’s next request brings', (t) => inBrowser({}, async ({ context }) => {
  const { url, replicas: [paris, tokyo] } = await serve(t);
  const [one, other] = [await context.newPage(), await context.newPage()];
  await one.goto(`${url}/page?user=ann`);
  await Promise.all([one.goto(`${url}/write/a?hold=2`), other.goto(`${url}/write/b?hold=2&at=tokyo`)]);
  await one.goto(`${url}/seen`);
  assert.deepEqual(await json(one), { user: 'ann', seen: { [paris.id]: 1, [tokyo.id]: 1 } });
}));

test('in a page, fetch carries the session of a page without a replica, and nothing of a server’s is loaded', (t) => inBrowser({}, async ({ context }) => {
  const { url, replicas: [paris] } = await serve(t);
  const page = await context.newPage();
  const loaded = [];
  page.on('request', (request) => loaded.push(new URL(request.url()).pathname));
  await page.goto(`${url}/page`);
  const said = await page.evaluate(async () => {
    const { currentSession, withToken } = await import('/edge-session.js');
    const api = withToken();
    await api('/login?user=ann', { credentials: 'omit' });
    await Promise.all([0, 1, 2].map((n) => api(`/write/${n}?hold=3`, { credentials: 'omit' })));
    return { ...(await (await api('/seen', { credentials: 'omit' })).json()), session: currentSession() ?? null };
  });
  assert.deepEqual(said, { user: 'ann', seen: { [paris.id]: 3 }, session: null });
  assert.deepEqual([...new Set(loaded)].sort(), ['/edge-session.js', '/login', '/page', '/seen', '/write/0', '/write/1', '/write/2']);
}));
