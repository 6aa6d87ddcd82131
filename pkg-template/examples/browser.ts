// A page that keeps its data, shares it with the user's other tabs, and carries its session over a reload.
import { channel, openReplica } from 'edge-session';
import { flushOnHide, idb } from 'edge-session/browser';

interface Cart {
  items: string[];
}
type Keys = { theme: 'dark' | 'light'; [k: `cart:${string}`]: Cart };

await using db = await openReplica<Keys>({ id: 'tab', storage: idb('shop'), connect: channel('shop') });
flushOnHide(db);
const me = db.session(localStorage.getItem('es'));

await me.set('cart:42', { items: ['book'] });
const cart = await me.get('cart:42'); // Cart | undefined, never older than what I wrote
localStorage.setItem('es', await me.sealed());

const theme = me.live('theme');
theme.subscribe((value) => document.documentElement.classList.toggle('dark', value === 'dark'));

// Ends after a minute; whoever wrote, in whichever tab.
for await (const change of me.watch({ prefix: 'cart:' }, { signal: AbortSignal.timeout(60_000) })) {
  console.log(change.key, 'deleted' in change ? 'gone' : change.value, cart?.items.length);
}
