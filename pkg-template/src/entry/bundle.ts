/**
 * `edge-session/bundle`: everything that a page without a bundler needs, made into one file by the build.
 */
export * from '../index.js';
export * from './browser.js';
