// The garbage collector, called by hand, in every engine that the tests run in.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects what nobody holds. The memory behind an array may be let go of a little later, beside the program. */
export const collect = globalThis.Bun ? () => globalThis.Bun.gc(true) : collector();

function collector() {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}
