// The demo's checker on hand-made logs: each anomaly is found from the log alone, and histories without one are clean.
// No browser, no package: the checker must not need them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Checker, GUARANTEES } from '../../www/checker.js';

const write = (session, key, version) => ({ type: 'write', session, key, version });
const read = (session, key, version, stale = false) => ({ type: 'read', session, key, version, stale });
const seen = (replica, versions) => ({ type: 'seen', replica, versions });

function judge(...events) {
  const checker = new Checker();
  for (const event of events) checker.add(event);
  return checker;
}
const counts = (...events) => Object.values(judge(...events).counts());
const [NONE, RYW, MR, MW, WFR] = [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]];

test('an answer older than the own write breaks Read Your Writes', () => {
  assert.deepEqual(counts(write('ann', 'cart', '2.paris'), read('ann', 'cart', '1.tokyo')), RYW);
});

test('absent after the own write breaks Read Your Writes', () => {
  assert.deepEqual(counts(write('ann', 'cart', '1.paris'), read('ann', 'cart', null)), RYW);
});

test('the own write, or one that won over it, keeps Read Your Writes', () => {
  const log = [write('ann', 'cart', '2.paris'), read('ann', 'cart', '2.paris'), read('ann', 'cart', '3.tokyo')];
  assert.deepEqual(counts(...log), NONE);
  assert.equal(judge(...log).judged['read-your-writes'], 2);
});

test('another session may read the past: nothing was promised to it', () => {
  assert.deepEqual(counts(write('ann', 'cart', '2.paris'), read('bo', 'cart', '1.tokyo')), NONE);
});

test('an answer older than one before breaks Monotonic Reads', () => {
  assert.deepEqual(counts(read('ann', 'price', '5.tokyo'), read('ann', 'price', '4.tokyo')), MR);
});

test('absent after a value breaks Monotonic Reads', () => {
  assert.deepEqual(counts(read('ann', 'price', '5.tokyo'), read('ann', 'price', null)), MR);
});

test('a stale answer that says so is neither an anomaly nor remembered', () => {
  assert.deepEqual(counts(read('ann', 'price', '5.tokyo'), read('ann', 'price', '4.tokyo', true)), NONE);
  assert.deepEqual(counts(read('ann', 'price', '5.tokyo', true), read('ann', 'price', '4.tokyo')), NONE);
});

test('a later write without an earlier one of its session breaks Monotonic Writes, at each replica that shows it', () => {
  const log = [write('ann', 'address', '1.tokyo'), write('ann', 'order', '2.paris')];
  assert.deepEqual(counts(...log, seen('paris', { order: '2.paris' })), MW);
  assert.deepEqual(counts(...log, seen('paris', { order: '2.paris' }), seen('oregon', { order: '2.paris' })), [0, 0, 2, 0]);
  assert.deepEqual(counts(...log, seen('paris', { address: '0.oregon', order: '2.paris' })), MW);
});

test('both writes at once keep Monotonic Writes, whatever came before', () => {
  const log = [write('ann', 'address', '1.tokyo'), write('ann', 'order', '2.paris')];
  assert.deepEqual(counts(...log, seen('paris', { address: '1.tokyo' }), seen('paris', { address: '1.tokyo', order: '2.paris' })), NONE);
  assert.deepEqual(counts(...log, seen('paris', { address: '4.bo', order: '2.paris' })), NONE);
});

test('a write is judged too when the replica showed it before its answer arrived', () => {
  assert.deepEqual(counts(write('ann', 'address', '1.tokyo'), seen('paris', { order: '2.paris' }), write('ann', 'order', '2.paris')), MW);
});

test('a write without what its session had read breaks Writes Follow Reads', () => {
  const log = [read('ann', 'question', '1.tokyo'), write('ann', 'answer', '2.paris')];
  assert.deepEqual(counts(...log, seen('paris', { answer: '2.paris' })), WFR);
  assert.deepEqual(counts(...log, seen('paris', { question: '1.tokyo', answer: '2.paris' })), NONE);
});

test('what was read after the write does not count', () => {
  assert.deepEqual(counts(write('ann', 'answer', '2.paris'), read('ann', 'question', '1.tokyo'), seen('paris', { answer: '2.paris' })), NONE);
});

test('a write that is shown twice is judged once a replica', () => {
  const log = [write('ann', 'address', '1.tokyo'), write('ann', 'order', '2.paris')];
  assert.deepEqual(counts(...log, seen('paris', { order: '2.paris' }), seen('paris', { order: '2.paris', price: '3.bo' })), MW);
});

test('siblings behind the winner do not matter', () => {
  assert.deepEqual(counts(read('ann', 'cart', '5.tokyo+4.paris'), read('ann', 'cart', '5.tokyo')), NONE);
  assert.deepEqual(counts(write('ann', 'x', '1.a'), write('ann', 'y', '2.b'), seen('b', { x: '1.a+0.c', y: '2.b+1.z' })), NONE);
});

test('counts name all four guarantees', () => {
  assert.deepEqual(Object.keys(new Checker().counts()), GUARANTEES);
});
