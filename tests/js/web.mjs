// Servers and browsers as the tests of tokens in HTTP use them: a handler of requests behind a real server of Node, and a jar that
// does with cookies what a browser does.
import { once } from 'node:events';
import { createServer } from 'node:http';

/** A real server for a handler from Request to Response. Answers its address. */
export async function serve(t, handler) {
  const server = createServer(async (incoming, outgoing) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const { method, headers } = incoming;
    const body = method === 'GET' || method === 'HEAD' ? undefined : Buffer.concat(chunks);
    const request = new Request(`http://${headers.host}${incoming.url}`, { method, headers: Object.entries(headers).map(([k, v]) => [k, String(v)]), body });
    const response = await handler(request);
    const cookies = response.headers.getSetCookie();
    const others = [...response.headers].filter(([name]) => name !== 'set-cookie');
    outgoing.writeHead(response.status, [...others, ...cookies.map((cookie) => ['Set-Cookie', cookie])].flat());
    outgoing.end(Buffer.from(await response.arrayBuffer()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** Cookies of one site: the last one of a name stays, and one whose time is over goes. */
export class Jar {
  cookies = new Map();

  get header() {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  take(response) {
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split('; ');
      const at = pair.indexOf('=');
      if (attributes.includes('Max-Age=0')) this.cookies.delete(pair.slice(0, at));
      else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
  }
}

/** Every order of a list. */
export function* orders(list) {
  if (list.length < 2) yield list;
  for (const [n, one] of list.entries()) for (const rest of orders(list.toSpliced(n, 1))) yield [one, ...rest];
}
