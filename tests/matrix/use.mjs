// The program that the matrix runs everywhere: a session is written in one process and goes on in another, which lacks
// what it depends on, says so, and answers once it has it. It uses the package as its users do, and knows no platform.
import { openReplica } from 'edge-session';

const secret = { kid: 'matrix', key: new Uint8Array(32).fill(7) };

/** The first process: writes as Ann, and hands over her token and what the replica holds. */
export async function write() {
  const replica = await openReplica({ id: 'first', secret });
  const ann = replica.session({ user: 'ann' });
  await ann.set('cart', ['book']);
  await ann.set('theme', new Uint8Array([1, 2, 3]));
  const handed = { token: await ann.sealed(), snapshot: toText(replica.snapshot()) };
  await replica.close();
  return handed;
}

/** The second process: refuses before it has caught up, and answers after. What it saw is to equal `SEEN`. */
export async function read({ token, snapshot }) {
  const replica = await openReplica({ id: 'second', secret });
  const ann = replica.session({ token, timeout: 30_000 });
  const refused = await ann.get('cart', { onStale: 'throw' }).then(() => null, (error) => error.code);
  const missing = ann.missing().map(({ replica, have, need }) => [replica.split('~')[0], have, need]);
  const waiting = ann.get('cart'); // asked before it has caught up
  const absent = await replica.session().get('cart') === undefined; // nothing was promised to anybody else
  const relay = await openReplica({ id: 'relay', secret });
  await relay.restore(toBytes(snapshot));
  await replica.exchange(await relay.exchange(await replica.exchange(new Uint8Array())));
  const seen = { refused, missing, absent, cart: await waiting, theme: [...await ann.get('theme')], user: ann.user, resumed: ann.resumed };
  await ann.set('cart', ['book', 'lamp']);
  seen.rewritten = await replica.session({ token: await ann.sealed() }).get('cart');
  await relay.close();
  await replica.close();
  return seen;
}

/** What the second process sees wherever the package works. */
export const SEEN = {
  refused: 'STALE_REPLICA',
  missing: [['first', 0, 2]],
  absent: true,
  cart: ['book'],
  theme: [1, 2, 3],
  user: 'ann',
  resumed: true,
  rewritten: ['book', 'lamp'],
};

const toText = (bytes) => btoa(String.fromCharCode(...bytes));
const toBytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
