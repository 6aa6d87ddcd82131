// Callers' code in the middle of things: listeners that write, getters and clocks that throw, an instance that traps. None of it
// can find the core half-way, and none of it reaches another replica.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pair } from 'edge-session';
import { DEADLINE, SECRET, TestStorage, mocked, next, open, openAll, rejection, thrown, within } from './support.mjs';

test('a listener that writes during a notification is heard in order', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  const [first, second] = [[], []];
  replica.on('change', ({ key, value }) => {
    first.push(value);
    if (value < 5) session.sync.set(key, value + 1);
  });
  replica.on('change', ({ value }) => second.push(value));
  session.sync.set('n', 1);
  assert.deepEqual(first, [1, 2, 3, 4, 5]);
  assert.deepEqual(second, [1, 2, 3, 4, 5], 'also by the listener that comes after it');
  assert.equal(session.sync.get('n'), 5);
});

test('a listener may do anything: read, begin sessions, stop listening, close', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  const seen = [];
  const off = replica.on('change', ({ key }) => {
    off();
    seen.push(session.sync.get(key), replica.session().peek(key), replica.inspect().keys);
    replica.session()[Symbol.dispose]();
    void replica.close();
  });
  replica.on('change', () => seen.push('the other one'));
  session.sync.set('a', 1);
  assert.deepEqual(seen, [1, 1, 1, 'the other one']);
  assert.throws(() => session.sync.get('a'), { code: 'REPLICA_CLOSED' });
});

test('whoever is told of the end may ask for it, and it comes once', async (t) => {
  const told = {
    status: (replica, end) => replica.on('status', end),
    link: (replica, end) => replica.on('link', end),
    query: (replica, end) => void replica.session().track('work', ({ signal }) => new Promise(() => signal.addEventListener('abort', end))).catch(() => {}),
    transport: (replica, end) => replica.connect({ kind: 'own', open: (hello) => hello.signal.addEventListener('abort', end) }).ready,
  };
  for (const [who, tell] of Object.entries(told)) {
    let [unlocked, closed] = [0, 0];
    const storage = Object.assign(new TestStorage(), { lock: async () => () => (unlocked += 1), close: () => void (closed += 1) });
    const replica = await open(t, { storage });
    await replica.session().set('a', 1);
    await replica.connect(pair()[0]).ready;
    const ends = [];
    await tell(replica, () => ends.push(replica.close()));
    const end = replica.close();
    assert.ok(ends.length > 0, `${who} is told`);
    await within(Promise.all([end, ...ends]), `the end, of which ${who} is told`);
    assert.deepEqual([unlocked, closed], [1, 1], who);
  }
});

test('a listener that throws is reported on the console and disturbs nobody', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  const complaints = mocked(t, console, 'error', () => {});
  const bug = new Error('a bug of the application');
  let heard = 0;
  replica.on('change', () => {
    throw bug;
  });
  replica.on('change', () => (heard += 1));
  await session.set('a', 1);
  session.sync.set('a', 2);
  assert.equal(heard, 2);
  assert.equal(complaints.mock.callCount(), 2);
  assert.equal(complaints.mock.calls[0].arguments.at(-1), bug);
});

test('a transport that throws where it may not disturbs nobody else, now and later', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  const complaints = mocked(t, console, 'error', () => {});
  const bug = new Error('a bug of the transport');
  const backlog = () => {
    throw bug;
  };
  const duplex = { readable: new ReadableStream(), writable: new WritableStream(), backlog };
  await replica.connect({ kind: 'broken', open: (_, join) => join(duplex) }).ready;
  assert.equal(complaints.mock.calls[0].arguments.at(-1), bug);
  const watch = session.watch('a');
  await session.set('a', 1);
  assert.equal((await within(watch.next(), 'who watches')).value.value, 1);
});

test('a getter that throws while a value is taken leaves everything as it was', async (t) => {
  const replica = await open(t);
  const session = replica.session();
  await session.set('a', 1);
  const bug = new Error('a bug of the application');
  const value = {
    get broken() {
      throw bug;
    },
  };
  for (const error of [await rejection(session.set('a', value)), thrown(() => session.sync.set('a', value)), await rejection(session.batch((tx) => tx.set('b', 1).set('a', value)))]) {
    assert.equal(error.code, 'VALUE_INVALID');
    assert.equal(error.cause, bug);
  }
  assert.deepEqual([await session.get('a'), await session.get('b')], [1, undefined]);
});

test('a getter that writes while a value is taken writes first', async (t) => {
  const session = (await open(t)).session();
  const value = {
    get nested() {
      session.sync.set('b', 'by the getter');
      session.sync.set('a', 'by the getter');
      return true;
    },
  };
  session.sync.set('a', value);
  assert.deepEqual(session.sync.get('a'), { nested: true });
  assert.equal(session.sync.get('b'), 'by the getter');
});

test('a clock that throws fails the call, and nothing else', async (t) => {
  let broken = false;
  const clock = () => {
    if (broken) throw new Error('no clock');
    return Date.now();
  };
  const session = (await open(t, { clock })).session();
  await session.set('a', 1);
  broken = true;
  assert.match((await rejection(session.set('a', 2))).cause.message, /no clock/);
  broken = false;
  assert.equal(await session.get('a'), 1);
});

/** Opens a replica, and takes hold of its instance on the way. */
async function openWithInstance(t, options) {
  const { Instance } = WebAssembly;
  let instance;
  WebAssembly.Instance = class extends Instance {
    constructor(...args) {
      super(...args);
      instance = this;
    }
  };
  try {
    return [await open(t, options), () => new Uint8Array(instance.exports.memory.buffer).fill(0xff)];
  } finally {
    WebAssembly.Instance = Instance;
  }
}

test('a trap ends one replica: it says so, everyone who waits is told, and its neighbour lives on', async (t) => {
  const storage = new TestStorage();
  const [replica, destroy] = await openWithInstance(t, { storage });
  const neighbour = await open(t);
  const [session, there] = [replica.session(), neighbour.session()];
  await session.set('a', 1);
  await there.set('a', 2);
  const elsewhere = neighbour.session();
  await elsewhere.set('b', 1);
  const waiting = rejection(replica.session({ token: await elsewhere.sealed(), timeout: DEADLINE }).get('b'));
  const watching = rejection(session.watch('a').next());
  const [crash, error, status] = [next(replica, 'crash'), next(replica, 'error'), next(replica, 'status')];

  destroy();
  assert.equal((await rejection(session.get('a'))).code, 'REPLICA_CRASHED');
  const { recovered, cause } = await crash;
  assert.equal(recovered, false);
  assert.ok(cause instanceof Error, String(cause));
  assert.equal((await error).code, 'REPLICA_CRASHED');
  assert.equal((await status).persisted, false);
  for (const wait of [waiting, watching]) assert.equal((await within(wait, 'the news of the crash')).code, 'REPLICA_CRASHED');
  for (const call of [() => session.sync.set('a', 3), () => session.token, () => replica.session(), () => replica.inspect(), () => replica.snapshot()]) {
    const later = thrown(call);
    assert.equal(later.code, 'REPLICA_CRASHED');
    assert.equal(later.retryable, true);
  }
  assert.equal(session.reason, 'REPLICA_CRASHED');
  session[Symbol.dispose]();
  globalThis.gc?.();
  await replica.close();

  assert.equal(await there.get('a'), 2);
  await there.set('a', 3);
  const again = await open(t, { storage: new TestStorage(storage.disk) });
  assert.equal(await again.session().get('a'), 1, 'what was durable is in storage, and storage was let go of');
});

test('a crash that nobody listens for is on the console', async (t) => {
  const [replica, destroy] = await openWithInstance(t);
  const session = replica.session();
  const complaints = mocked(t, console, 'error', () => {});
  destroy();
  assert.throws(() => session.sync.set('a', 1), { code: 'REPLICA_CRASHED' });
  assert.equal(complaints.mock.callCount(), 1);
  assert.equal(complaints.mock.calls[0].arguments[0].code, 'REPLICA_CRASHED');
});

/** A replica with the users ann and bob, who are logged in, and have read and written in front of the core. */
async function users(t, options = {}) {
  const tokyo = await open(t, { id: 'tokyo', secret: SECRET, ...options });
  for (const user of ['ann', 'bob']) {
    await tokyo.admin.createUser(user, 'a password of some length');
    await tokyo.admin.grant(user, 'User', 'default');
  }
  const [ann, bob] = [tokyo.session({ user: 'ann' }), tokyo.session({ user: 'bob' })];
  bob.sync.set('k', 'old');
  ann.sync.set('of ann', 1);
  void bob.satisfied();
  assert.equal(ann.sync.get('k'), 'old');
  assert.equal(ann.sync.get('k'), 'old');
  return [tokyo, ann, bob];
}

test('who writes, deletes or loses a role while somebody is told of something is not answered by what was before', async (t) => {
  const [tokyo, ann, bob] = await users(t);
  const seen = [];
  tokyo.on('change', ({ key }) => {
    if (key !== 'trigger') return;
    bob.sync.set('k', 'new');
    seen.push(ann.sync.get('k'));
    bob.sync.delete('k');
    seen.push(ann.sync.get('k'));
    bob.sync.set('k', 'secret');
    seen.push(ann.sync.get('k'));
    tokyo.admin.revoke('ann', 'User', 'default').catch(() => {});
    seen.push(thrown(() => ann.sync.get('k')).code);
  });
  bob.sync.set('trigger', 1);
  assert.deepEqual(seen, ['new', undefined, 'secret', 'PERMISSION_DENIED']);
});

test('what a call has allowed is taken back by what somebody does who hears of that call', async (t) => {
  const [tokyo, ann, bob] = await users(t);
  const off = tokyo.on('change', ({ key }) => {
    if (key !== 'trigger') return;
    off();
    tokyo.admin.revoke('ann', 'User', 'default').catch(() => {});
  });
  ann.sync.set('trigger', 1);
  assert.equal(thrown(() => ann.sync.set('written', 'past the revocation')).code, 'PERMISSION_DENIED');
  assert.equal(bob.sync.get('written'), undefined);
});

test('what a read has allowed is taken back by what somebody does who hears of that read', async (t) => {
  let now = Date.UTC(2026, 10, 22);
  const [tokyo, ann, bob] = await users(t, { clock: () => now });
  tokyo.session({ user: 'ann', expiresIn: 1_000 });
  const off = tokyo.on('session', () => {
    off();
    tokyo.admin.revoke('ann', 'User', 'default').catch(() => {});
  });
  now += 5_000;
  // The end of the session that was brief is told within this very read.
  ann.sync.get('not there');
  assert.equal(bob.sync.get('k'), 'old');
  assert.equal(thrown(() => ann.sync.get('k')).code, 'PERMISSION_DENIED');
});

test('who reads between two tokens that are merged is asked again after the second', async (t) => {
  let now = Date.UTC(2026, 10, 22);
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { clock: () => now });
  const [far, near, reader] = [paris.session(), tokyo.session(), tokyo.session()];
  far.sync.set('k', 'newer');
  near.sync.set('k', 'older');
  reader.sync.get('k');
  const tokens = [near.token, far.token];
  tokyo.session({ expiresIn: 1_000 });
  let read;
  const off = tokyo.on('session', () => {
    off();
    read = reader.sync.get('k');
  });
  now += 5_000;
  reader.merge(...tokens);
  assert.equal(read, 'older');
  assert.equal(thrown(() => reader.sync.get('k')).code, 'STALE_REPLICA');
});
