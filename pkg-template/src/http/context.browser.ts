/**
 * Replaces `context.ts` in browsers, which cannot follow a session across an `await`: there is no current session.
 */
import { EdgeSessionError } from '../errors.js';
import type { KeyMap } from '../types/data.js';
import type { Session } from '../types/session.js';

export function runWithSession<T>(_session: Session<any>, _run: () => T): T {
  throw new EdgeSessionError('UNSUPPORTED', 'runWithSession is for servers; in a browser hand the session over');
}

export function currentSession<M = KeyMap>(): Session<M> | undefined {
  return undefined;
}

export function hasContext(): boolean {
  return false;
}
