/**
 * What a token says of itself, unverified: enough to see that two belong together and how long one lives. And, where the core has
 * accepted it, who its bearer is, for whoever asks when the core cannot be asked any more.
 */
import type { CoreSessionInfo } from './binding.js';

/** The claims that are looked at; times are seconds of the epoch. */
export interface Claims {
  readonly sub: unknown;
  readonly sid: string;
  readonly iat: number;
  readonly exp: number;
}

/** Those of a token that the core has accepted. */
interface Whole {
  readonly sub?: string;
  readonly sid: string;
  readonly cid?: string;
  readonly spc?: string;
  readonly gua?: number;
  readonly exp: number;
  readonly end?: number;
}

/** The claims of a token, undefined where it has none. */
export function claims(token: string | null | undefined): Claims | undefined {
  try {
    const { sub, sid, iat, exp } = payload(token ?? '') as Claims;
    return typeof sid === 'string' && typeof iat === 'number' && typeof exp === 'number' ? { sub, sid, iat, exp } : undefined;
  } catch {
    return undefined;
  }
}

/** Who goes on by a token that the core has accepted: what it would say of such a session. */
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

/** Bytes, each as two hexadecimal digits. */
const bytes = (base64url: string): string[] =>
  Array.from((globalThis as unknown as { atob(base64: string): string }).atob(base64url.replaceAll('-', '+').replaceAll('_', '/')), (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0'));

const payload = (token: string): unknown => JSON.parse(decodeURIComponent(`%${bytes(token.split('.')[1] ?? '').join('%')}`));
