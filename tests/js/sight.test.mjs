// Every byte that a client receives in a busy run, over WebSockets and over requests: synchronisation, calls, statements, remote reads,
// errors, closing words. Nothing of it is what its user may not read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { http, webSocket } from 'edge-session';
import { WebSocket } from 'ws';
import { serveAt } from './serving.mjs';
import { DEADLINE, SECRET, open, within } from './support.mjs';

const PATIENT = { timeout: '25s' };
const PASSWORD = 'a long password';
// What only the hidden user may see, in every form in which it could escape; the names are what others may say themselves.
const NAMES = ['hiddenuser', 'hiddenspace'];
const WORDS = ['hiddenkey', 'hiddenvalue', 'hiddenstatement', 'hiddenclient', 'hiddentab', 'hiddenerror', 'argon2', PASSWORD];

/** All that a client has received, with what is said in base64url within it. */
class Received {
  #chunks = [];

  take(bytes) {
    this.#chunks.push(Buffer.from(bytes));
  }

  get length() {
    return this.#chunks.reduce((sum, { length }) => sum + length, 0);
  }

  holds(secret) {
    return this.#chunks.some((chunk) => {
      const coded = chunk.toString('latin1').match(/[\w-]{20,}/g) ?? [];
      return [chunk, ...coded.map((text) => Buffer.from(text, 'base64url'))].some((bytes) => bytes.includes(secret));
    });
  }
}

/** How a client comes, and what it receives: messages and closing words, or answers with their headers. */
const ways = {
  'a WebSocket'({ ws }, token, received) {
    class Seen extends WebSocket {
      constructor(...args) {
        super(...args);
        this.on('message', (data) => received.take(data));
        this.on('close', (_, reason) => received.take(reason));
      }
    }
    return webSocket(ws, { token, WebSocket: Seen, maxDelay: 50 });
  },
  requests({ url }, token, received) {
    const seen = async (...args) => {
      const response = await fetch(...args);
      const body = await response.clone().arrayBuffer();
      received.take(body);
      received.take(Buffer.from(JSON.stringify([...response.headers])));
      return response;
    };
    return http(url, { token, fetch: seen, every: 20, maxDelay: 50 });
  },
};

async function edgeAt(t) {
  const execute = async (statement, { session }) => {
    if (session.user === 'hiddenuser') await session.set('hiddenkey by statement', statement);
    if (statement.startsWith('fail')) throw new Error(`hiddenerror: ${statement}`);
    return [{ keys: session.sync.list().length }];
  };
  const edge = await open(t, { id: 'edge', secret: SECRET, execute });
  edge.on('error', () => {}); // What clients may not is told here.
  await edge.admin.run(`CREATE SPACE shop; CREATE SPACE hiddenspace; CREATE USER ann WITH PASSWORD '${PASSWORD}';
    CREATE USER hiddenuser WITH PASSWORD '${PASSWORD}'; GRANT USER ON shop TO ann; GRANT USER ON hiddenspace TO hiddenuser`);
  return { edge, ...(await serveAt(t, edge)) };
}

/** A client of a user, whose session is in a space. */
async function client(t, at, way, id, user, space, client) {
  const received = new Received();
  const session = await at.edge.login(user, PASSWORD, { space, client });
  const token = await session.sealed();
  const tab = await open(t, { id });
  await within(tab.connect(ways[way](at, token, received)).ready, 'the link');
  return { received, session: tab.session(token), tab };
}

for (const way of Object.keys(ways)) {
  test(`no byte that a client receives is what its user may not read: ${way}`, async (t) => {
    const at = await edgeAt(t);
    const ann = await client(t, at, way, 'anntab', 'ann', 'shop', 'phone');
    const hidden = await client(t, at, way, 'hiddentab', 'hiddenuser', 'hiddenspace', 'hiddenclient');
    const codes = new Set();
    /** Whatever comes of it. */
    const asks = (promise) => promise.then(() => codes.add('OK'), ({ code }) => codes.add(code));
    const ids = [hidden.session.id, Buffer.from(hidden.session.id.replaceAll('-', ''), 'hex'), hidden.tab.id.split('~')[1]];

    /** Both are busy; the one does what `more` says. */
    const busy = async (rounds, more) => {
      for (let n = 0; n < rounds; n += 1) {
        await hidden.session.set(`hiddenkey ${n}`, `hiddenvalue ${n} ${'x'.repeat(n % 5 === 0 ? 100_000 : 10)}`);
        await ann.session.set(`own ${n}`, n);
        await Promise.all([
          asks(hidden.session.run(n % 3 === 0 ? 'fail hiddenstatement' : 'hiddenstatement', PATIENT)),
          asks(hidden.session.remote.list({ space: 'hiddenspace', limit: 3, ...PATIENT })),
          asks(at.edge.session({ user: 'hiddenuser', space: 'hiddenspace' }).set('shared', `hiddenvalue at the edge ${n}`)),
          ...more(n).map(asks),
        ]);
      }
      await Promise.all([ann.tab.synced({ timeout: DEADLINE }), hidden.tab.synced({ timeout: DEADLINE })]);
    };
    const statements = ['SHOW SESSIONS', 'SHOW QUERIES', 'SHOW SPACES', 'SHOW USERS', 'SHOW ROLES IN shop', 'DESCRIBE USER ann', 'count', 'fail', 'SHOW NONSENSE', 'CREATE USER eve', 'KILL QUERY (session=0, plan=1)'];
    await busy(6, (n) => [
      ...[2 * n, 2 * n + 1].map((at) => ann.session.run(statements[at % statements.length], PATIENT)),
      ann.session.remote.get('own 1', { space: 'shop', ...PATIENT }),
      ann.session.remote.list({ space: 'shop', ...PATIENT }),
      ann.tab.login('ann', n % 4 === 0 ? 'wrong' : PASSWORD, PATIENT),
      ann.tab.login('nobody', 'wrong', PATIENT),
      ann.session.remote.list({ space: 'nowhere', ...PATIENT }),
    ]);
    for (const secret of [...NAMES, ...WORDS, ...ids]) assert.equal(ann.received.holds(secret), false, `${way}: ${secret}`);

    // And what it asks for by name: the names it has said itself.
    const named = ['DESCRIBE USER hiddenuser', 'SHOW ROLES IN hiddenspace', 'DROP USER hiddenuser', 'GRANT USER ON hiddenspace TO ann', `KILL SESSION ${'0'.repeat(8)}-0000-7000-8000-000000000000`, "CHANGE PASSWORD hiddenuser FROM 'x' TO 'y'"];
    await busy(3, (n) => [
      ...[2 * n, 2 * n + 1].map((at) => ann.session.run(named[at], PATIENT)),
      ann.session.remote.get('hiddenkey 1', { space: 'hiddenspace', ...PATIENT }),
      ann.session.remote.list({ space: 'hiddenspace', ...PATIENT }),
      ann.session.remote.list({ space: '$system', ...PATIENT }),
      ann.tab.login('hiddenuser', 'wrong', PATIENT),
      ann.tab.session({ token: ann.session.token, space: 'hiddenspace' }).get('hiddenkey 1', { timeout: 10 }),
    ]);
    for (const secret of [...WORDS, ...ids]) assert.equal(ann.received.holds(secret), false, `${way}, by name: ${secret}`);

    t.diagnostic(`${ann.received.length} bytes, ${[...codes].sort().join(' ')}`);
    assert.ok(ann.received.length > 10_000, 'the run was busy');
    for (const code of ['OK', 'PERMISSION_DENIED', 'SYNTAX', 'TRANSPORT_FAILED', 'BAD_CREDENTIALS']) assert.ok(codes.has(code), code);
    // The eye sees: what the other one received holds it.
    for (const secret of ['hiddenvalue', 'hiddenspace', 'hiddenuser']) assert.equal(hidden.received.holds(secret), true, secret);
  });
}
