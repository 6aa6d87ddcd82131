/**
 * `cargo xtask bench`: the store, its tokens and its package beside what users would otherwise pick, in one run.
 *
 * What the figures mean: `× Map` is how many times the floor ours costs, `ahead ×` how many times ours a peer costs.
 * Peers carry richer types, and most of them history; ours carries the guarantees, all of them on. Options: `--quick` (three
 * rounds of a tenth), `--entries N`, `--rounds N`, `--json FILE`, `--together` (all contenders in one process), `--only A,B`
 * (these contenders), and names of workloads (`W1 W8 curve …`); `--largest N` is where the curves end. The same file runs in Deno and Bun,
 * but for what measures Node's processes.
 */
import { readFileSync } from 'node:fs';
import { apart } from './apart.mjs';
import { prepare } from './parts.mjs';
import { report } from './report.mjs';
import { options, suite } from './suite.mjs';

const args = process.argv.slice(2);
const asked = options(args);
const { deno, bun } = process.versions;
const place = deno ? `Deno ${deno}` : bun ? `Bun ${bun}` : `Node ${process.version}`;

// In Node each contender has a process of its own; elsewhere all share this one.
const sharing = deno || bun || args.includes('--together');
const module = () => readFileSync(new URL('./vectors.wasm', import.meta.url));
const here = async (...part) => ({ run: await prepare(...part, module), close() {} });

const extra = {};
// These start processes of Node's, with its flags.
if (!deno && !bun) {
  const { memory, sizes, startup } = await import('./workloads/footprint.mjs');
  // Among fewer, the steps in which memory grows are all that is seen.
  extra.memory = { names: ['W2', 'W9'], work: (rounds) => memory(Math.max(asked.entries, 10_000), rounds) };
  extra['the package'] = { names: ['W10'], work: async (rounds) => ({ ...(await sizes()), ...startup(rounds) }) };
}

const { tell, show, end } = report({ ...asked, place, how: sharing ? 'one process' : 'a process for each contender' }, args);
end(await suite({ ...asked, start: sharing ? here : apart, tell, show, extra }));
