/**
 * What a token says of itself, unverified: enough to see that two belong together and how long one lives, and for nothing else.
 */

/** The claims that are looked at; times are seconds of the epoch. */
export interface Claims {
  readonly sub: unknown;
  readonly sid: string;
  readonly iat: number;
  readonly exp: number;
}

/** The claims of a token, undefined where it has none. */
export function claims(token: string | null | undefined): Claims | undefined {
  try {
    const payload = (token?.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const { sub, sid, iat, exp } = JSON.parse((globalThis as unknown as { atob(base64: string): string }).atob(payload));
    return typeof sid === 'string' && typeof iat === 'number' && typeof exp === 'number' ? { sub, sid, iat, exp } : undefined;
  } catch {
    return undefined;
  }
}
