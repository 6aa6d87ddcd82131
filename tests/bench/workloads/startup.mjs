/** A process of its own for W10: import, instance, first operation. */
import { performance } from 'node:perf_hooks';

const start = performance.now();
const { openReplica } = await import('edge-session');
const first = await openReplica();
await first.session().set('key', 'value');
const spent = performance.now() - start;
const begun = performance.now();
for (let at = 0; at < 20; at += 1) await openReplica();
const instance = (performance.now() - begun) / 20;
console.log(JSON.stringify({ first: spent, instance, memory: first.inspect().wasmBytes / 1024 }));
process.exit(0);
