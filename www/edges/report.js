// The one statement of the demo's own, which edges run beside those of the session service: `REPORT [n]` watches the shop for so
// many seconds and answers what has changed. It takes its time, so that there is a query to see and to kill.

import { EdgeSessionError } from 'edge-session';

const LANGUAGE = /^\s*REPORT(?:\s+(\d{1,3}))?\s*;?\s*$/i;
const SECONDS = 30;
const LOOK_EVERY_MS = 250;

/** `execute` of the edges' replicas: runs under the signal of its query. */
export async function report(statement, { session, signal }) {
  const asked = LANGUAGE.exec(statement);
  if (asked === null) throw misread(statement);
  const until = Date.now() + 1_000 * Number(asked[1] ?? SECONDS);
  const seen = new Map(); // key → { version, changes }
  for (;;) {
    for await (const { key, version } of session.list({ signal })) {
      const known = seen.get(key);
      if (known === undefined) seen.set(key, { version, changes: 0 });
      else if (known.version !== version) seen.set(key, { version, changes: known.changes + 1 });
    }
    if (Date.now() >= until) break;
    await scheduler.wait(Math.min(LOOK_EVERY_MS, until - Date.now()), { signal });
  }
  return { columns: ['Key', 'Version', 'Changes'], rows: [...seen].map(([key, { version, changes }]) => [key, version, changes]) };
}

/** `SYNTAX`, as the core says it: where, and what would have done there. */
function misread(statement) {
  const word = /^\s*REPORT\b\s*/i.exec(statement);
  const position = word === null ? statement.length - statement.trimStart().length : word[0].length;
  const expected = word === null ? ['a statement of the session service', 'REPORT'] : ['a number of seconds', 'the end'];
  return new EdgeSessionError('SYNTAX', `at position ${position}: expected ${expected.join(' or ')}`, { details: { position, expected } });
}
