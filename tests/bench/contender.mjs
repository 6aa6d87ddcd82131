/** The process of one contender: told what to make ready, then asked for a round at a time; see apart.mjs. */
import { readFileSync } from 'node:fs';
import { prepare } from './parts.mjs';

const module = () => readFileSync(new URL('./vectors.wasm', import.meta.url));
let round;

process.on('message', async ({ ready, warming }) => {
  try {
    if (ready !== undefined) {
      round = await prepare(...ready, module);
      process.send({});
    } else {
      // What the round before has left is not to be cleared away while this one is timed.
      globalThis.gc?.();
      process.send({ figures: await round(warming) });
    }
  } catch (error) {
    process.send({ error: String(error?.message ?? error) });
  }
});
process.on('disconnect', () => process.exit());
