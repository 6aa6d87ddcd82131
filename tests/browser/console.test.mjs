// The operations console on real edges: its line, its lists, its kills, who may what; and the shop's page, which feels it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { URL, answered, ask, goTo, inBrowser, last, power, road, setLag } from './page.mjs';

/** Opens the console in one more tab. */
async function open(context) {
  const page = await context.newPage();
  await page.goto(`${URL}console.html`);
  await page.evaluate(() => window.operations.ready);
  return page;
}

const line = (page) => page.getByRole('textbox', { name: 'Statement' });
const list = (page, name) => page.locator('.scroll').and(page.getByRole('region', { name, exact: true }));
const become = (page, who) => page.getByRole('radio', { name: who }).check({ force: true });
const answers = (page) => page.locator('#answers > li');

/** Runs a statement and returns its answer, once it is there. */
async function say(page, statement) {
  await line(page).fill(statement);
  await line(page).press('Enter');
  const answer = answers(page).filter({ has: page.locator('.asked code', { hasText: statement }) }).first();
  await answer.and(page.locator(':not([data-state="waiting"])')).waitFor();
  return answer;
}

/** The cells of a column of an answer. */
const column = (answer, n) => answer.locator(`tbody tr > :nth-child(${n})`).allTextContents();

test('the arrow keys bring back what was run, and at last what stood in the line', () => inBrowser({}, async ({ context }) => {
  const page = await open(context);
  await say(page, 'SHOW SPACES');
  await say(page, 'SHOW GRANTS');
  await say(page, 'SHOW GRANTS');
  await line(page).fill('CREATE USER eve WITH PASSWORD "sesame"');
  await line(page).press('Enter');
  await answers(page).filter({ hasText: 'CREATE USER eve WITH PASSWORD "••••••"' }).filter({ hasText: 'done' }).waitFor();
  await line(page).fill('SHOW S');
  const walked = [];
  for (const key of ['ArrowUp', 'ArrowUp', 'ArrowUp', 'ArrowDown', 'ArrowDown', 'ArrowDown']) {
    await line(page).press(key);
    walked.push(await line(page).inputValue());
  }
  assert.deepEqual(walked, ['SHOW GRANTS', 'SHOW SPACES', 'SHOW SPACES', 'SHOW GRANTS', 'SHOW S', 'SHOW S']);
  assert.equal((await page.locator('body').innerText()).includes('sesame'), false, 'no password is shown');
}));

test('help tells the forms, and puts an example into the line', () => inBrowser({}, async ({ context }) => {
  const page = await open(context);
  const help = page.locator('#help');
  assert.equal(await help.isVisible(), false);
  await line(page).fill('help');
  await line(page).press('Enter');
  await help.waitFor();
  assert.equal(await page.getByRole('button', { name: 'Help' }).getAttribute('aria-expanded'), 'true');
  await help.getByRole('button', { name: 'SHOW ROLES IN space' }).click();
  assert.equal(await line(page).inputValue(), 'SHOW ROLES IN default');
  await line(page).press('Enter');
  const rows = answers(page).first().locator('tbody tr');
  await rows.first().waitFor();
  assert.ok((await rows.allTextContents()).includes('annUSER'));
  await help.press('Escape');
  assert.equal(await help.isVisible(), false);
  await line(page).fill('kill q');
  assert.match(await page.locator('#hint').textContent(), /KILL QUERY \(SESSION = "id", PLAN = n\)/);
}));

test('every example of the help can be read', () => inBrowser({}, async ({ context }) => {
  const page = await open(context);
  const unread = await page.evaluate(async () => {
    const { STATEMENTS, PIPES } = await import('./console/grammar.js');
    const { openReplica } = await import('/pkg/bundle.js');
    const replica = await openReplica();
    const session = replica.session();
    const codes = await Promise.all([...STATEMENTS, ...PIPES].map(async ([form, , example]) => [form, await session.run(example).then(() => 'OK', ({ code }) => code)]));
    await replica.close();
    return codes.filter(([, code]) => code === 'SYNTAX' || code === 'SEMANTIC');
  });
  assert.deepEqual(unread, [['REPORT [seconds]', 'SYNTAX']], 'only the demo’s own is none of the core’s');
}));

test('an error shows its place, and the line is left there to be mended', () => inBrowser({}, async ({ context }) => {
  const page = await open(context);
  const answer = await say(page, 'SHOW SESSIONS | LIMIT x');
  assert.equal(await answer.locator('.chip').textContent(), 'SYNTAX');
  const [text, mark] = (await answer.locator('pre').textContent()).split('\n');
  assert.deepEqual([text, mark], ['SHOW SESSIONS | LIMIT x', `${' '.repeat(22)}^`]);
  assert.equal(await line(page).inputValue(), 'SHOW SESSIONS | LIMIT x');
  assert.equal(await line(page).evaluate(({ selectionStart }) => selectionStart), 22);
  await page.getByRole('status').filter({ hasText: 'SYNTAX' }).waitFor();
  const other = await say(page, 'REPORT soon');
  assert.equal((await other.locator('pre').textContent()).split('\n')[1], `${' '.repeat(7)}^`, 'the demo’s own statement too');
}));

test('sessions and queries come and go by themselves, and plots move with them', () => inBrowser({}, async ({ context, tab }) => {
  const page = await open(context);
  await list(page, 'Sessions').getByRole('row').filter({ hasText: 'root: this console' }).waitFor();
  const most = async () => Number(/at most (\d+)/.exec(await page.locator('#sessions-plot-sum').textContent())?.[1] ?? 0);
  const before = await most();
  const path = () => page.locator('#queries-plot .spark-line').getAttribute('d');
  const flat = await path();
  const shop = await tab();
  await answered(shop, 'Paris', 'add a book');
  await list(page, 'Sessions').getByRole('row').filter({ hasText: 'ann' }).filter({ hasText: 'active' }).waitFor();
  await page.getByRole('button', { name: 'Start a 30 s report' }).click();
  await list(page, 'Queries').getByRole('row').filter({ hasText: 'REPORT 30' }).waitFor();
  await page.getByRole('img', { name: /^Running queries, last two minutes: now 1, at most [1-9]/ }).waitFor();
  assert.notEqual(await path(), flat);
  assert.ok(await most() > before, 'Ann’s session is counted');
  await list(page, 'Queries').getByRole('button', { name: /REPORT 30/ }).click();
  await page.getByRole('img', { name: /^Running queries, last two minutes: now 0, at most [1-9]/ }).waitFor();
}));

test('a killed query is told as killed where it was asked, in the other page too', () => inBrowser({}, async ({ context, tab }) => {
  const page = await open(context);
  const other = await open(context);
  await page.getByRole('button', { name: 'Start a 30 s report' }).click();
  await list(other, 'Queries').getByRole('button', { name: /REPORT 30/ }).click();
  await answers(page).first().locator('.chip', { hasText: 'QUERY_KILLED' }).waitFor();

  // A request of the shop that waits for what its edge lacks is a query as well.
  const shop = await tab();
  await setLag(shop, 5_000);
  await answered(shop, 'Tokyo', 'add a book');
  await road(shop, 'Paris', 'Tokyo').click();
  await road(shop, 'Oregon', 'Paris').click();
  await shop.locator('#deadline').selectOption('20000');
  await goTo(shop, 'Paris');
  await ask(shop, 'read the cart');
  await list(page, 'Queries').getByRole('button', { name: /get cart/ }).click();
  await shop.getByRole('status').filter({ hasText: 'QUERY_KILLED' }).waitFor();
}));

test('a killed session is refused in the shop, by whom is told, and the log has it; then Ann is let in anew', () => inBrowser({}, async ({ context, tab }) => {
  const shop = await tab();
  await answered(shop, 'Paris', 'add a book');
  const page = await open(context);
  const session = () => shop.evaluate(() => [...document.querySelectorAll('#token-facts dt')].find(({ textContent }) => textContent === 'session').nextElementSibling.textContent);
  const killed = await session();
  const row = list(page, 'Sessions').locator(`[data-key="${killed}"]`);
  await row.getByRole('button', { name: /^Kill the session/ }).click();
  await row.waitFor({ state: 'detached' });
  await list(page, 'Operation log').getByRole('row').filter({ hasText: `KILL SESSION "${killed}"` }).filter({ hasText: 'root' }).filter({ hasText: 'OK' }).waitFor();
  const { outcome } = last(await answered(shop, 'Paris', 'read the cart'));
  assert.deepEqual([outcome.code, outcome.by], ['SESSION_KILLED', 'root']);
  await shop.getByRole('status').filter({ hasText: 'SESSION_KILLED by root' }).waitFor();
  assert.notEqual(await session(), killed);
  assert.equal(last(await answered(shop, 'Paris', 'read the cart')).outcome.state, 'value');
  assert.equal(await shop.evaluate(() => Object.values(window.demo.counts().anomalies).reduce((sum, count) => sum + count)), 0, 'a new session has no past that it could break');
}));

test('a session at another edge is listed as that edge has told, and a kill reaches it there', () => inBrowser({}, async ({ context, tab }) => {
  const shop = await tab();
  await setLag(shop, 0);
  await answered(shop, 'Tokyo', 'add a book');
  const killed = await shop.evaluate(() => [...document.querySelectorAll('#token-facts dt')].find(({ textContent }) => textContent === 'session').nextElementSibling.textContent);
  const page = await open(context);
  const row = list(page, 'Sessions').locator(`[data-key="${killed}"]`);
  await row.filter({ has: page.locator('td:nth-child(8)', { hasText: 'ago' }) }).getByRole('button').click();
  await row.waitFor({ state: 'detached' });
  await page.getByRole('radio', { name: 'Tokyo' }).check({ force: true });
  await list(page, 'Operation log').getByRole('row').filter({ hasText: `KILL SESSION "${killed}"` }).filter({ hasText: 'Paris' }).waitFor();
  const { outcome } = last(await answered(shop, 'Tokyo', 'read the cart'));
  assert.deepEqual([outcome.code, outcome.by], ['SESSION_KILLED', 'root']);
}));

test('a tab whose session is killed joins its edge with another', () => inBrowser({}, async ({ context, tab }) => {
  const shop = await tab();
  await answered(shop, 'This tab', 'add a book');
  const page = await open(context);
  await say(page, 'SHOW SESSIONS | YIELD $-.SessionId AS id WHERE $-.UserName == \'tab\' | KILL SESSION $-.id');
  await answered(shop, 'This tab', 'add a book');
  await shop.waitForFunction(() => window.demo.replicas().paris.values.cart?.items.length === 2, undefined, { timeout: 60_000 });
}));

test('an ordinary user sees the own sessions alone, and is told what she may not, and the log has it', () => inBrowser({}, async ({ context, tab }) => {
  const shop = await tab();
  await answered(shop, 'Paris', 'add a book');
  const page = await open(context);
  const sessions = await say(page, 'SHOW SESSIONS');
  const ids = await column(sessions, 1);
  const root = ids[(await column(sessions, 2)).indexOf('root')];
  await become(page, 'ann, a User');
  await list(page, 'Sessions').getByRole('row').filter({ hasText: 'ann: this console' }).waitFor();
  const seen = await column(await say(page, 'SHOW SESSIONS | YIELD $-.UserName'), 1);
  assert.ok(seen.length >= 2 && seen.every((user) => user === 'ann'), `she sees ${seen}`);
  for (const [statement, right] of [['SHOW USERS', 'list users'], [`KILL SESSION "${root}"`, 'kill the session'], ['CREATE USER eve', 'create, alter and drop users']]) {
    const answer = await say(page, statement);
    assert.equal(await answer.locator('.chip').textContent(), 'PERMISSION_DENIED', statement);
    assert.ok((await answer.textContent()).includes(`this needs the right to ${right}`), statement);
  }
  assert.match(await list(page, 'Operation log').textContent(), /nothing that you may read: the log is for God/);
  await become(page, 'root, who is God');
  await list(page, 'Operation log').getByRole('row').filter({ hasText: 'CREATE USER eve' }).filter({ hasText: 'ann' }).filter({ hasText: 'PERMISSION_DENIED' }).waitFor();
}));

test('a change of role acts on what the user does next, at other edges once they have heard', () => inBrowser({}, async ({ context, tab }) => {
  const shop = await tab();
  await setLag(shop, 0);
  await answered(shop, 'Paris', 'add a book');
  const page = await open(context);
  await say(page, 'REVOKE ROLE USER ON default FROM ann; GRANT ROLE GUEST ON default TO ann');
  assert.equal(last(await answered(shop, 'Paris', 'place an order')).outcome.code, 'PERMISSION_DENIED');
  assert.equal(last(await answered(shop, 'Paris', 'read the cart')).outcome.state, 'value');
  await page.getByRole('radio', { name: 'Tokyo' }).check({ force: true });
  // The operator's own session has seen it: Tokyo does not answer before it has.
  assert.deepEqual(await column(await say(page, 'DESCRIBE USER ann'), 1), ['GUEST']);
  assert.equal(last(await answered(shop, 'Tokyo', 'place an order')).outcome.code, 'PERMISSION_DENIED');
}));

test('a report whose page is gone runs on, where it is seen and can be killed', () => inBrowser({}, async ({ context }) => {
  const first = await open(context);
  await first.getByRole('button', { name: 'Start a 30 s report' }).click();
  await list(first, 'Queries').getByRole('row').filter({ hasText: 'REPORT 30' }).waitFor();
  const plan = await list(first, 'Queries').locator('tbody tr').getAttribute('data-key');
  await first.close();
  const page = await open(context);
  const row = list(page, 'Queries').locator(`[data-key="${plan}"]`);
  await row.getByRole('button').click();
  await row.waitFor({ state: 'detached' });
  await list(page, 'Operation log').getByRole('row').filter({ hasText: 'KILL QUERY' }).filter({ hasText: 'OK' }).waitFor();
}));

test('of an edge that is down the console says so, and goes on at another', () => inBrowser({ mayFail: /net::ERR_|WebSocket connection/ }, async ({ context, tab }) => {
  const shop = await tab();
  const page = await open(context);
  await say(page, 'SHOW SPACES');
  await page.getByRole('radio', { name: 'Tokyo' }).check({ force: true });
  await list(page, 'Sessions').getByRole('row').filter({ hasText: 'root: this console' }).waitFor();
  await power(shop, 'Tokyo', false);
  try {
    await list(page, 'Sessions').getByText('UNREACHED: the edge does not answer').waitFor();
    assert.match(await (await say(page, 'SHOW USERS')).textContent(), /UNREACHED/);
    await page.getByRole('radio', { name: 'Oregon' }).check({ force: true });
    await list(page, 'Sessions').getByRole('row').filter({ hasText: 'root: this console' }).waitFor();
  } finally {
    await power(shop, 'Tokyo', true);
  }
}));

test('a password goes to the sign-in and nowhere else', () => inBrowser({}, async ({ context }) => {
  const page = await context.newPage();
  let passwords;
  const said = [];
  page.on('websocket', (socket) => {
    socket.on('framereceived', ({ payload }) => { if (payload.includes('"keys"')) passwords = Object.values(JSON.parse(payload).passwords); });
    socket.on('framesent', ({ payload }) => said.push(['socket', String(payload)]));
  });
  page.on('request', (request) => said.push([new globalThis.URL(request.url()).pathname, `${request.url()} ${request.postData()}`]));
  await page.goto(`${URL}console.html`);
  await page.evaluate(() => window.operations.ready);
  await become(page, 'ann, a User');
  await list(page, 'Sessions').getByRole('row').filter({ hasText: 'ann: this console' }).waitFor();
  await become(page, 'root, who is God');
  await list(page, 'Operation log').getByRole('row').filter({ hasText: 'CREATE USER' }).first().waitFor();
  await say(page, 'SHOW SESSIONS');
  assert.ok(passwords.length === 2 && passwords.every((password) => password.length >= 32));
  const holds = (text) => passwords.some((password) => text.includes(password));
  assert.deepEqual(new Set(said.filter(([, text]) => holds(text)).map(([where]) => where)), new Set(['/sign-in']));
  const shown = await page.evaluate(() => document.documentElement.outerHTML + JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.equal(holds(shown), false);
}));

test('by keyboard alone: run, become another, kill', () => inBrowser({}, async ({ context }) => {
  const page = await open(context);
  assert.equal(await line(page).evaluate((input) => input === document.activeElement), true, 'the line has the focus');
  await page.keyboard.type('REPORT 60');
  await page.keyboard.press('Enter');
  const kill = list(page, 'Queries').getByRole('button', { name: /REPORT 60/ });
  await kill.waitFor();
  for (let press = 0; press < 12 && !(await kill.evaluate((button) => button === document.activeElement)); press += 1) await page.keyboard.press('Tab');
  // It keeps the focus while the list refreshes.
  await page.waitForFunction((before) => document.getElementById('queries-plot-sum').textContent !== '' && document.querySelector('#queries-plot .spark-line').getAttribute('d') !== before, await page.locator('#queries-plot .spark-line').getAttribute('d'));
  assert.equal(await kill.evaluate((button) => button === document.activeElement), true);
  await page.keyboard.press('Enter');
  await answers(page).filter({ hasText: 'QUERY_KILLED' }).waitFor();
  await kill.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'queries', 'the focus stays in the list');
  const nameless = await page.evaluate(() => [...document.querySelectorAll('button, input, select')].filter((control) =>
    !(control.getAttribute('aria-label') || control.labels?.[0]?.textContent.trim() || (control.tagName === 'BUTTON' && control.textContent.trim()))).map(({ outerHTML }) => outerHTML));
  assert.deepEqual(nameless, []);
}));

for (const [name, viewport] of [['a phone', { width: 390, height: 844 }], ['a small phone', { width: 320, height: 640 }]]) {
  test(`on ${name} nothing is wider than the screen, and a kill is in reach`, () => inBrowser({ viewport, hasTouch: true }, async ({ context }) => {
    const page = await open(context);
    await page.getByRole('button', { name: 'Start a 30 s report' }).tap();
    const kill = list(page, 'Queries').getByRole('button', { name: /REPORT 30/ });
    await kill.waitFor();
    await page.getByRole('button', { name: 'Help' }).tap();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    await kill.tap();
    await answers(page).filter({ hasText: 'QUERY_KILLED' }).waitFor();
  }));
}
