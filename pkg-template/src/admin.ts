/**
 * The operator's calls. Each is a statement, or a look at what the core shows its host.
 */
import type { CoreService } from './binding.js';
import type { Driver } from './driver.js';
import { optional } from './duration.js';
import { invalid } from './errors.js';
import { type Names, optionsOf, textOrNothing } from './form.js';
import { Handle } from './handle.js';
import { run, toStatement } from './query.js';
import type { Session } from './types/session.js';
import type { Admin, Operation, QueryInfo, QueryOptions, Role, SessionSummary, Table } from './types/service.js';

// The lists of the core's `service`, by number.
const [SESSIONS, RUNNING, FINISHED, LOG, CACHE] = [0, 1, 2, 3, 4] as const;

const ROLES: readonly Role[] = ['God', 'Admin', 'DBA', 'User', 'Guest'];

export class AdminHandle implements Admin {
  readonly #driver: Driver;
  /** The session under whose role the calls run; none for the host itself. */
  readonly #handle: Handle | undefined;

  constructor(driver: Driver, handle?: Handle) {
    this.#driver = driver;
    this.#handle = handle;
  }

  as(session: Session<any>): Admin {
    const handle = Handle.of(session);
    if (handle === undefined || handle.driver !== this.#driver) throw invalid('the session is not one of this replica');
    return new AdminHandle(this.#driver, handle);
  }

  async run(statement: string, options?: QueryOptions): Promise<Table> {
    const handle = this.#handle;
    toStatement(statement);
    const ran = () => run(this.#driver, statement, handle, options);
    return handle === undefined ? ran() : handle.state(ran);
  }

  sessions(filter?: Parameters<Admin['sessions']>[0]): SessionSummary[] {
    const { user: of, idleFor, local } = toFilter(filter, { user: 1, idleFor: 1, local: 1 });
    const idle = optional(idleFor, 'idleFor') ?? 0;
    const [now, sessions] = [this.#driver.clock(), this.#see(SESSIONS)];
    const asked = ({ user, lastActiveAt }: SessionSummary) => (of === undefined || of === user) && now - lastActiveAt >= idle;
    return sessions.filter((session) => asked(session) && !(local === true && session.replica !== this.#driver.id));
  }

  async killSession(id: string, reason?: string): Promise<boolean> {
    if (typeof id !== 'string' || (reason !== undefined && typeof reason !== 'string')) throw invalid('a session is named by its id, a reason is a string');
    const raw = this.#handle?.raw;
    const known = this.#driver.call((core, now) => (raw ?? core).killSession(id, reason, now), undefined, this.#handle?.asking(''));
    await this.#flushed();
    return known;
  }

  async killSessions(filter: { user: string; except?: string | undefined }): Promise<number> {
    const { user, except } = toFilter(filter, { user: 1, except: 1 });
    const own = this.sessions({ user: text(user) }).filter(({ id }) => id !== except);
    for (const { id } of own) {
      // A listener that hears of one kill may release the handle.
      const raw = this.#handle?.raw;
      this.#driver.call((core, now) => (raw ?? core).killSession(id, undefined, now), undefined, this.#handle?.asking(''));
    }
    await this.#flushed();
    return own.length;
  }

  queries(filter?: Parameters<Admin['queries']>[0]): QueryInfo[] {
    const { session: by, slowerThan, finished, local } = toFilter(filter, { session: 1, slowerThan: 1, finished: 1, local: 1 });
    const slower = optional(slowerThan, 'slowerThan') ?? 0;
    const of = this.#see(finished === true ? FINISHED : RUNNING);
    const asked = ({ session, durationMs }: QueryInfo) => (by === undefined || by === session) && durationMs >= slower;
    return of.filter((query) => asked(query) && !(local === true && query.replica !== this.#driver.id));
  }

  async killQuery(session: string, plan: number): Promise<void> {
    if (!Number.isSafeInteger(plan)) throw invalid('a plan is a whole number');
    await this.run(`KILL QUERY (SESSION = ${string(session)}, PLAN = ${plan})`);
  }

  async createUser(user: string, password?: string): Promise<void> {
    await this.run(`CREATE USER ${name(user)}${password === undefined ? '' : ` WITH PASSWORD ${string(password)}`}`);
  }

  async dropUser(user: string): Promise<void> {
    await this.run(`DROP USER ${name(user)}`);
  }

  async setPassword(user: string, password: string): Promise<void> {
    await this.run(`ALTER USER ${name(user)} WITH PASSWORD ${string(password)}`);
  }

  users(): Promise<string[]> {
    return this.#column('SHOW USERS');
  }

  async roles(space: string): Promise<{ user: string; role: Role }[]> {
    const { rows } = await this.run(`SHOW ROLES IN ${name(space)}`);
    return rows.map(([user, keyword]) => ({ user: String(user), role: ROLES.find((role) => role.toUpperCase() === keyword) ?? 'Guest' }));
  }

  async grant(user: string, role: Role, space: string): Promise<void> {
    await this.run(`GRANT ROLE ${keyword(role)} ON ${name(space)} TO ${name(user)}`);
  }

  async revoke(user: string, role: Role, space: string): Promise<void> {
    await this.run(`REVOKE ROLE ${keyword(role)} ON ${name(space)} FROM ${name(user)}`);
  }

  async createSpace(space: string): Promise<void> {
    await this.run(`CREATE SPACE ${name(space)}`);
  }

  async dropSpace(space: string): Promise<void> {
    await this.run(`DROP SPACE ${name(space)}`);
  }

  spaces(): Promise<string[]> {
    return this.#column('SHOW SPACES');
  }

  log(filter?: { since?: number | undefined; user?: string | undefined }): Operation[] {
    const { since = 0, user: by } = toFilter(filter, { since: 1, user: 1 });
    if (typeof since !== 'number' || Number.isNaN(since)) throw invalid('since is a time in milliseconds of the epoch');
    return this.#see(LOG).sort((one, other) => one.at - other.at).filter(({ at, user }) => at >= since && (by === undefined || by === user));
  }

  cache(): ReturnType<Admin['cache']> {
    return this.#see(CACHE);
  }

  #see<W extends 0 | 1 | 2 | 3 | 4>(what: W): CoreService[W] {
    const raw = this.#handle?.raw;
    return this.#driver.call((core, now) => (raw ?? core).service(what, now), undefined, this.#handle?.asking(''));
  }

  async #column(statement: string): Promise<string[]> {
    const { rows } = await this.run(statement);
    return rows.map(([cell]) => String(cell));
  }

  /** Waits until storage has the kill. */
  async #flushed(): Promise<void> {
    await this.#driver.operate<unknown>(this, (core, now) => core.flush(-1, now) || undefined);
  }
}

/** A checked filter: its options have known names, and name users and sessions as strings. */
function toFilter<F extends object>(filter: F | undefined, names: Names<F>): Partial<F> {
  const given = optionsOf(filter, names, 'a filter');
  for (const name of ['user', 'session', 'except'] as const) textOrNothing((given as Readonly<Record<string, unknown>>)[name], name);
  return given;
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw invalid('a user is named by a string');
}

function name(value: unknown): string {
  if (typeof value === 'string' && value !== '') return `\`${value.replaceAll('`', '``')}\``;
  throw invalid('a name is a string that is not empty');
}

function string(value: unknown): string {
  if (typeof value !== 'string') throw invalid('a session and a password are strings');
  return `"${value.replace(/[\\"]/g, '\\$&')}"`;
}

function keyword(role: unknown): string {
  if (ROLES.includes(role as Role)) return String(role).toUpperCase();
  throw invalid(`a role is one of ${ROLES.join(', ')}`);
}
