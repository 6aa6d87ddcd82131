/** The suite on a page; see chromium.mjs. */
import * as ours from './stores/edge-session.mjs';
import * as loro from './stores/loro.mjs';
import * as map from './stores/map.mjs';
import * as tinybase from './stores/tinybase.mjs';
import * as yjs from './stores/yjs.mjs';
import { suite } from './suite.mjs';

globalThis.bench = async (asked) => {
  const module = await (await fetch('/vectors.wasm')).arrayBuffer();
  return suite({ ...asked, stores: [map, ours, yjs, loro, tinybase.plain, tinybase.mergeable], tell: () => {}, show: globalThis.show, module });
};
