/**
 * The one error class of the package: a real `Error` with a stable code.
 *
 * Its table repeats that of the core (`src/error.rs`), because an error must be possible before, and after, there is a
 * wasm instance to ask. A test compares the two.
 */

import { refusal } from './http/refusal.js';
import type { PlatformResponse } from './http/web.js';

const TABLE = {
  STALE_REPLICA: { status: 503, retryable: true },
  DEPENDENCY_LOST: { status: 410, retryable: false },
  TIMEOUT: { status: 504, retryable: true },
  ABORTED: { status: 499, retryable: false },
  CONFLICT: { status: 409, retryable: false },
  TOKEN_INVALID: { status: 401, retryable: false },
  TOKEN_EXPIRED: { status: 401, retryable: false },
  TOKEN_TOO_LARGE: { status: 413, retryable: false },
  PERMISSION_DENIED: { status: 403, retryable: false },
  SESSION_NOT_FOUND: { status: 401, retryable: false },
  SESSION_EXPIRED: { status: 401, retryable: false },
  SESSION_KILLED: { status: 401, retryable: false },
  MAX_CONNECTIONS_EXCEEDED: { status: 429, retryable: true },
  BAD_CREDENTIALS: { status: 401, retryable: false },
  QUERY_NOT_FOUND: { status: 404, retryable: false },
  QUERY_KILLED: { status: 409, retryable: false },
  QUERY_TIMEOUT: { status: 504, retryable: false },
  SYNTAX: { status: 400, retryable: false },
  SEMANTIC: { status: 400, retryable: false },
  USER_NOT_FOUND: { status: 404, retryable: false },
  USER_EXISTED: { status: 409, retryable: false },
  ROLE_NOT_FOUND: { status: 404, retryable: false },
  IMPROPER_ROLE: { status: 409, retryable: false },
  SPACE_EXISTED: { status: 409, retryable: false },
  SPACE_NOT_FOUND: { status: 404, retryable: false },
  ARGUMENT_INVALID: { status: 400, retryable: false },
  KEY_INVALID: { status: 400, retryable: false },
  VALUE_INVALID: { status: 400, retryable: false },
  VALUE_TOO_LARGE: { status: 413, retryable: false },
  QUOTA_EXCEEDED: { status: 507, retryable: false },
  RATE_LIMITED: { status: 429, retryable: true },
  CLOCK_DRIFT: { status: 400, retryable: false },
  STORAGE_FAILED: { status: 500, retryable: true },
  MESSAGE_MALFORMED: { status: 400, retryable: false },
  PROTOCOL_MISMATCH: { status: 426, retryable: false },
  TRANSPORT_FAILED: { status: 503, retryable: true },
  REPLICA_CLOSED: { status: 503, retryable: false },
  REPLICA_CRASHED: { status: 500, retryable: true },
  WASM_UNAVAILABLE: { status: 500, retryable: false },
  UNSUPPORTED: { status: 501, retryable: false },
} as const;

/** What went wrong, by a name that programs may compare. */
export type ErrorCode = keyof typeof TABLE;

/** Every {@link ErrorCode}. */
export const ERROR_CODES = /* @__PURE__ */ Object.freeze(/* @__PURE__ */ Object.keys(TABLE)) as readonly ErrorCode[];

const NOTHING = /* @__PURE__ */ Object.freeze({});

// So that two copies of the package on one page recognise each other's errors.
const BRAND = /* @__PURE__ */ Symbol.for('edge-session.error');

/**
 * Every error that this package throws or rejects with.
 *
 * @example
 * ```ts
 * try {
 *   await session.batch((tx) => tx.check('a', null).set('a', 1));
 * } catch (error) {
 *   if (EdgeSessionError.is(error, 'CONFLICT')) console.warn('lost the race', error.details);
 *   else throw error;
 * }
 * ```
 */
export class EdgeSessionError extends Error {
  /** What went wrong. */
  readonly code: ErrorCode;
  /** Whether the same call may succeed later, with nothing changed by the caller. */
  readonly retryable: boolean;
  /** The HTTP status that tells it best. */
  readonly status: number;
  /**
   * What a program can use: `missing` with `STALE_REPLICA`, `key` and `version` with `CONFLICT`, `limit` with a limit.
   */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { details?: Record<string, unknown> | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = TABLE[code].retryable;
    this.status = TABLE[code].status;
    this.details = options.details === undefined ? NOTHING : Object.freeze(options.details);
  }

  static {
    Object.defineProperty(this.prototype, 'name', { value: 'EdgeSessionError', configurable: true, writable: true });
    Object.defineProperty(this.prototype, BRAND, { value: true });
  }

  /**
   * The response that tells this error: its `status`, its `code`, `Retry-After` where the same request may succeed
   * later, and nothing else: message and details stay here. For servers; `toResponse` of `edge-session/http` also takes
   * cookies away.
   */
  toResponse(): PlatformResponse {
    return refusal(this) as PlatformResponse;
  }

  /** Whether `error` is one of ours, and of `code` where that is given. */
  static is<C extends ErrorCode = ErrorCode>(error: unknown, code?: C): error is EdgeSessionError & { readonly code: C } {
    if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
    return code === undefined || (error as { code?: unknown }).code === code;
  }
}

/** The error for an exception of the binding; undefined if it is not an error of the core but a trap. */
export function fromCore(thrown: unknown): EdgeSessionError | undefined {
  if (EdgeSessionError.is(thrown)) return thrown;
  if (typeof thrown !== 'object' || thrown === null || thrown instanceof Error) return undefined;
  const { code, message, details } = thrown as Partial<{ code: ErrorCode; message: string; details: Record<string, unknown> }>;
  if (code === undefined || !Object.hasOwn(TABLE, code)) return undefined;
  return new EdgeSessionError(code, message ?? code, { details });
}

/** `ARGUMENT_INVALID`: `what` does not have the documented form. Nothing has happened. */
export function invalid(what: string, cause?: unknown): EdgeSessionError {
  return new EdgeSessionError('ARGUMENT_INVALID', what, { cause });
}

/** `ABORTED`, with the signal's reason as its cause. */
export function aborted(reason: unknown): EdgeSessionError {
  return new EdgeSessionError('ABORTED', 'the caller aborted the wait', { cause: reason });
}
