// Notes behind Hono: every request has its session, whichever edge answers it. For Node, Deno and Bun; on Cloudflare the
// replica is a Durable Object, see cloudflare-worker.ts.
import { Hono } from 'hono';
import { http, openReplica } from 'edge-session';
import { type EdgeSessionVariables, edgeSession } from 'edge-session/hono';

type Keys = { [k: `note:${string}`]: { text: string } };

declare const process: { env: Record<string, string | undefined> };
const app = new Hono<{ Variables: EdgeSessionVariables<Keys> }>();
const key = process.env['EDGE_SESSION_KEY'] ?? '';
let opening: ReturnType<typeof openReplica<Keys>> | undefined;
const replica = () => (opening ??= openReplica<Keys>({ secret: { kid: '1', key }, connect: http('https://origin.example/sync') }));

app.use(edgeSession<Keys>(replica, { onStale: 'wait', timeout: '200ms', serverTiming: true }));

app.post('/login', async (c) => {
  // Here your own login asks for more than a name. What was seen before it is seen after it.
  const { user } = await c.req.json<{ user: string }>();
  c.set('session', (await replica()).session({ user }).merge(c.var.session.token));
  return c.body(null, 204);
});
app.get('/notes/:id', async (c) => c.json((await c.var.session.get(`note:${c.req.param('id')}`)) ?? { text: '' }));
app.put('/notes/:id', async (c) => {
  await c.var.session.set(`note:${c.req.param('id')}`, await c.req.json<{ text: string }>());
  return c.body(null, 204);
});

export default app;
