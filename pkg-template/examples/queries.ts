// Work of one's own as a query: listed, timed and killed as a statement is, and text that is no statement as one of the host's.
import { openReplica } from 'edge-session';

const replica = await openReplica({
  execute: async (text, { signal }) => (await fetch(`https://search.example/?q=${encodeURIComponent(text)}`, { signal })).json(),
});
const session = replica.session({ user: 'ann' });
const page = await session.track('report', ({ signal }) => fetch('https://report.example/', { signal }), { timeout: '5s' });
console.log(page.status, String(await session.run('find books')));
