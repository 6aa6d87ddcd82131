/**
 * Reads the claims of a token without verifying it: enough to see whether two tokens belong together and how long one
 * lives. For a token that the core has accepted, also the identity of the session when the core cannot be asked any
 * more.
 */
import type { CoreSessionInfo } from './binding.js';

/** The claims of any token; times are seconds since 1970. */
export interface Claims {
  readonly sub: unknown;
  readonly sid: string;
  readonly iat: number;
  readonly exp: number;
}

/** The claims of a token that the core has accepted. */
interface Whole {
  readonly sub?: string;
  readonly sid: string;
  readonly cid?: string;
  readonly spc?: string;
  readonly gua?: number;
  readonly exp: number;
  readonly end?: number;
}

/** The claims of a token; undefined if it has none. */
export function claims(token: string | null | undefined): Claims | undefined {
  try {
    const { sub, sid, iat, exp } = payload(token ?? '') as Claims;
    return typeof sid === 'string' && typeof iat === 'number' && typeof exp === 'number' ? { sub, sid, iat, exp } : undefined;
  } catch {
    return undefined;
  }
}

/** The identity of a session that resumed from an accepted token: the same as the core would report. */
export function bearer(token: string, keyed: boolean): CoreSessionInfo {
  const { sub, cid, sid, spc, gua, exp, end } = payload(token) as Whole;
  return {
    id: bytes(sid).join('').replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    reason: null,
    expiresAt: 1000 * (keyed ? (end ?? exp) : exp),
    guarantees: gua ?? 15,
    resumed: true,
    user: sub ?? null,
    client: cid ?? null,
    space: spc ?? 'default',
  };
}

/** The bytes of a base64url string, each as two hexadecimal digits. */
const bytes = (base64url: string): string[] =>
  Array.from((globalThis as unknown as { atob(base64: string): string }).atob(base64url.replaceAll('-', '+').replaceAll('_', '/')), (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0'));

const payload = (token: string): unknown => JSON.parse(decodeURIComponent(`%${bytes(token.split('.')[1] ?? '').join('%')}`));
