// What the compiler refuses. Each expectation is checked: if one of these lines compiled, this file would not.
import { type Frozen, type Session, type Token, type Value, openReplica } from 'edge-session';

type Keys = { theme: 'dark' | 'light'; [k: `cart:${string}`]: { items: string[] } };
const db = await openReplica<Keys>();
const s: Session<Keys> = db.session();

const a: 'dark' | 'light' | undefined = await s.get('theme');
const b: { items: string[] } | undefined = await s.get('cart:1');
const token: Token = s.token;
console.log(a, b?.items.length, token.length);

// @ts-expect-error unknown key
await s.get('nope');
// @ts-expect-error wrong type of value
await s.set('theme', 'blue');
// @ts-expect-error wrong type of value, without a promise
s.sync.set('cart:1', { items: [1] });
// @ts-expect-error wrong type of value, in a batch
await s.batch((tx) => tx.set('theme', 7));
// @ts-expect-error a plain string is not a Token
const t: typeof s.token = 'x';
// @ts-expect-error bad duration
await s.set('theme', 'dark', { ttl: '5 minutes' });
// @ts-expect-error unknown guarantee
db.session({ guarantees: ['read-your-mind'] });
// @ts-expect-error unknown policy
await s.get('theme', { onStale: 'guess' });
// @ts-expect-error unknown event
db.on('weather', () => {});
// @ts-expect-error unknown option
await openReplica({ memory: true });
// @ts-expect-error neither fresh nor frozen
await openReplica({ values: 'shared' });
const frozen = (await openReplica<{ a: { list: [number, { b: string }]; bytes: Uint8Array; any: unknown; token: Token }; any: Value }>({ values: 'frozen' })).session();
const f = await frozen.get('a');
if (f !== undefined) {
  // @ts-expect-error frozen all the way down
  f.list[1].b = '';
  f.bytes[0] = f.list[0];
  await s.get('theme', { guarantees: f.any === f.token ? 'all' : 'none' });
  frozen.sync.set('a', { ...f, list: [1, { b: f.token }] });
}
const json: Frozen<Value> | undefined = frozen.sync.get('any');
const same: unknown = json;
console.log(same);
// @ts-expect-error what was read is not to be written to
(await s.entry('theme'))!.value = 'light';

for await (const e of s.list({ prefix: 'cart:' })) console.log(e.version, t);
for await (const change of s.watch('theme')) {
  // @ts-expect-error the key may be gone
  console.log(change.value);
  if (!('deleted' in change)) console.log(change.value === 'dark');
}
