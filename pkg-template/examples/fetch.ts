// A page that talks to its server by fetch, with and without a replica of its own.
import { EdgeSessionError, openReplica } from 'edge-session';
import { withToken } from 'edge-session/http';

// Without: the tokens of the responses go along with the next requests.
const plain = withToken(fetch);
await plain('/cart', { method: 'PUT', body: JSON.stringify(['book']) });
console.log(await (await plain('/cart')).json()); // has the book, whichever edge answers

// With: what the server has answered, this tab's own replica waits for, and the other way round.
const replica = await openReplica();
const session = replica.session((await fetch('/login', { method: 'POST' })).headers.get('Edge-Session'));
const api = withToken(fetch, session);
try {
  await session.set('draft', 'Dear …');
  await api('/send', { method: 'POST' });
} catch (error) {
  if (!EdgeSessionError.is(error, 'TOKEN_EXPIRED')) throw error;
  location.assign('/login');
}
