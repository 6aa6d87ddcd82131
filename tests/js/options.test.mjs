// Invalid options, at every public function: refused with one code that names the option, before anything is begun.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { EdgeSessionError, http, openReplica, pair, webSocket } from 'edge-session';
import { flushOnHide, idb } from 'edge-session/browser';
import { edgeSession } from 'edge-session/hono';
import { clearToken, readToken, runWithSession, withToken, writeToken } from 'edge-session/http';
import { serveReplica } from 'edge-session/node';
import { storageCases, transportCases } from 'edge-session/testing';
import { SECRET, TestStorage, clock, next, open, rejection, within } from './support.mjs';

/** What is no options. The last one has a name that is none of theirs: that it goes unnoticed may leave a secret, or a limit, unsaid. */
const NONE = [null, 5, Number.NaN, -1, Infinity, 'x', '', [], true, () => {}, Symbol('s'), { secrets: [] }];
/** What is no signal; none at all is `null`, as for `fetch`. */
const NO_SIGNAL = NONE.slice(1).concat({}, new AbortController(), new EventTarget());

async function refused(call, what) {
  const error = await rejection((async () => call())());
  assert.ok(EdgeSessionError.is(error, 'ARGUMENT_INVALID'), `${what}: ${String(error)}`);
}

test('whatever takes options refuses what is none', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const session = replica.session({ user: 'ann' });
  const { admin } = replica;
  const [server, response, headers] = [createServer(), () => new Response(), new Headers()];
  const doors = {
    openReplica: (given) => openReplica(given),
    limits: (limits) => openReplica({ limits }),
    'session of openReplica': (value) => openReplica({ session: value }),
    login: (given) => replica.login('a', 'b', given),
    connect: (given) => replica.connect(pair()[0], given),
    on: (given) => replica.on('status', () => {}, given),
    exchange: (given) => replica.exchange(new Uint8Array(), given),
    flush: (given) => replica.flush(given),
    synced: (given) => replica.synced(given),
    close: (given) => replica.close(given),
    get: (given) => session.get('a', given),
    set: (given) => session.set('a', 1, given),
    list: (given) => session.list(given).next(),
    watch: (given) => session.watch('a', given),
    sealed: (given) => session.sealed(given),
    missing: (given) => session.missing(given),
    'sync.set': (given) => session.sync.set('a', 1, given),
    'batch.set': (given) => session.batch((tx) => tx.set('a', 1, given)),
    'remote.get': (given) => session.remote.get('a', given),
    run: (given) => session.run('SHOW SPACES', given),
    track: (given) => session.track('work', () => 1, given),
    'admin.sessions': (given) => admin.sessions(given),
    'admin.queries': (given) => admin.queries(given),
    'admin.log': (given) => admin.log(given),
    'admin.killSessions': (given) => admin.killSessions(given),
    webSocket: (given) => webSocket('ws://localhost', given),
    http: (given) => http('http://localhost', given),
    idb: (given) => idb('a', given),
    withToken: (given) => withToken(fetch, session, given),
    readToken: (given) => readToken(headers, given),
    writeToken: (given) => writeToken(response(), '~', given),
    clearToken: (given) => clearToken(response(), given),
    edgeSession: (given) => edgeSession(replica, given),
    'carrier of edgeSession': (carrier) => edgeSession(replica, { carrier }),
    serveReplica: (given) => serveReplica(replica, server, given),
  };
  for (const [name, door] of Object.entries(doors)) for (const given of NONE) await refused(() => door(given), `${name} ${String(given)}`);
  assert.equal(replica.inspect().keys, 0);
  assert.deepEqual([replica.inspect().links.length, server.listenerCount('request')], [0, 0]);
});

test('whatever takes a signal refuses what is none, before it has begun to wait', async (t) => {
  const storage = new TestStorage();
  const replica = await open(t, { storage, execute: () => 1 });
  const session = replica.session();
  storage.hold();
  session.sync.set('a', 1);
  const doors = {
    openReplica: (signal) => openReplica({ storage, signal }),
    connect: (signal) => replica.connect(pair()[0], { signal }),
    on: (signal) => replica.on('status', () => {}, { signal }),
    exchange: (signal) => replica.exchange(new Uint8Array(), { signal }),
    flush: (signal) => replica.flush({ signal }),
    close: (signal) => replica.close({ signal }),
    get: (signal) => session.get('a', { signal }),
    list: (signal) => session.list({ signal }).next(),
    watch: (signal) => session.watch('a', { signal }),
    track: (signal) => session.track('work', () => 1, { signal }),
  };
  for (const [name, door] of Object.entries(doors)) for (const given of NO_SIGNAL) await refused(() => door(given), `${name} ${String(given)}`);
  assert.equal(replica.inspect().links.length, 0);
  storage.release();
  await replica.flush({ signal: null });
});

test('a name, a list or a function of the wrong kind is refused, not passed over', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const session = replica.session({ user: 'ann' });
  const bob = replica.session({ user: 'bob' });
  const host = await open(t, { authenticate: () => true });
  const { admin } = replica;
  const calls = [
    // What belongs to another operation says nothing here.
    () => session.get('a', { ttl: 1 }),
    () => session.delete('a', { ttl: 1 }),
    () => session.list({ space: 'b' }).next(),
    () => session.sync.list({ timeout: 1 }),
    () => session.remote.list({ guarantees: 'none' }),
    () => session.run('SHOW SESSIONS', { onStale: 'serve' }),
    () => replica.flush({ prefix: 'a' }),
    () => session.live('a').subscribe('listener'),
    () => replica.session({ user: '' }),
    () => admin.sessions({ user: 7 }),
    () => admin.queries({ session: 7 }),
    () => admin.log({ user: 7 }),
    () => admin.log({ since: 'today' }),
    // Else it would kill that one too.
    () => admin.killSessions({ user: 'bob', except: 7 }),
    () => admin.log({ since: NaN }),
    () => admin.createUser('eve', ''),
    // Lone surrogates would all cross as one character: two names, or two passwords, as one.
    () => admin.createUser('\ud800', 'password'),
    () => admin.createUser('eve', '\ud800'),
    () => host.login('', 'password'),
    () => replica.login('\ud800', 'password'),
    () => replica.login('eve', '\udc00'),
    () => session.run('SHOW GRANTS -- \ud800'),
    () => session.track('\ud800', () => 1),
    // Each session would be refused in a space of the fleet's own.
    () => openReplica({ space: '$system' }),
    // Cut in silence, it would be another than what was said.
    () => openReplica({ session: { leeway: '61s' } }),
    // What follows all keys by mistake would be told of all.
    () => session.watch({}),
    () => session.watch({ prefx: 'cart:' }),
    () => session.watch({ prefix: undefined }),
    () => session.remote.get('a', { spaces: 'b' }),
    () => session.sync.list({ prefx: 'a' }),
    () => session.list({ prefx: 'a' }).next(),
    () => session.admin.killSessions({ user: 'bob', exept: bob.id }),
    () => readToken(new Headers(), { cookie: { sameSight: 'lax' } }),
    () => webSocket('ws://localhost', { protocols: 'chat' }),
    () => webSocket('ws://localhost', { protocols: [7] }),
    () => http('http://localhost', { every: 0 }),
    () => withToken(fetch, 'session'),
    () => withToken(fetch, session, { header: 7 }),
    // A text would let in whatever is a part of it.
    () => withToken(fetch, session, { origins: 'https://shop.example.com' }),
    // These are the origins of no request: nobody would be sent the token, and nobody told so.
    ...['https://shop.example.com/', 'https://shop.example.com/api', 'HTTPS://shop.example.com', 'shop.example.com', '*'].map((origin) => () => withToken(fetch, session, { origins: [origin] })),
    () => readToken('request'),
    () => readToken(new Headers(), { cookie: 7 }),
    () => writeToken({}, '~'),
    () => runWithSession(session, 'work'),
    () => edgeSession('replica'),
    () => serveReplica({}, createServer()),
    () => flushOnHide({}),
    () => storageCases({}),
    () => transportCases({}),
  ];
  for (const call of calls) await refused(call, String(call));
  assert.equal(bob.reason, null);
});

test('an option whose getter throws fails the opening with that, and leaves nothing locked', async () => {
  for (const name of ['id', 'space', 'secret', 'limits', 'session', 'heartbeat', 'clock', 'execute', 'authenticate', 'roleOf', 'values', 'connect', 'signal']) {
    const storage = new TestStorage();
    const options = Object.defineProperty({ storage }, name, { get: () => assert.fail(name) });
    assert.equal((await rejection(openReplica(options))).message, name);
    assert.equal(storage.disk.locked, false, name);
  }
});

test('a signal that was given at the opening holds no replica that is over', async () => {
  const { signal } = new AbortController();
  let listening = 0;
  const counted = (by) => (type, listener) => {
    listening += by;
    return EventTarget.prototype[by > 0 ? 'addEventListener' : 'removeEventListener'].call(signal, type, listener);
  };
  const watched = Object.assign(signal, { addEventListener: counted(1), removeEventListener: counted(-1) });
  const replica = await openReplica({ signal: watched });
  await replica.close();
  assert.equal(listening, 0);
});

test('a clock that throws is told of as that, with what it threw', async (t) => {
  const cause = new Error('no time');
  const time = clock();
  let broken = true;
  const faulty = () => {
    if (broken) throw cause;
    return time();
  };
  const disk = new TestStorage().disk;
  disk.records = [new Uint8Array([1])];
  for (const storage of [new TestStorage(), new TestStorage(disk)]) {
    const error = await rejection(openReplica({ clock: faulty, storage }));
    assert.deepEqual([error.code, error.cause], ['ARGUMENT_INVALID', cause]);
    assert.match(error.message, /clock/);
  }
  broken = false;
  const replica = await open(t, { clock: faulty, storage: new TestStorage() });
  replica.on('error', () => {});
  const session = replica.session();
  broken = true;
  assert.deepEqual((await rejection(session.get('a'))).cause, cause);
  broken = false;
  assert.equal(await session.get('a'), undefined);
});

/** A session that waits for what this replica lacks, which takes an alarm: each look at the clock on the way may fail. */
test('a clock that fails once, at whichever look, ends no wait for ever, and what follows is still told', async (t) => {
  const other = (await open(t)).session();
  await other.set('elsewhere', 1);
  const token = await other.sealed();
  for (let failing = 1; failing <= 4; failing += 1) {
    let looks = Number.NaN;
    const replica = await open(t, {
      clock() {
        looks += 1;
        if (looks === failing) throw new Error('no time');
        return Date.now();
      },
    });
    replica.on('error', () => {});
    looks = 0;
    const ask = () => rejection((async () => replica.session({ token, timeout: 20 }).get('a'))());
    await within(ask(), `an end of the wait, look ${failing}`);
    const told = next(replica, 'change');
    await replica.session().set('b', 1);
    assert.equal((await told).key, 'b');
    assert.equal((await within(ask(), 'an end of the next wait')).code, 'STALE_REPLICA');
  }
});

test('who is told of a name that is none is told those that there are', async () => {
  const error = await rejection(openReplica({ vaules: 'frozen' }));
  assert.match(error.message, /'vaules'.*\bvalues\b/);
});
