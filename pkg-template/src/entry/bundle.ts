/**
 * `edge-session/bundle`: everything that a page without a bundler needs, built as one file.
 */
export * from '../index.js';
export * from './browser.js';
