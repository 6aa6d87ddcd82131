// The session service in the package: the matrix by role and statement, queries that are killed, kills that reach the fleet,
// accounts. The table is tests/data/service/statements.txt, which the Rust tests read too.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EdgeSessionError, openReplica, pair } from 'edge-session';
import { DEADLINE, SECRET, clock, converge, hashings, next, open, openAll, pull, rejection, thrown, within } from './support.mjs';

const table = readFileSync(new URL('../data/service/statements.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|')));

const SETUP = `CREATE SPACE shop; CREATE SPACE blog; CREATE USER me; CREATE USER admin; CREATE USER dba; CREATE USER nobody;
  CREATE USER writer; GRANT ADMIN ON shop TO admin; GRANT DBA ON shop TO dba; GRANT USER ON blog TO writer`;

/** The state in which each row begins: `theirs` runs the query 1, `elsewhere` the query 2. */
async function world(t, role) {
  const replica = await open(t, { secret: SECRET });
  await replica.admin.run(SETUP);
  if (role !== 'God' && role !== 'none') await replica.admin.grant('me', role, 'shop');
  const me = role === 'God' ? 'root' : 'me';
  const mine = replica.session({ user: me, space: 'shop' });
  const [theirs, elsewhere] = [replica.session({ user: 'dba', space: 'shop' }), replica.session({ user: 'writer', space: 'blog' })];
  for (const session of [theirs, elsewhere]) session.track('work', () => new Promise(() => {})).catch(() => {});
  const text = (statement) => {
    const ids = { '<mine>': mine.id, '<theirs>': theirs.id, '<elsewhere>': elsewhere.id };
    return statement.replace(/<\w+>/g, (name) => ids[name]).replace(/(?<= )me$/, me);
  };
  return { replica, mine, theirs, elsewhere, text };
}

const faces = readFileSync(new URL('../data/service/faces.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

/** The columns of a list's statement that its call shows too, as the call names them. */
const SHOWN = { sessions: [['SessionId', 'id'], ['UserName', 'user']], queries: [['SessionID', 'session'], ['Query', 'statement']] };

/** Until something is so; it is looked at now and then. */
const until = (so, what) =>
  within(
    new Promise((resolve) => {
      const timer = setInterval(() => so() && (clearInterval(timer), resolve()), 5);
    }),
    what,
  );

const outcome = (promise) => promise.then(() => 'OK', (error) => error.code);

for (const [at, role] of table[0].entries()) {
  if (at === 0) continue;
  test(`statements are answered as the table says, as ${role}`, async (t) => {
    for (const row of table.slice(1)) {
      const { replica, mine, text } = await world(t, role);
      assert.equal(await outcome(mine.run(text(row[0]))), row[at], `${row[0]}, as ${role}`);
      await replica.close();
    }
  });
}

for (const [at, role] of faces[0].entries()) {
  if (at < 2) continue;
  test(`calls and statements are two faces of one answer, as ${role}`, async (t) => {
    for (const row of faces.slice(1)) {
      const [call, statement, expected] = [row[0], row[1], row[at]];
      const one = await world(t, role);
      const [method, ...args] = one.text(call).split(' ').map((word) => (/^\d+$/.test(word) ? Number(word) : word));
      const admin = one.replica.admin.as(one.mine);
      let listed;
      assert.equal(await outcome((async () => (listed = await admin[method](...args)))()), expected, `${call}, as ${role}`);
      await one.replica.close();
      if (statement === '-') continue;
      const two = await world(t, role);
      let table;
      assert.equal(await outcome(two.mine.run(two.text(statement)).then((answer) => (table = answer))), expected, `${statement}, as ${role}`);
      for (const [column, field] of SHOWN[method] ?? []) {
        const rows = table.rows.map((cells) => cells[table.columns.indexOf(column)]).filter((cell) => cell !== statement);
        const ids = (list) => list.map((value) => (/^[0-9a-f]{8}-/.test(value) ? 'an id' : value)).sort();
        // The statement is itself a query of the asker's, in one row more.
        const own = method === 'queries' && field === 'session' ? 1 : 0;
        assert.deepEqual(ids(rows).slice(own), ids(listed.map((one) => one[field])), `${column}, as ${role}`);
      }
      await two.replica.close();
    }
  });
}

test('a table is plain data that prints as a table', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const session = replica.session({ user: 'ann' });
  const spaces = await session.run('SHOW SPACES');
  assert.deepEqual([spaces.columns, spaces.rows], [['Name'], [['default']]]);
  assert.deepEqual(JSON.parse(JSON.stringify(spaces)), { columns: ['Name'], rows: [['default']] });
  assert.equal(String(spaces), '+---------+\n| Name    |\n+---------+\n| default |\n+---------+\n');
  const shown = await session.run('SHOW SESSIONS | YIELD $-.SessionId AS id, $-.State AS state, $-.ClientIp');
  assert.deepEqual(shown.rows, [[session.id, 'active', null]]);
});

test('a syntax error names the place and what would have done there', async (t) => {
  const session = (await open(t)).session();
  const error = await rejection(session.run('KILL SESSION'));
  assert.ok(EdgeSessionError.is(error, 'SYNTAX'));
  assert.deepEqual(error.details, { position: 12, expected: ['a string', 'an integer', '$-.'] });
  assert.equal((await rejection(session.run('MATCH (n)'))).code, 'SYNTAX');
  assert.equal((await rejection(session.run(7))).code, 'ARGUMENT_INVALID');
});

test('other text goes to the host, as a query, and becomes a table', async (t) => {
  const execute = async (statement, { session, planId, deadline }) => {
    if (statement === 'FAIL') throw new Error('no disk');
    return [{ statement, user: session.user, plan: planId }, { statement, late: deadline !== null }];
  };
  const replica = await open(t, { execute, session: { queryTimeout: '1m' } });
  const session = replica.session({ user: 'ann' });
  const answer = await session.run('MATCH (n)');
  assert.deepEqual(answer.columns, ['statement', 'user', 'plan', 'late']);
  assert.deepEqual(answer.rows, [['MATCH (n)', 'ann', 1, null], ['MATCH (n)', null, null, 'true']]);
  assert.match(String(answer), /^\+-+\+/);
  assert.equal((await rejection(session.run('FAIL'))).message, 'no disk');
  const finished = replica.admin.queries({ finished: true });
  assert.deepEqual(finished.map(({ status, error }) => [status, error]), [['Completed', null], ['Failed', 'no disk']]);
});

test('whatever a database of the host answers becomes a table, or is refused by a code', async (t) => {
  let answer;
  const replica = await open(t, { execute: () => answer });
  const session = replica.session();
  const circle = [];
  circle.push(circle);
  for (const [given, columns, rows] of [
    [[{ id: 2n ** 63n, at: new Date(0) }], ['id', 'at'], [['9223372036854775808', '"1970-01-01T00:00:00.000Z"']]],
    [2n, ['value'], [['2']]],
    [{ columns: ['id'], rows: [[1n], [true]] }, ['id'], [['1'], ['true']]],
    [{ columns: [1], rows: [['a']] }, ['1'], [['a']]],
    // No table: one record.
    [{ columns: ['id'], rows: [1] }, ['columns', 'rows'], [['["id"]', '[1]']]],
    [[() => 1], ['value'], [[null]]],
  ]) {
    answer = given;
    const table = await session.run('SELECT');
    assert.deepEqual([table.columns, table.rows], [columns, rows]);
  }
  answer = Array.from({ length: 200_000 }, (_, n) => n);
  assert.equal((await session.run('SELECT')).rows.length, 200_000);
  for (answer of [[{ circle }], [{ parts: [1n] }]]) assert.equal((await rejection(session.run('SELECT'))).code, 'VALUE_INVALID');
});

test('a query that runs at another edge is listed, and killed', async (t) => {
  const [fra, nrt] = await openAll(t, ['fra1', 'nrt1'], { secret: SECRET, session: { publishEvery: 10 } });
  const [one, other] = pair();
  fra.connect(one);
  nrt.connect(other);
  const session = nrt.session({ user: 'ann' });
  let given;
  const failed = rejection(session.track('report', (context) => new Promise(() => (given = context))));
  const seen = () => fra.admin.queries({ session: session.id });
  await until(() => seen().length > 0, 'the query at the other edge');
  const [query] = seen();
  assert.deepEqual([query.plan, query.replica, query.statement, query.status, query.user], [given.planId, nrt.id, 'report', 'Running', 'ann']);
  assert.deepEqual(fra.admin.queries({ local: true }), []);
  const table = await fra.admin.run('SHOW QUERIES | YIELD $-.Host, $-.Query');
  assert.deepEqual(table.rows, [[nrt.id, 'report']]);
  await fra.admin.killQuery(session.id, query.plan);
  assert.equal((await within(failed, 'the end of the query')).code, 'QUERY_KILLED');
  assert.ok(given.signal.aborted);
  await until(() => seen().length === 0, 'the word of its end');
});

test('a killed query aborts, is reported as killed, and what it brings later is dropped', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const session = replica.session({ user: 'ann' });
  let late;
  let given;
  const query = session.track('report', (context) => {
    given = context;
    return new Promise((resolve) => {
      late = resolve;
    });
  });
  const failed = rejection(query);
  assert.equal(replica.admin.queries()[0].status, 'Running');
  await session.run(`KILL QUERY (PLAN = ${given.planId})`);
  assert.equal((await within(failed, 'the end of the query')).code, 'QUERY_KILLED');
  assert.ok(given.signal.aborted);
  assert.equal(given.signal.reason.code, 'QUERY_KILLED');
  late('a result');
  assert.deepEqual(replica.admin.queries({ finished: true }).map(({ statement, status }) => [statement, status])[0], ['report', 'Killed']);
  assert.equal(replica.admin.queries().length, 0);
});

test('a deadline, a signal, the end of a session and of a replica each end a query', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const [ann, bob] = [replica.session({ user: 'ann' }), replica.session({ user: 'bob' })];
  const never = () => new Promise(() => {});
  assert.equal((await within(rejection(ann.track('slow', never, { timeout: 20 })), 'the deadline')).code, 'QUERY_TIMEOUT');
  const control = new AbortController();
  const aborted = rejection(ann.track('left', never, { signal: control.signal }));
  control.abort('enough');
  assert.equal((await aborted).code, 'ABORTED');
  const [ends, stays] = [rejection(ann.track('a', never)), rejection(bob.track('b', never))];
  await ann.end();
  assert.equal((await within(ends, 'the end of the session')).code, 'QUERY_KILLED');
  assert.equal(ann.reason, 'SESSION_EXPIRED');
  await replica.close();
  assert.equal((await within(stays, 'the end of the replica')).code, 'REPLICA_CLOSED');
});

test('a query whose end comes while it begins is told of it, and its work does not begin', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const session = replica.session({ user: 'ann' });
  let begun = 0;
  const never = () => {
    begun += 1;
    return new Promise(() => {});
  };
  assert.equal((await within(rejection(session.track('late', never, { timeout: 0 })), 'the deadline')).code, 'QUERY_TIMEOUT');
  const last = () => replica.admin.queries({ finished: true })[0];
  assert.deepEqual([last().statement, last().status, begun], ['late', 'Timeout', 0]);
  assert.equal(replica.admin.queries().length, 0);
});

test('no password is hashed for who may not, nor many for who may', async (t) => {
  const replica = await open(t, { secret: SECRET });
  await replica.admin.run('CREATE USER ann; CREATE USER eve');
  const eve = replica.session({ user: 'eve' });
  const hashed = hashings(t);
  const many = (statement) => Array(100).fill(statement).join('; ');
  for (const [statement, code] of [
    ['CREATE USER x WITH PASSWORD "p"', 'PERMISSION_DENIED'],
    ['ALTER USER eve WITH PASSWORD "p"', 'PERMISSION_DENIED'],
    ['CHANGE PASSWORD ann FROM "p" TO "q"', 'PERMISSION_DENIED'],
    ['CHANGE PASSWORD eve FROM "p" TO "q"', 'QUOTA_EXCEEDED'],
  ]) {
    assert.equal((await rejection(eve.run(many(statement)))).code, code, statement);
    assert.equal((await rejection(replica.admin.as(eve).run(many(statement)))).code, code, statement);
  }
  assert.equal(hashed(), 0);
  assert.equal((await rejection(eve.run('CHANGE PASSWORD eve FROM "p" TO "q"'))).code, 'BAD_CREDENTIALS');
  assert.equal(hashed(), 2);
  // What comes before it is done, as where nothing is to be hashed.
  assert.equal((await rejection(eve.run('SHOW GRANTS; DROP USER ann; CREATE USER x WITH PASSWORD "p"'))).code, 'PERMISSION_DENIED');
  assert.equal(hashed(), 2);
});

test('a God whom the host has made so has passwords hashed', async (t) => {
  const replica = await open(t, { secret: SECRET, roleOf: (user) => (user === 'boss' ? 'God' : 'User') });
  const boss = replica.session({ user: 'boss' });
  await boss.run('CREATE USER ann WITH PASSWORD "p"; ALTER USER ann WITH PASSWORD "q"');
  assert.equal((await replica.login('ann', 'q')).user, 'ann');
});

// A password is looked at for some time, in which it may become an old one.
test('a password that was changed while it was looked at opens nothing and changes nothing', async (t) => {
  const now = clock();
  const replica = await open(t, { secret: SECRET, clock: () => (now.now += 1) });
  await replica.admin.createUser('ann', 'old');
  for (const begun of [0, 1, 2]) {
    const change = replica.admin.setPassword('ann', `new ${begun}`);
    for (let turn = 0; turn < begun; turn += 1) await undefined;
    const login = rejection(replica.login('ann', begun === 0 ? 'old' : `new ${begun - 1}`));
    await change;
    assert.equal((await login)?.code, 'BAD_CREDENTIALS');
  }
  const change = (to) => replica.admin.run(`CHANGE PASSWORD ann FROM "new 2" TO "${to}"`);
  const both = await Promise.allSettled([change('one'), change('other')]);
  assert.deepEqual(both.map(({ status, reason }) => reason?.code ?? status), ['fulfilled', 'BAD_CREDENTIALS']);
  assert.equal((await replica.login('ann', 'one')).user, 'ann');
});

test('work may throw anything, and its query has ended then', async (t) => {
  const replica = await open(t);
  const whatever = [Object.create(null), { toString: () => assert.fail() }, Symbol('why'), undefined, new EdgeSessionError('CONFLICT', 'mine')];
  for (const one of whatever) {
    const settled = await Promise.allSettled([replica.session().track('work', () => { throw one; })]);
    assert.deepEqual(settled, [{ status: 'rejected', reason: one }]);
  }
  assert.deepEqual(replica.admin.queries(), []);
  assert.deepEqual(replica.admin.queries({ finished: true }).map(({ status }) => status), Array(whatever.length).fill('Failed'));
});

test('what is no text is no statement, whatever asking for its text would do', async (t) => {
  const replica = await open(t, { secret: SECRET, execute: () => assert.fail() });
  const session = replica.session();
  for (const one of [Object.create(null), { toString: () => assert.fail() }, Symbol('SHOW SPACES'), ['SHOW SPACES'], null, undefined, 5, 'SHOW \ud800']) {
    for (const run of [session.run.bind(session), session.admin.run, replica.admin.run.bind(replica.admin), (text) => replica.admin.as(session).run(text), (text) => session.track(text, () => 1)]) {
      assert.equal((await rejection(run(one)))?.code, 'ARGUMENT_INVALID');
    }
  }
});

test('statements whose session is let go of while a password is hashed are not run, and nobody else notices', async (t) => {
  for (const roleOf of [undefined, () => 'User']) {
    const replica = await open(t, { secret: SECRET, roleOf });
    await replica.admin.createUser('ann', 'old');
    for (const runner of [(session) => session, (session) => replica.admin.as(session)]) {
      const session = replica.session({ user: 'ann' });
      const left = rejection(runner(session).run('CHANGE PASSWORD ann FROM "old" TO "new"'));
      session[Symbol.dispose]();
      assert.equal((await left)?.code, 'SESSION_NOT_FOUND');
      assert.equal((await replica.login('ann', 'old')).user, 'ann');
    }
  }
});

test('who is told of a kill may let go of the session that kills', async (t) => {
  const replica = await open(t, { secret: SECRET });
  await replica.admin.createUser('ann');
  const root = replica.session({ user: 'root' });
  for (let more = 0; more < 2; more += 1) replica.session({ user: 'ann' });
  let killed = 0;
  replica.on('session', () => {
    killed += 1;
    root[Symbol.dispose]();
  });
  assert.equal((await rejection(replica.admin.as(root).killSessions({ user: 'ann' })))?.code, 'SESSION_NOT_FOUND');
  assert.equal(killed, 1);
});

test('statements whose caller goes while a password is hashed are not run', async (t) => {
  const replica = await open(t, { secret: SECRET });
  const control = new AbortController();
  const left = rejection(replica.admin.run('CREATE USER zoe WITH PASSWORD "p"', { signal: control.signal }));
  control.abort('enough');
  const { code, cause } = await left;
  assert.deepEqual([code, cause], ['ABORTED', 'enough']);
  assert.deepEqual(await replica.admin.users(), ['root']);
});

test('a kill reaches the fleet, every handle, every copy, and says by whom and why', async (t) => {
  const [fra1, nrt1] = await openAll(t, ['fra1', 'nrt1'], { secret: SECRET });
  const here = fra1.session({ user: 'ann' });
  here.sync.set('a', 1);
  const token = await here.sealed();
  const there = nrt1.session(token);
  await converge(fra1, nrt1);
  assert.equal(there.sync.get('a'), 1);
  there.sync.set('b', 2);
  const told = next(nrt1, 'session');
  assert.equal(await fra1.admin.killSession(here.id, 'left the company'), true);
  const error = thrown(() => here.sync.set('a', 2));
  assert.deepEqual([error.code, error.details], ['SESSION_KILLED', { by: null, why: 'left the company' }]);
  // A kill is no write: something else is what the two do not agree in.
  fra1.session().sync.set('news', 1);
  await pull(nrt1, fra1);
  assert.equal((await told).session.state, 'killed');
  assert.equal(thrown(() => there.sync.get('a')).code, 'SESSION_KILLED', 'a copy is not answered either');
  assert.equal(thrown(() => there.sync.set('b', 3)).code, 'SESSION_KILLED');
  assert.equal(nrt1.session(token).reason, 'SESSION_KILLED');
  assert.equal(nrt1.session({ token, onRefused: 'anonymous' }).reason, null);
  assert.equal(await nrt1.admin.killSession(here.id), false, 'it is known nowhere any more');
});

test('a change of role acts on the next operation, also in front of the core', async (t) => {
  const replica = await open(t, { secret: SECRET });
  await replica.admin.run('CREATE USER ann; GRANT USER ON default TO ann');
  const session = replica.session({ user: 'ann' });
  session.sync.set('a', 1);
  session.sync.set('a', 2);
  assert.equal(session.sync.get('a'), 2);
  await replica.admin.run('REVOKE USER ON default FROM ann; GRANT GUEST ON default TO ann');
  assert.equal(thrown(() => session.sync.set('a', 3)).code, 'PERMISSION_DENIED');
  assert.equal(session.sync.get('a'), 2);
  await replica.admin.revoke('ann', 'Guest', 'default');
  assert.equal(thrown(() => session.sync.get('a')).code, 'PERMISSION_DENIED');
});

test('USE takes a session to another space', async (t) => {
  const replica = await open(t, { secret: SECRET, roleOf: () => 'User' });
  await replica.admin.createSpace('shop');
  const session = replica.session({ user: 'ann' });
  session.sync.set('a', 'in default');
  await session.run('USE shop');
  assert.equal(session.space, 'shop');
  assert.equal(session.sync.get('a'), undefined);
  session.sync.set('a', 'in shop');
  await session.run('USE default');
  assert.equal(session.sync.get('a'), 'in default');
  assert.equal((await rejection(session.run('USE nowhere'))).code, 'SPACE_NOT_FOUND');
});

test('what began in a space stays there, under the role there, when USE takes the session to another', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { secret: SECRET });
  await tokyo.admin.run('CREATE SPACE shop; CREATE SPACE blog; CREATE USER ann; GRANT USER ON shop TO ann; GRANT USER ON blog TO ann');
  await converge(tokyo, paris);
  const ann = tokyo.session({ user: 'ann', space: 'shop' });
  await ann.set('a', 'in the shop');
  const roamed = paris.session({ token: await ann.sealed(), timeout: DEADLINE });
  const [read, written] = [roamed.get('a'), roamed.set('b', 'for the shop')];
  const watch = roamed.watch({ prefix: '' });
  const told = watch.next();
  await roamed.run('USE blog');
  await converge(tokyo, paris);
  assert.equal(await within(read, 'the read'), 'in the shop');
  await within(written, 'the write');
  assert.deepEqual([roamed.space, await roamed.get('b')], ['blog', undefined]);
  const [shop, blog] = ['shop', 'blog'].map((space) => paris.session({ user: 'root', space }));
  assert.deepEqual([shop.sync.get('b'), blog.sync.get('b')], ['for the shop', undefined]);
  assert.equal((await within(told, 'what the shop tells')).done, false);
  // A role that is lost there is lost for what still listens there.
  const later = (async () => {
    for await (const { value } of watch) assert.notEqual(value, 'for the shop alone');
  })();
  await paris.admin.revoke('ann', 'User', 'shop');
  shop.sync.set('c', 'for the shop alone');
  assert.equal((await within(rejection(later), 'the refusal')).code, 'PERMISSION_DENIED');
  assert.equal(await roamed.get('c'), undefined);
});

test('a live value goes with its session to another space', async (t) => {
  const roles = { shop: 'User', blog: 'User' };
  const replica = await open(t, { secret: SECRET, roleOf: (user, space) => (user === 'root' ? 'God' : (roles[space] ?? null)) });
  await replica.admin.run('CREATE SPACE shop; CREATE SPACE blog');
  const [shop, blog] = ['shop', 'blog'].map((space) => replica.session({ user: 'root', space }));
  shop.sync.set('key', 'of the shop');
  blog.sync.set('key', 'of the blog');
  const ann = replica.session({ user: 'ann', space: 'shop' });
  const [live, silent, told] = [ann.live('key'), ann.live('key'), []];
  assert.equal(silent.value, 'of the shop');
  const stop = live.subscribe((value) => told.push(value));
  await ann.run('USE blog');
  assert.deepEqual([live.value, silent.value, told], ['of the blog', 'of the blog', ['of the shop', 'of the blog']]);
  shop.sync.set('key', 'what nobody here follows');
  blog.sync.set('key', 'again');
  await null;
  assert.deepEqual(told.splice(2), ['again']);
  stop();
  await ann.run('USE shop');
  assert.deepEqual([told.length, live.value], [2, 'what nobody here follows'], 'nobody is told any more');
});

test('where the replica is behind in the space gone to, a live value is not that of the space that was left', async (t) => {
  const [tokyo, paris] = await openAll(t, ['tokyo', 'paris'], { secret: SECRET });
  await tokyo.admin.run('CREATE SPACE shop; CREATE SPACE blog; CREATE USER ann; GRANT USER ON shop TO ann; GRANT USER ON blog TO ann');
  const ann = tokyo.session({ user: 'ann', space: 'shop' });
  await ann.set('key', 'of the shop');
  await converge(tokyo, paris);
  await ann.run('USE blog');
  await ann.set('key', 'of the blog');
  await ann.run('USE shop');
  const roamed = paris.session({ token: await ann.sealed() });
  const [live, told] = [roamed.live('key'), []];
  live.subscribe((value) => told.push(value));
  await roamed.run('USE blog');
  assert.deepEqual([live.value, told], [undefined, ['of the shop', undefined]]);
  await converge(tokyo, paris);
  assert.deepEqual([live.value, told.at(-1)], ['of the blog', 'of the blog']);
});

test('accounts: who knows the password is the user, a guess is a guess, and five lock', async (t) => {
  const now = clock();
  const replica = await open(t, { secret: SECRET, clock: now });
  await replica.admin.createUser('ann', 'sesame "open"\\');
  const ann = await replica.login('ann', 'sesame "open"\\', { client: 'phone' });
  assert.deepEqual([ann.user, ann.reason], ['ann', null]);
  const wrong = await Promise.all([replica.login('ann', 'x'), replica.login('eve', 'x')].map(rejection));
  assert.deepEqual(wrong.map(({ code, message }) => [code, message]), Array(2).fill(['BAD_CREDENTIALS', 'wrong user or password']));
  now.now += 1;
  await ann.run('CHANGE PASSWORD ann FROM "sesame \\"open\\"\\\\" TO "new"');
  assert.equal(ann.reason, 'SESSION_KILLED', 'sessions that came with the old one end');
  now.now += 1;
  await replica.login('ann', 'new');
  for (let guess = 0; guess < 5; guess += 1) await rejection(replica.login('ann', 'guess'));
  const locked = await rejection(replica.login('ann', 'new'));
  assert.deepEqual([locked.code, locked.details], ['BAD_CREDENTIALS', { limit: 'lockedForMs', allowed: 60_000 }]);
  now.now += 60_000;
  await replica.login('ann', 'new');
  const everything = JSON.stringify([replica.admin.log(), replica.admin.queries({ finished: true }), replica.inspect()]);
  assert.ok(!everything.includes('sesame') && !everything.includes('argon2id'), 'no password and no hash is shown');
});

test('the host may decide about passwords itself', async (t) => {
  assert.equal((await rejection(openReplica({ authenticate: 'account' }))).code, 'ARGUMENT_INVALID');
  const replica = await open(t, { authenticate: async (user, password) => user === 'ann' && password === 'yes' });
  assert.equal((await replica.login('ann', 'yes')).user, 'ann');
  assert.equal((await rejection(replica.login('ann', 'no'))).code, 'BAD_CREDENTIALS');
});

test('the operator sees sessions, queries, operations and the cache', async (t) => {
  const now = clock();
  const replica = await open(t, { id: 'fra1', secret: SECRET, clock: now, limits: { sessionsPerUser: 2 } });
  const { admin } = replica;
  const first = replica.session({ user: 'ann', client: 'phone', clientIp: '10.0.0.1' });
  await first.set('a', 1);
  now.now += 5_000;
  const second = replica.session({ user: 'ann' });
  assert.equal(replica.session({ user: 'ann' }).reason, 'MAX_CONNECTIONS_EXCEEDED');
  const rows = admin.sessions({ user: 'ann' });
  assert.deepEqual(rows.map(({ id }) => id), [second.id, first.id], 'the one used last first');
  assert.deepEqual(rows[1], {
    id: first.id, user: 'ann', role: 'User', space: 'default', replica: replica.id, client: 'phone', clientIp: '10.0.0.1', createdAt: now.now - 5_000,
    lastActiveAt: now.now - 5_000, expiresAt: first.expiresAt, state: 'active', activeQueries: 0, stats: { queries: 0, reads: 0, writes: 1, stale: 0, bytes: 1 }, ageMs: 0,
  });
  const { role, stats, config, history, activeQueries } = first.inspect();
  assert.deepEqual([role, stats, config, activeQueries], ['User', rows[1].stats, { onStale: 'wait', timeout: 1000 }, 0]);
  assert.deepEqual(history, [{ state: 'active', at: now.now - 5_000, by: null, why: null }]);
  assert.deepEqual(admin.sessions({ idleFor: '5s' }).map(({ id }) => id), [first.id]);
  await admin.createUser('ann');
  await admin.grant('ann', 'DBA', 'default');
  assert.deepEqual([await admin.users(), await admin.spaces(), await admin.roles('default')], [['ann', 'root'], ['default'], [{ user: 'ann', role: 'DBA' }]]);
  assert.equal((await rejection(admin.killQuery(first.id, 9))).code, 'QUERY_NOT_FOUND');
  assert.deepEqual(admin.log().map(({ action, outcome }) => [action, outcome]).slice(0, 2), [['CREATE USER ann', 'OK'], ['GRANT ROLE DBA ON default TO ann', 'OK']]);
  assert.equal(await admin.killSessions({ user: 'ann', except: second.id }), 1);
  assert.deepEqual([first.reason, second.reason], ['SESSION_KILLED', null]);
  assert.deepEqual(first.inspect().history.map(({ state }) => state), ['active', 'killed']);
  assert.equal(second.inspect().role, 'DBA', 'a role is looked up at every look');
  const { bytes, capacity, evictions } = admin.cache();
  assert.ok(bytes > 0 && bytes < capacity && evictions === 0);
  await admin.dropUser('ann');
  assert.equal((await rejection(admin.dropUser('root'))).code, 'PERMISSION_DENIED');
});

test('idle sessions end by a timer, and slow queries are told of', async (t) => {
  const replica = await open(t, { session: { idleTimeout: 30, slow: 10 } });
  const told = next(replica, 'session');
  const session = replica.session();
  assert.equal((await told).session.state, 'idle-expired');
  assert.equal(session.reason, 'SESSION_EXPIRED');
  const slow = next(replica, 'slow');
  await rejection(replica.session().track('long', () => new Promise(() => {}), { timeout: 20 }));
  assert.equal((await slow).status, 'Timeout');
});

test('the sessions of the fleet are listed and killed anywhere, and the log survives its replica', async (t) => {
  const [fra1, nrt1] = await openAll(t, ['fra1', 'nrt1'], { secret: SECRET, session: { publishEvery: 20 } });
  const [there, here] = pair();
  fra1.connect(there);
  nrt1.connect(here);
  const ann = fra1.session({ user: 'ann' });
  await until(() => nrt1.admin.sessions().length === 1, 'the row of the session');
  const [row] = nrt1.admin.sessions();
  assert.deepEqual([row.id, row.user, row.replica, row.state], [ann.id, 'ann', fra1.id, 'active']);
  assert.ok(row.ageMs >= 0 && row.ageMs < 60_000);
  assert.deepEqual(nrt1.admin.sessions({ local: true }), []);
  assert.match(String(await nrt1.admin.run('SHOW SESSIONS')), new RegExp(ann.id));
  assert.equal(await nrt1.admin.killSession(ann.id, 'enough'), true);
  await until(() => ann.reason === 'SESSION_KILLED', 'the kill');
  await until(() => fra1.admin.log().length === 1, 'the log');
  await nrt1.close();
  const [operation] = fra1.admin.log();
  assert.deepEqual([operation.replica, operation.user, operation.action, operation.outcome], [nrt1.id, null, `KILL SESSION "${ann.id}"`, 'OK']);
});

test('the calls of the operator under a session show and do what its role allows', async (t) => {
  const replica = await open(t, { secret: SECRET });
  await replica.admin.run('CREATE SPACE shop; CREATE USER ann; CREATE USER bob; GRANT ADMIN ON shop TO ann; GRANT USER ON shop TO bob');
  const [ann, bob, eve] = ['ann', 'bob', 'eve'].map((user) => replica.session({ user, space: 'shop' }));
  const [asAnn, asBob] = [ann, bob].map((session) => replica.admin.as(session));
  const elsewhere = replica.session({ user: 'root' });
  assert.deepEqual(asAnn.sessions().map(({ user }) => user).sort(), ['ann', 'bob', 'eve']);
  assert.deepEqual(asBob.sessions().map(({ id }) => id), [bob.id]);
  assert.equal((await rejection(asBob.killSession(eve.id))).code, 'PERMISSION_DENIED');
  assert.equal((await rejection(asAnn.killSession(elsewhere.id))).code, 'PERMISSION_DENIED');
  assert.equal(await asAnn.killSession(eve.id, 'noise'), true);
  assert.deepEqual(thrown(() => eve.sync.get('a')).details, { by: 'ann', why: 'noise' });
  assert.equal((await rejection(asBob.createUser('carl'))).code, 'PERMISSION_DENIED');
  await ann.run('USE shop');
  assert.ok(asAnn.log().length >= 1 && asAnn.log().every(({ target }) => target === 'shop'));
  for (const look of [() => asBob.log(), () => asBob.cache()]) assert.equal(thrown(look).code, 'PERMISSION_DENIED');
  assert.equal(thrown(() => replica.admin.as({})).code, 'ARGUMENT_INVALID');
});
