/**
 * The host's own roles: asks `roleOf` before each call of the core that needs a role, and states the answers to the
 * core.
 *
 * Invariants:
 * - The core decides who may do what.
 * - If `roleOf` throws or answers wrongly, that is reported and counts as no role.
 * - `roleOf` is never called while the core is borrowed, and may not use its replica.
 */
import type { CoreReplica, Wanted } from './binding.js';
import { EdgeSessionError, invalid } from './errors.js';
import type { ReplicaOptions } from './types/replica.js';
import type { Role } from './types/service.js';

const ROLES: readonly Role[] = ['God', 'Admin', 'DBA', 'User', 'Guest'];

/** The roles that a call of the core needs, and who wants to know what was stated. */
export interface Asking {
  wanted(core: CoreReplica): Wanted[];
  said?(role: (user: string | null, space: string) => Role | null | undefined): void;
}

export class Roles {
  readonly #roleOf: NonNullable<ReplicaOptions['roleOf']>;
  readonly #error: (error: EdgeSessionError) => void;
  #asking = false;

  constructor(roleOf: NonNullable<ReplicaOptions['roleOf']>, error: (error: EdgeSessionError) => void) {
    this.#roleOf = roleOf;
    this.#error = error;
  }

  /** Throws if `roleOf` itself makes the call, which would recurse without end. Checked before anything is done. */
  guard(): void {
    if (this.#asking) throw invalid('roleOf is called from within its replica and may not use it: let it look into memory of your own');
  }

  /** Tells the core the roles that the next call needs. */
  say(core: CoreReplica, asking: Asking | undefined): void {
    const said = (asking?.wanted(core) ?? core.wantedRoles(undefined)).map(([user, space]) => [user, space, this.of(user, space)] as const);
    if (said.length > 0) core.sayRoles(said);
    asking?.said?.((user, space) => said.find(([one, where]) => one === user && where === space)?.[2]);
  }

  /** The present role of a user in a space. */
  of(user: string | null, space: string): Role | null {
    this.guard();
    this.#asking = true;
    try {
      const role: unknown = this.#roleOf(user, space);
      if (role === null || ROLES.includes(role as Role)) return role as Role | null;
      throw invalid(`roleOf answers one of ${ROLES.join(', ')} or null, and at once`);
    } catch (cause) {
      const error = EdgeSessionError.is(cause) ? cause : invalid('roleOf has thrown; it counts as no role', cause);
      void Promise.resolve().then(() => this.#error(error));
      return null;
    } finally {
      this.#asking = false;
    }
  }
}
