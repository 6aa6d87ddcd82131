// The log of operations: every request with its answer, and what every replica showed. It feeds the checker and the
// measurements in the order in which the page learns of things, and it is what the page lists.

import { Checker } from './checker.js';

/** Entries kept for reading; the counts cover all since the last clearing. */
const KEPT = 400;

export class History {
  entries = [];
  requests = 0;
  #checker = new Checker();
  #accepted = new Map(); // write → { place, at }, while its journey is measured
  #appeared = new Map(); // write → [{ place, at }]: seen before its answer was
  #numbered = 0;

  /** `changed(entry)` after each begin and end; `arrived({ from, to, lag, at })` for each write that reaches a replica. */
  constructor({ changed, arrived }) {
    Object.assign(this, { changed, arrived });
  }

  begin({ who, session, place, what }) {
    const entry = { n: (this.#numbered += 1), at: Date.now(), who, session, place, what, steps: null, took: null, anomalies: [] };
    this.entries.push(entry);
    if (this.entries.length > KEPT) this.entries.shift();
    this.changed(entry);
    return entry;
  }

  end(entry, { steps, took, error }) {
    Object.assign(entry, { steps, took, error });
    this.requests += 1;
    for (const step of steps) {
      const { outcome } = step;
      if (step.type === 'write' && step.version !== null) {
        this.#judge({ type: 'write', session: entry.session, key: step.key, version: step.version }, entry);
        this.#travel(`${step.key} ${step.version}`, { place: entry.place, at: step.at });
      } else if (step.type === 'read' && (outcome.state === 'value' || outcome.state === 'absent')) {
        const version = outcome.state === 'value' ? outcome.entry.version : null;
        this.#judge({ type: 'read', session: entry.session, replica: entry.place, key: step.key, version, stale: outcome.stale }, entry);
      }
    }
    this.changed(entry);
  }

  seen(place, { at, versions }) {
    this.#judge({ type: 'seen', replica: place, versions }, null);
    for (const [key, version] of Object.entries(versions)) this.#appear(`${key} ${version}`, place, at);
  }

  counts() {
    return { requests: this.requests, anomalies: this.#checker.counts(), judged: { ...this.#checker.judged } };
  }

  clear() {
    this.entries = [];
    this.requests = 0;
    this.#checker = new Checker();
    this.#accepted.clear();
    this.#appeared.clear();
    this.changed(null);
  }

  #judge(event, entry) {
    for (const anomaly of this.#checker.add(event)) {
      // What shows at another replica later is the fault of the request that wrote it.
      const owner = entry ?? this.entries.findLast(({ steps }) => steps?.some((step) => step.version === anomaly.write?.version));
      if (!owner) continue;
      owner.anomalies.push(anomaly);
      if (!entry) this.changed(owner);
    }
  }

  // A write's journey is known when both its acceptance and its appearance elsewhere are, in whichever order they come.
  #travel(write, accepted) {
    this.#accepted.set(write, accepted);
    if (this.#accepted.size > KEPT) this.#accepted.delete(this.#accepted.keys().next().value);
    for (const { place, at } of this.#appeared.get(write) ?? []) this.#measure(accepted, place, at);
  }

  #appear(write, place, at) {
    const known = this.#appeared.get(write) ?? [];
    if (known.some((one) => one.place === place)) return;
    this.#appeared.set(write, [...known, { place, at }]);
    if (this.#appeared.size > KEPT) this.#appeared.delete(this.#appeared.keys().next().value);
    const accepted = this.#accepted.get(write);
    if (accepted) this.#measure(accepted, place, at);
  }

  #measure(accepted, place, at) {
    if (place !== accepted.place) this.arrived({ from: accepted.place, to: place, at, lag: Math.max(0, at - accepted.at) });
  }
}
