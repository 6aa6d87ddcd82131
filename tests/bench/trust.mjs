/**
 * `cargo xtask bench trust`: what it costs to let clients in. Options: `--quick`, `--rounds N`, `--json FILE`.
 *
 * T1: forged tokens, refused. Each is a real token with another MAC, so nothing is spared: the header is read, the MAC computed and
 * compared. Beside jose and fast-jwt with the same token. T2: deltas of one write each, applied by an edge: as a client's (its token
 * verified with each request, the delta judged) and as a trusted replica's. Times are the
 * processor's, of all threads of the process: what one core does in a second does not depend on who else uses the machine.
 */
import { createSecretKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import assert from 'node:assert/strict';
import { openReplica } from 'edge-session';
import { createVerifier } from 'fast-jwt';
import { jwtVerify } from 'jose';
import { digits, interleave, table } from './harness.mjs';

const args = process.argv.slice(2);
const option = (name, otherwise) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : otherwise);
const quick = args.includes('--quick');
const ROUNDS = option('--rounds', quick ? 3 : 9);
const COUNT = quick ? 2_000 : 20_000;
const file = args.includes('--json') ? args[args.indexOf('--json') + 1] : undefined;
/** Nanoseconds of the processor an operation. */
async function time(operations, work) {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1_000) / operations;
}

const tell = (what) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${what}`);

const key = new Uint8Array(32).fill(7);
const limits = { clientMessages: 1e9, clientBytes: 1e12 };
const edge = await openReplica({ id: 'edge', secret: { kid: '1', key }, limits, heartbeat: '1h' });
const ticket = await edge.session({ user: 'ann' }).sealed();

// As many different ones as are tried: a cache of verified tokens would find none.
const [head, claims, mac] = ticket.split('~')[0].split('.');
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const letters = (n) => [0, 6, 12, 18].map((bits) => LETTERS[(n >> bits) & 63]).join('');
let forgeries = 0;
const forge = () => Array.from({ length: COUNT }, () => `${head}.${claims}.${letters((forgeries += 1))}${mac.slice(4)}`);

const WHAT = 'T1 a forged token, refused (ns)';
const refused = async (verify) => {
  const tokens = forge();
  let refusals = 0;
  const took = await time(COUNT, () => {
    for (const token of tokens) refusals += verify(token) ? 0 : 1;
  });
  assert.equal(refusals, COUNT);
  return { [WHAT]: took };
};
const refusedLater = async (verify) => {
  const tokens = forge();
  let refusals = 0;
  const refuse = () => (refusals += 1);
  const took = await time(COUNT, async () => {
    for (const token of tokens) await verify(token).then(undefined, refuse);
  });
  assert.equal(refusals, COUNT);
  return { [WHAT]: took };
};
const secret = createSecretKey(key);
const verifier = createVerifier({ key: Buffer.from(key), algorithms: ['HS256'], cache: false });
const verifies = (token) => {
  try {
    return verifier(token);
  } catch {
    return false;
  }
};
const nothing = new Uint8Array();

const forgers = new Map([
  ['edge-session', () => refused((token) => edge.session(token).resumed)],
  ['edge-session, a request', () => refusedLater((token) => edge.exchange(nothing, { token }))],
  ['fast-jwt', () => refused(verifies)],
  ['jose', () => refusedLater((token) => jwtVerify(token, secret, { algorithms: ['HS256'] }))],
]);

/** A replica that writes, and what it says to the edge; the edge's part alone is measured. */
const applies = (token) => async () => {
  const client = await openReplica({ id: 'client', heartbeat: '1h' });
  const session = client.session();
  const options = token === undefined ? {} : { token };
  let reply = new Uint8Array();
  // They come to know each other.
  for (let n = 0; n < 4; n += 1) reply = await edge.exchange(await client.exchange(reply), options);
  let took = 0;
  const writes = COUNT / 20;
  for (let n = 0; n < writes; n += 1) {
    await session.set(`key ${n % 100}`, `value ${n}`);
    const message = await client.exchange(reply);
    took += await time(writes, async () => void (reply = await edge.exchange(message, options)));
  }
  assert.equal(edge.inspect().vectors.default[client.id], writes);
  await client.close();
  return { 'T2 a delta of one write, applied (ns)': took };
};

const first = await interleave(forgers, ROUNDS, tell);
const second = await interleave(new Map([['as a client', applies(ticket)], ['as a peer', applies()]]), ROUNDS, tell);
tell('');

const [forged] = Object.values(first.figures);
const [delta] = Object.values(second.figures);
assert.deepEqual([first.failed, second.failed], [{}, {}]);
const ours = forged['edge-session'];
const asked = forged['edge-session, a request'];
const aSecond = (took) => 1e9 / took;
const beside = (took, name) => [name, digits(forged[name]), digits(forged[name] / took)];
const goal = (took) => ['≥ 100,000', aSecond(took) >= 100_000 ? 'met' : 'missed'];
const rows = [
  ['T1 a session with a forged token', 'ns', digits(ours), '', ...beside(ours, 'fast-jwt')],
  ['   a second', '', digits(aSecond(ours)), '', '', '', '', ...goal(ours)],
  ['   a request with a forged token', 'ns', digits(asked), '', ...beside(asked, 'jose')],
  ['   a second', '', digits(aSecond(asked)), '', '', '', '', ...goal(asked)],
  ['T2 a client’s delta, applied', 'ns', digits(delta['as a client']), '', 'a peer’s', digits(delta['as a peer']), digits(delta['as a peer'] / delta['as a client'])],
];
const machine = { node: process.version, cpu: os.cpus()[0]?.model, cores: os.cpus().length };
console.log(`Node ${machine.node} on ${machine.cores} × ${machine.cpu}, medians of ${ROUNDS} interleaved rounds`);
console.log(table('', rows));
if (file !== undefined) writeFileSync(file, `${JSON.stringify({ machine, rounds: ROUNDS, results: { ...first.figures, ...second.figures } }, null, 2)}\n`);
process.exit(0);
