/**
 * One contender's part in a workload: made ready by the place in which it runs (a process of its own, a page, or the bench's
 * process), and run there round after round.
 */
import { STORES } from './contenders.mjs';
import { curve } from './workloads/curve.mjs';
import { rewrites } from './workloads/rewrite.mjs';
import { workload } from './workloads/store.mjs';
import { concurrent, pull } from './workloads/sync.mjs';
import { tokens } from './workloads/tokens.mjs';
import { vectors } from './workloads/vectors.mjs';

/** Work on a store: warmed up on a tenth of the entries, which an engine compiles as well and takes less of everybody's time. */
const store = (work) => async (name, _, ...args) => {
  const contender = await STORES[name]();
  const tenth = args.map((arg) => (typeof arg === 'number' ? Math.ceil(arg / 10) : arg));
  return { warm: await work(contender, ...tenth), run: await work(contender, ...args) };
};

const PARTS = {
  store: store(workload),
  rewrites: store(rewrites),
  pull: store(pull),
  concurrent: store(concurrent),
  curve: store(curve),
  vectors: async (name, module, count) => ({ run: await vectors(name, await module(), count) }),
  tokens: async (name, _, dependencies) => ({ run: await tokens(name, dependencies, 10_000) }),
};

/** What runs a round of it; `module` answers the bytes of the vectors' module. */
export async function prepare(name, part, args, module) {
  const { run, warm = run } = await PARTS[part](name, module, ...args);
  return async (warming) => {
    globalThis.gc?.();
    return (warming ? warm : run)();
  };
}
