// The program of the matrix on a page: a test calls it from outside, once in each of two browser profiles.
import { read, write } from './use.mjs';

globalThis.use = { read, write };
