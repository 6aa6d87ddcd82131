// The token: the string as it travels, and what the package's `inspectToken` reads in it.

import { labelOf } from '../places.js';
import { el } from './dom.js';

export class TokenView {
  constructor({ text, size, facts }) {
    Object.assign(this, { text, size, facts });
  }

  /** `claims` is what `inspectToken(token)` said. */
  show(token, claims) {
    const [signed, suffix] = token.split('~');
    this.text.replaceChildren(el('span', { class: 'tint-a' }, signed), el('span', { class: 'tint-b' }, `~${suffix ?? ''}`));
    this.size.textContent = `${claims.bytes} bytes`;
    this.facts.replaceChildren(...[
      ['user', claims.user ?? 'anonymous'],
      ['session', claims.sessionId ?? 'none yet'],
      ['signed', claims.signed ? `yes, with key “${claims.kid}”` : 'no: a tab holds no key'],
      ['expires', claims.expiresAt ? new Date(claims.expiresAt).toLocaleString('en-GB') : 'never'],
      ['has read', vectorText(claims.reads)],
      ['has written', vectorText(claims.writes)],
    ].flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
  }
}

const vectorText = (vector) => `<${Object.entries(vector).map(([replica, n]) => `${labelOf(replica)}:${n}`).sort().join(', ')}>`;
