// The statement line: Enter runs what stands in it, the arrow keys walk through what was run, and below it stands the form that what
// is typed may become. After a text that could not be read the line keeps it, with the cursor where the error is.

import { byId, el } from '../view/dom.js';
import { PIPES, STATEMENTS, formsOf } from './grammar.js';
import { Past } from './past.js';

const HINTS = 2;

export class Line {
  #past = new Past();

  /** `run(statement)` is called with what was said; it resolves with the error, if there is one. */
  constructor(run) {
    this.input = byId('statement');
    byId('line').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#say(this.input.value.trim(), run);
    });
    this.input.addEventListener('keydown', (event) => this.#walk(event));
    this.input.addEventListener('input', () => this.#hint());
    byId('help-toggle').addEventListener('click', () => this.help(byId('help').hidden));
    byId('help').addEventListener('keydown', ({ key }) => key === 'Escape' && this.help(false, true));
    fill(byId('help-statements'), STATEMENTS, (example) => this.put(example));
    fill(byId('help-pipes'), PIPES, (example) => this.put(example));
    this.#hint();
  }

  /** Opens or closes the help. */
  help(open, back = false) {
    byId('help').hidden = !open;
    byId('help-toggle').setAttribute('aria-expanded', String(open));
    if (open) byId('help').focus();
    else if (back) this.input.focus();
  }

  /** Puts a text into the line, the cursor at its first gap, or at a position. */
  put(text, position = text.indexOf('…')) {
    this.input.value = text;
    this.input.focus();
    const at = position < 0 ? text.length : position;
    this.input.setSelectionRange(at, text[at] === '…' ? at + 1 : at);
    this.#hint();
  }

  async #say(statement, run) {
    if (statement === '') return;
    if (/^(help|\?)\s*;?$/i.test(statement)) {
      this.input.value = '';
      return this.help(true);
    }
    this.#past.add(statement);
    this.input.value = '';
    this.#hint();
    const error = await run(statement);
    // Unless something else is being written by now.
    if (error?.code === 'SYNTAX' && this.input.value === '') this.put(statement, error.details.position ?? statement.length);
  }

  #walk(event) {
    if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
    const text = event.key === 'ArrowUp' ? this.#past.back(this.input.value) : this.#past.forward();
    event.preventDefault();
    if (text !== null) this.put(text, text.length);
  }

  #hint() {
    const forms = formsOf(this.input.value).slice(0, HINTS);
    byId('hint').textContent = forms.length === 0 ? 'Enter runs it, ↑ and ↓ bring back what was run, HELP says what there is.' : forms.join('   or   ');
  }
}

function fill(list, forms, put) {
  list.append(...forms.flatMap(([form, what, example]) => [
    el('dt', {}, el('button', { type: 'button', class: 'form', onclick: () => put(example) }, form)),
    el('dd', {}, what)]));
}
