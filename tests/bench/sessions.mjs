/**
 * `cargo xtask bench sessions`: what a replica's sessions take: bytes of wasm memory each (manager, cache and timers together), and
 * microseconds of the processor to begin one, to take one up again and to kill one, among 10³ … 10⁶. Option: `--quick` (to 10⁵).
 *
 * Each session has a user, a client application and both ends, and is let go of at once, as a server does between requests.
 */
import { openReplica } from 'edge-session';

const SECRET = { kid: 'k1', key: new Uint8Array(32).fill(7) };
const KILLS = 100;

/** Microseconds of the processor an operation. */
async function time(count, work) {
  const start = process.cpuUsage();
  for (let n = 0; n < count; n += 1) {
    work(n);
    // What a replica has to do between calls is done between calls.
    if (n % 10_000 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  const { user, system } = process.cpuUsage(start);
  return (user + system) / count;
}

const rows = [];
for (const count of process.argv.includes('--quick') ? [1e3, 1e4, 1e5] : [1e3, 1e4, 1e5, 1e6]) {
  const replica = await openReplica({ secret: SECRET, session: { idleTimeout: '1h' } });
  const before = replica.inspect().wasmBytes;
  const [ids, tokens] = [[], []];
  const begin = await time(count, (n) => {
    const session = replica.session({ user: `user-${n % 1_000}`, client: 'phone' });
    if (n % (count / KILLS) === 0) {
      ids.push(session.id);
      tokens.push(session.token);
    }
    session[Symbol.dispose]();
  });
  const bytes = (replica.inspect().wasmBytes - before) / count;
  const again = await time(KILLS * 10, (n) => replica.session(tokens[n % KILLS])[Symbol.dispose]());
  const start = process.cpuUsage();
  for (const id of ids) await replica.admin.killSession(id);
  const { user, system } = process.cpuUsage(start);
  const { evictions } = replica.admin.cache();
  if (evictions > 0) throw new Error(`${evictions} sessions were evicted: there is no place for so many`);
  rows.push([count.toLocaleString('en'), bytes.toFixed(0), begin.toFixed(1), again.toFixed(1), ((user + system) / KILLS).toFixed(1)]);
  await replica.close();
}
for (const row of [['sessions', 'bytes each', 'µs to begin', 'µs to take up', 'µs to kill'], ...rows]) console.log(row.map((cell) => cell.padStart(13)).join(' '));
