// What can be said to an edge: the statements of the session service and the demo's own, each with its form, what it is for and an
// example. For people only: what is right and what is not, the core says.

/** `[form, what for, example]`, in the order of the help. */
export const STATEMENTS = [
  ['SHOW SESSIONS', 'who is there', 'SHOW SESSIONS'],
  ['SHOW SESSION "id"', 'one session, also one that is over', 'SHOW SESSION "…"'],
  ['SHOW QUERIES', 'what runs', 'SHOW QUERIES'],
  ['KILL SESSION "id"', 'an end to a session, at every edge', 'KILL SESSION "…"'],
  ['KILL QUERY (SESSION = "id", PLAN = n)', 'an end to one query', 'KILL QUERY (SESSION = "…", PLAN = 1)'],
  ['SHOW USERS', 'the accounts', 'SHOW USERS'],
  ['CREATE USER [IF NOT EXISTS] name [WITH PASSWORD "…"]', 'a new account; it may nothing yet', 'CREATE USER IF NOT EXISTS eve'],
  ['ALTER USER name WITH PASSWORD "…"', 'a new password; sessions that came with the old one end', 'ALTER USER eve WITH PASSWORD "…"'],
  ['CHANGE PASSWORD name FROM "…" TO "…"', 'one’s own password', 'CHANGE PASSWORD ann FROM "…" TO "…"'],
  ['DROP USER [IF EXISTS] name', 'an end to an account and to its sessions', 'DROP USER IF EXISTS eve'],
  ['DESCRIBE USER name', 'the roles of an account', 'DESCRIBE USER ann'],
  ['SHOW GRANTS', 'one’s own roles', 'SHOW GRANTS'],
  ['SHOW ROLES IN space', 'who may what there', 'SHOW ROLES IN default'],
  ['GRANT [ROLE] ADMIN|DBA|USER|GUEST ON space TO name', 'a role; it acts on the next operation', 'GRANT ROLE GUEST ON default TO eve'],
  ['REVOKE [ROLE] role ON space FROM name', 'takes a role away', 'REVOKE ROLE GUEST ON default FROM eve'],
  ['SHOW SPACES', 'the spaces in which one holds a role', 'SHOW SPACES'],
  ['CREATE SPACE [IF NOT EXISTS] name', 'a new space', 'CREATE SPACE IF NOT EXISTS garden'],
  ['DROP SPACE [IF EXISTS] name', 'an end to a space and to all that it holds', 'DROP SPACE IF EXISTS garden'],
  ['USE space', 'takes this session to another space', 'USE default'],
  ['REPORT [seconds]', 'the demo’s own: watches the shop for so long, and tells what has changed', 'REPORT 30'],
];

/** What a list can be sent through. */
export const PIPES = [
  ['| YIELD $-.Column [AS name], … [WHERE condition]', 'columns and rows of the list before', 'SHOW SESSIONS | YIELD $-.SessionId AS id, $-.UserName AS user WHERE $-.UserName STARTS WITH \'bo\''],
  ['| ORDER BY $-.Column [ASC|DESC]', 'their order', 'SHOW SESSIONS | ORDER BY $-.UpdateTime DESC'],
  ['| LIMIT n', 'the first rows', 'SHOW SESSIONS | LIMIT 3'],
  ['| KILL SESSION $-.Column', 'all of them, or none where one is not permitted', 'SHOW SESSIONS | YIELD $-.SessionId AS id WHERE $-.UserName == \'ann\' | KILL SESSION $-.id'],
];

/** The forms that may become of what was typed so far, the closest first. */
export function formsOf(typed) {
  const words = typed.trim().toUpperCase().split(/\s+/);
  if (words[0] === '') return [];
  const known = [...STATEMENTS, ...PIPES].map(([form]) => form);
  const last = typed.includes('|') ? `| ${typed.slice(typed.lastIndexOf('|') + 1).trim().toUpperCase()}` : words.join(' ');
  return known.filter((form) => plain(form).startsWith(last) || last.startsWith(opening(form)));
}

/** Passwords covered, letter for letter, so that a position in the text stays what it is. */
export const covered = (statement) => statement.replace(/\b(PASSWORD|FROM|TO)(\s+)("(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?)/gi,
  (_, word, space, text) => `${word}${space}${text.replace(/[^"']/g, '•')}`);

const plain = (form) => form.replace(/ ?\[[^\]]*\]/g, '');
/** The words that begin a form, before anything that varies. */
const opening = (form) => /^(?:\| )?[A-Z]+(?: [A-Z]+)*/.exec(plain(form))[0];
