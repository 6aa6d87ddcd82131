/**
 * `edge-session/testing`: the conformance suites of storage adapters and transports, as cases for any test runner.
 */
export { type StorageBench, storageCases } from './testing/storage.js';
export { type TransportBench, type TransportEnd, transportCases } from './testing/transport.js';
export type { ConformanceCase } from './testing/case.js';
