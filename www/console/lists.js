// The lists that refresh by themselves: the sessions of the fleet as an edge knows it, the edge's queries, the operation log, and the two
// plots that they feed. They show what the edge answers to who asks, so an ordinary user sees less; and they run nothing but `SHOW`.

import { labelOf, nameOf } from '../places.js';
import { byId, time } from '../view/dom.js';
import { Spark } from '../view/spark.js';
import { Rows } from './rows.js';

const EVERY_MS = 1_000;

/** A session for people: ids begin with the time, and end in what tells them apart. */
export const tail = (id) => `…${id.slice(-8)}`;

const ago = (at) => (Date.now() - at < 1_000 ? 'now' : `${time(Date.now() - at)} ago`);
const clock = (at) => new Date(at).toLocaleTimeString('en-GB');
/** Rows as objects, by the names of their columns. */
const records = ({ columns, rows }) => rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]])));

export class Lists {
  #on;
  #turn = 0;
  #busy = false;

  /** Calls back: `who()` and `where()` for the operator and the edge to ask; `kill(statement)` for the buttons. */
  constructor(on) {
    this.#on = on;
    this.sessions = new Rows(byId('sessions'), {
      key: ({ SessionId }) => SessionId, most: 60, empty: 'no session that you may see',
      columns: [
        { title: 'Session', cell: ({ SessionId }) => ({ text: tail(SessionId), title: SessionId }) },
        { title: 'User', cell: ({ SessionId, UserName }) => (SessionId === on.who().session ? { text: `${UserName}: this console`, kind: 'value' } : UserName ?? 'anonymous') },
        { title: 'Space', cell: ({ SpaceName }) => SpaceName },
        { title: 'State', cell: ({ State }) => State },
        { title: 'Queries', number: true, cell: ({ ActiveQueries }) => String(ActiveQueries) },
        { title: 'Used', cell: ({ UpdateTime }) => ago(Date.parse(UpdateTime)) },
        { title: 'At', cell: ({ GraphAddr }) => ({ text: nameOf(labelOf(GraphAddr)), title: GraphAddr }) },
        { title: 'Told', cell: ({ AgeInMs }) => (AgeInMs > 0 ? `${time(AgeInMs)} ago` : 'here') },
      ],
      act: ({ SessionId, UserName }) => ({ label: 'Kill', title: `Kill the session ${tail(SessionId)} of ${UserName ?? 'nobody'}`, run: () => on.kill(`KILL SESSION "${SessionId}"`) }),
    });
    this.queries = new Rows(byId('queries'), {
      key: ({ Host, ExecutionPlanID }) => `${Host} ${ExecutionPlanID}`, most: 60, empty: 'nothing runs that you may see',
      columns: [
        { title: 'Plan', number: true, cell: ({ ExecutionPlanID }) => String(ExecutionPlanID) },
        { title: 'Query', cell: ({ Query }) => ({ text: Query, title: Query }) },
        { title: 'User', cell: ({ SessionID, User }) => ({ text: User ?? 'anonymous', title: SessionID }) },
        { title: 'For', cell: ({ DurationInUSec }) => time(DurationInUSec / 1_000) },
        { title: 'At', cell: ({ Host }) => ({ text: nameOf(labelOf(Host)), title: Host }) },
      ],
      act: ({ SessionID, ExecutionPlanID, Query }) => ({ label: 'Kill', title: `Kill the query ${ExecutionPlanID}: ${Query}`, run: () => on.kill(`KILL QUERY (SESSION = "${SessionID}", PLAN = ${ExecutionPlanID})`) }),
    });
    this.log = new Rows(byId('operations'), {
      key: ({ n }) => n, most: 60, empty: 'nothing that you may read: the log is for God, and for Admins that of their spaces',
      columns: [
        { title: 'When', cell: ({ at }) => clock(at) },
        { title: 'Who', cell: ({ user, session }) => ({ text: user ?? 'the host', title: session ?? '' }) },
        { title: 'What', cell: ({ action }) => ({ text: action, title: action }) },
        { title: 'Space', cell: ({ target }) => target },
        { title: 'At', cell: ({ replica }) => ({ text: nameOf(labelOf(replica)), title: replica }) },
        { title: 'Outcome', cell: ({ outcome }) => ({ text: outcome, kind: outcome === 'OK' ? 'value' : 'refused' }) },
      ],
    });
    this.plots = {
      sessions: new Spark(byId('sessions-plot'), { label: 'Active sessions', sum: byId('sessions-plot-sum') }),
      queries: new Spark(byId('queries-plot'), { label: 'Running queries', sum: byId('queries-plot-sum') }),
    };
    setInterval(() => !document.hidden && this.refresh(), EVERY_MS);
  }

  /** Another one asks, or elsewhere: what was shown is not theirs. */
  begin() {
    this.#turn += 1;
    this.#busy = false;
    for (const rows of [this.sessions, this.queries, this.log]) rows.show([]);
    for (const plot of Object.values(this.plots)) plot.clear();
    return this.refresh();
  }

  /** Asks the edge for all of them; one answer that is late keeps nobody waiting but itself. */
  async refresh() {
    if (this.#busy) return;
    this.#busy = true;
    const turn = this.#turn;
    const [who, where] = [this.#on.who(), this.#on.where()];
    const current = () => turn === this.#turn;
    const look = async (asked, aside, rows, show) => {
      const refuse = (error) => {
        if (error.code === undefined) throw error;
        rows.show([], `${error.code}: ${error.message}`);
        return '';
      };
      const said = await asked.then((answer) => (current() ? show(answer) : ''), (error) => (current() ? refuse(error) : ''));
      if (current()) aside.textContent = said;
    };
    await Promise.all([
      look(who.run(where, 'SHOW SESSIONS', { aside: true }), byId('sessions-sum'), this.sessions, (table) => this.#sessions(records(table))),
      look(who.run(where, 'SHOW QUERIES', { aside: true }), byId('queries-sum'), this.queries, (table) => this.#queries(records(table))),
      look(who.log(where), byId('operations-sum'), this.log, (operations) => this.#operations(operations)),
    ]);
    if (current()) this.#busy = false;
  }

  #sessions(sessions) {
    sessions.sort((a, b) => (a.SessionId < b.SessionId ? 1 : -1));
    this.sessions.show(sessions);
    const active = sessions.filter(({ State }) => State === 'active').length;
    this.plots.sessions.add(Date.now(), active);
    return `${active} active`;
  }

  #queries(queries) {
    // The looks of consoles, this one's too, are queries themselves.
    const others = queries.filter(({ Query }) => !/^SHOW (QUERIES|SESSIONS)$/.test(Query));
    this.queries.show(others);
    this.plots.queries.add(Date.now(), others.length);
    return `${others.length} running`;
  }

  #operations(operations) {
    // The same lines come again and again: what is written twice is told apart by its place among its like.
    const seen = new Map();
    const lines = operations.map((operation) => {
      const name = `${operation.at} ${operation.replica} ${operation.session} ${operation.action}`;
      seen.set(name, (seen.get(name) ?? 0) + 1);
      return { ...operation, n: `${name} ${seen.get(name)}` };
    });
    this.log.show(lines.reverse());
    return operations.length > 0 ? 'newest first' : '';
  }
}
