// What the operations console asks of an edge: to sign in, to run a statement, to read the operation log. Each request is one
// session's, begun with its token, and the core decides what that session may.

/** The edge that makes the shop's accounts. One alone: an account that two edges create at once is nobody's. */
const FOUNDER = 'paris';

/** With the first account roles count, so whoever uses the shop gets one: before that everybody is a User. */
const ACCOUNTS = [['ann', 'USER'], ['bo-oregon', 'USER'], ['bo-paris', 'USER'], ['bo-tokyo', 'USER'], ['tab', 'USER'], ['map', 'GUEST']];
const FOUNDING = ACCOUNTS.map(([user, role]) => `CREATE USER \`${user}\`; GRANT ROLE ${role} ON default TO \`${user}\``).join('; ');

/** A page that is gone leaves its session; it is over within the hour. */
const CONSOLE = { client: 'console', expiresIn: '1h' };
/** How long a statement waits for what its session has seen at another edge. */
const TIMEOUT = '8s';
/** Lines of the log that a page is told. */
const LINES = 100;

/** Answers `{ user, session, token }` to who knows the password of this run. */
export async function signIn(replica, { user, password }, place) {
  const session = await replica.login(user, password, CONSOLE);
  try {
    if (user === 'root' && place === FOUNDER) await found(replica);
    return { user: session.user, session: session.id, token: await session.sealed() };
  } finally {
    session[Symbol.dispose]?.();
  }
}

/** Runs one text of statements: `{ columns, rows, space, token }`. The token is null where the session has ended itself. */
export async function run(replica, { token, statement }) {
  const session = replica.session({ token, timeout: TIMEOUT });
  try {
    const { columns, rows } = await session.run(statement);
    const { space } = session;
    return { columns, rows, space, token: session.reason === null ? await session.sealed() : null };
  } finally {
    session[Symbol.dispose]?.();
  }
}

/** The operation log, the latest last, as far as the session may read it: God all of it, an Admin that of the own spaces. */
export async function log(replica, { token }) {
  const session = replica.session({ token });
  try {
    return { operations: replica.admin.as(session).log().slice(-LINES) };
  } catch (error) {
    // Who may read it nowhere sees an empty list.
    if (error.code === 'PERMISSION_DENIED') return { operations: [] };
    throw error;
  } finally {
    session[Symbol.dispose]?.();
  }
}

async function found(replica) {
  const users = await replica.admin.users();
  if (users.every((user) => user === 'root')) await replica.admin.run(FOUNDING);
}
