// The judge of the demo: finds anomalies in the log of operations. It is told what each session was answered and what
// each replica showed, in order, and nothing else: no switch, no vector, no token. Pure, no clock, no page.
//
// Events, in the order in which the page learns of them:
//   { type: 'write', session, key, version }            a replica accepted the session's write
//   { type: 'read', session, key, version, stale }      a replica answered; `version` is null for "absent"
//   { type: 'seen', replica, versions: {key: version}}  everything that the replica shows at one moment
//
// Versions of one key are ordered (the order by which replicas decide which write wins). A replica that has a write
// shows it or a greater version of its key; one that shows a lesser version, or none, does not have it. An answer that
// the core itself marked stale is neither judged nor remembered: its reader was told.

/** The guarantees in the order of Terry et al., Session Guarantees for Weakly Consistent Replicated Data (PDIS 1994). */
export const GUARANTEES = ['read-your-writes', 'monotonic-reads', 'monotonic-writes', 'writes-follow-reads'];

/** The winner's part of a version: siblings that stand behind it (`winner+sibling`) do not change which write is shown. */
const winner = (version) => version.split('+', 1)[0];

/** Whether a replica or an answer that shows `shown` of a key has the write `needed`. */
const has = (shown, needed) => shown != null && winner(shown) >= winner(needed);

const raise = (known, key, version) => {
  if (!has(known.get(key), version)) known.set(key, version);
};

export class Checker {
  /** Every anomaly found: `{ guarantee, session, key, needed, shown, replica?, write? }`. */
  anomalies = [];
  /** What was judged, so that a count of zero can be told from a checker that had nothing to do. */
  judged = { 'read-your-writes': 0, 'monotonic-reads': 0, 'monotonic-writes': 0, 'writes-follow-reads': 0 };

  #sessions = new Map(); // session → { wrote: key → greatest version written, read: key → greatest version read }
  #writes = new Map(); //   write → { session, key, version, wrote, read }: what its session had done before it
  #replicas = new Map(); // replica → write → what the replica showed at the moment when the write first appeared

  /** Takes one event and returns the anomalies that it brought to light. */
  add(event) {
    const before = this.anomalies.length;
    if (event.type === 'read') this.#read(event);
    else if (event.type === 'write') this.#write(event);
    else this.#seen(event);
    return this.anomalies.slice(before);
  }

  /** Anomalies per guarantee. */
  counts() {
    const counts = Object.fromEntries(GUARANTEES.map((guarantee) => [guarantee, 0]));
    for (const anomaly of this.anomalies) counts[anomaly.guarantee] += 1;
    return counts;
  }

  // Read Your Writes and Monotonic Reads are what the session itself can see: an answer older than its own write, or
  // than an answer it had before.
  #read({ session, key, version, stale, replica }) {
    if (stale) return;
    const past = this.#session(session);
    this.#demand('read-your-writes', past.wrote.get(key), version, { session, key, replica });
    this.#demand('monotonic-reads', past.read.get(key), version, { session, key, replica });
    if (version != null) raise(past.read, key, version);
  }

  #write({ session, key, version }) {
    const past = this.#session(session);
    const write = { session, key, version, wrote: new Map(past.wrote), read: new Map(past.read) };
    this.#writes.set(nameOf(key, version), write);
    raise(past.wrote, key, version);
    // A replica may have shown the write before its session's answer arrived here.
    for (const [replica, shown] of this.#replicas) {
      const state = shown.get(nameOf(key, version));
      if (state) this.#judge(write, replica, state);
    }
  }

  #seen({ replica, versions }) {
    let shown = this.#replicas.get(replica);
    if (!shown) this.#replicas.set(replica, (shown = new Map()));
    for (const [key, version] of Object.entries(versions)) {
      const name = nameOf(key, version);
      if (shown.has(name)) continue;
      shown.set(name, versions);
      const write = this.#writes.get(name);
      if (write) this.#judge(write, replica, versions);
    }
  }

  // Monotonic Writes and Writes Follow Reads are promises to everybody: wherever the write shows, what its session had
  // written or read before it must be there too. Judged once, when the write first appears: a replica never goes back.
  #judge(write, replica, state) {
    const where = { session: write.session, replica, write: { key: write.key, version: write.version } };
    for (const [guarantee, past] of [['monotonic-writes', write.wrote], ['writes-follow-reads', write.read]]) {
      if (past.size > 0) this.judged[guarantee] += 1;
      // One anomaly a write and replica, however much of the past is missing.
      for (const [key, needed] of past) {
        if (has(state[key], needed)) continue;
        this.anomalies.push({ guarantee, key, needed, shown: state[key] ?? null, ...where });
        break;
      }
    }
  }

  #demand(guarantee, needed, shown, where) {
    if (needed === undefined) return;
    this.judged[guarantee] += 1;
    if (!has(shown, needed)) this.anomalies.push({ guarantee, needed, shown, ...where });
  }

  #session(id) {
    let past = this.#sessions.get(id);
    if (!past) this.#sessions.set(id, (past = { wrote: new Map(), read: new Map() }));
    return past;
  }
}

const nameOf = (key, version) => `${key} ${winner(version)}`;
