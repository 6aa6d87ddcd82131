/**
 * An error as a response: its status, its code, and whether to try again.
 *
 * Messages and details stay on the server, because they name replicas, keys and limits.
 */
import { type ResponseShape, web } from './web.js';

// Replicas catch up, and storage recovers, within about this time.
const RETRY_AFTER_SECONDS = '1';

/** The response for `error`. */
export function refusal(error: { readonly code: string; readonly status: number; readonly retryable: boolean }): ResponseShape {
  const { code, status, retryable } = error;
  const headers: Record<string, string> = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' };
  if (retryable) {
    headers['Retry-After'] = RETRY_AFTER_SECONDS;
    headers['Access-Control-Expose-Headers'] = 'Retry-After';
  }
  // A 401 must name the authentication scheme (RFC 9110, section 15.5.2).
  if (status === 401) headers['WWW-Authenticate'] = 'Edge-Session';
  return new (web().Response)(JSON.stringify({ code, retryable }), { status, headers });
}
