// Objects that are handed out frozen: `===` tells whether a key has changed, and the compiler that nobody may change them.
import { openReplica } from 'edge-session';

type Keys = { [key: `cart:${string}`]: { items: string[] } };
const replica = await openReplica<Keys>({ values: 'frozen' });
const session = replica.session();
await session.set('cart:42', { items: ['book'] });

const cart = await session.get('cart:42');
console.log(cart === session.sync.get('cart:42')); // true: to React it is the same cart

// @ts-expect-error what was read is frozen
if (cart === undefined) cart.items.push('pen');
await session.set('cart:42', { ...cart, items: [...(cart?.items ?? []), 'pen'] });
console.log(cart === session.sync.get('cart:42'), session.sync.get('cart:42')?.items); // false [ 'book', 'pen' ]
