/**
 * `edge-session/testing`: what every storage adapter is held to, as cases for any test runner.
 */
export { type StorageBench, storageCases } from './testing/storage.js';
export type { ConformanceCase } from './testing/case.js';
