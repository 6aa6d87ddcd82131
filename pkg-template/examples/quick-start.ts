// Two replicas, one roaming session: it is refused where it would see less than it has written, and served once that is there.
import { openReplica } from 'edge-session';

const tokyo = await openReplica();
const paris = await openReplica();

const a = tokyo.session();
await a.set('cart', ['book']);

const b = paris.session({ token: await a.sealed(), timeout: 50 });
await b.get('cart').catch((error) => console.log(error.code));

await paris.exchange(await tokyo.exchange(await paris.exchange(new Uint8Array())));
console.log(await b.get('cart'), b.satisfied());
