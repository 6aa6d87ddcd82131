// A transport that breaks a law fails the case of the conformance suite that is named after the law.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pair } from 'edge-session';
import { transportCases } from 'edge-session/testing';
import { hasten } from './support.mjs';

/** A pair whose duplexes are changed by `spoil`, and whose ends by `twist`. */
const broken = (spoil, twist = (end) => end) => ({
  ends: () =>
    pair().map((end) =>
      twist({
        kind: 'broken',
        open: (hello, onPeer) => end.open(hello, (duplex) => onPeer(spoil(duplex))),
      }),
    ),
});
const through = (duplex, transform, room) => {
  const stream = new TransformStream({ transform }, room, room);
  void stream.readable.pipeTo(duplex.writable).catch(() => {});
  return { readable: duplex.readable, writable: stream.writable };
};

const mutants = {
  'two replicas come to hold the same': broken((duplex) => through(duplex, () => {})),
  'messages come whole, and one at a time': broken((duplex) => through(duplex, (message, out) => [message.subarray(0, 100), message.subarray(100)].forEach((part) => part.length && out.enqueue(part)))),
  'one value of four megabytes comes over': broken((duplex) => through(duplex, (message, out) => message.length < 1 << 20 && out.enqueue(message))),
  'either end may close, and the other one hears of it': broken(({ readable, writable }) => ({ readable: { getReader: () => Object.assign(Object.create(null), { ...bound(readable.getReader()), cancel: async () => {} }) }, writable: { getWriter: () => ({ ...bound(writable.getWriter()), abort: async () => {} }) } })),
  'an end that was closed can be opened again': broken((duplex) => duplex, (end) => {
    let opened = false;
    return { ...end, open: (...args) => (opened ? Promise.reject(new Error('once only')) : ((opened = true), end.open(...args))) };
  }),
  'a peer that reads nothing costs bounded memory': broken((duplex) => through(duplex, (message, out) => out.enqueue(message), { highWaterMark: Number.POSITIVE_INFINITY })),
};

/** Methods of a reader or writer that may be called by themselves. */
function bound(object) {
  const methods = {};
  for (const name of ['read', 'write', 'cancel', 'abort']) if (object[name]) methods[name] = object[name].bind(object);
  return { ...methods, get ready() { return object.ready; } };
}

describe('a transport that breaks a law is told so', () => {
  for (const [name, bench] of Object.entries(mutants)) {
    test(name, async (t) => {
      // The suite waits long before it says that something never comes; here its rests pass quickly.
      hasten(t, 20, 1);
      const found = transportCases(bench).find((one) => one.name === name);
      await assert.rejects(found.run());
    });
  }
});
