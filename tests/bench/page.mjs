/** One contender on a page of its own; see chromium.mjs. */
import { prepare } from './parts.mjs';

const module = async () => (await fetch('/vectors.wasm')).arrayBuffer();
let round;

globalThis.ready = async (part) => {
  round = await prepare(...part, module);
};
globalThis.round = (warming) => round(warming);
