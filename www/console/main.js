// Composes the operations console: who operates and where, the statement line with its answers, the lists that refresh. All that it
// shows and does are statements that run at a real edge, under a session of the operator's; this page holds no replica of its own.
//
// `window.operations` is for reading: `ready`, a promise that the console serves; `role`, 'online' or 'alone'.

import { EDGES } from '../places.js';
import { byId, el } from '../view/dom.js';
import { World } from '../world.js';
import { Answers } from './answers.js';
import { Line } from './line.js';
import { Lists } from './lists.js';
import { Operator } from './operator.js';

const REPORT = 'REPORT 30';

const world = new World({ changed: (state) => changed(state) });
const operators = { root: new Operator(world, 'root'), ann: new Operator(world, 'ann') };
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
const who = () => operators[chosen('who')];
const where = () => chosen('where');
const answers = new Answers(byId('answers'), byId('said'));

for (const { id, name } of EDGES) {
  byId('edges').append(el('label', { class: 'segment' }, el('input', { type: 'radio', name: 'where', value: id, checked: id === 'paris' }), el('span', {}, name)));
}

const line = new Line(say);
const lists = new Lists({ who, where, kill: (statement) => say(statement) });

for (const choice of document.querySelectorAll('input[name="who"], input[name="where"]')) choice.addEventListener('change', begin);
byId('report').addEventListener('click', () => say(REPORT));

/** Runs a text as who is chosen, where is chosen; resolves with the error, if there is one. */
async function say(statement) {
  const [operator, edge] = [who(), where()];
  const end = answers.begin({ user: operator.user, edge, statement });
  const error = await operator.run(edge, statement).then((table) => void end({ table }), (refusal) => {
    if (refusal.code === undefined) throw refusal;
    end({ error: refusal });
    return refusal;
  });
  void lists.refresh();
  return error;
}

function begin() {
  document.body.dataset.who = chosen('who');
  return lists.begin();
}

function changed({ edges }) {
  for (const { id } of EDGES) {
    const choice = document.querySelector(`input[name="where"][value="${id}"]`);
    choice.parentElement.classList.toggle('down', !edges[id].up);
    choice.parentElement.title = edges[id].up ? '' : 'this edge does not run';
  }
}

async function start() {
  const alone = (await world.start()) === null;
  document.body.dataset.role = alone ? 'alone' : 'online';
  byId('notice').hidden = !alone;
  if (alone) {
    for (const control of document.querySelectorAll('input, button')) control.disabled = true;
    return;
  }
  await begin();
  line.input.focus();
}

window.operations = {
  ready: start().catch((error) => {
    byId('notice').hidden = false;
    byId('notice').textContent = `Something failed: ${error.message}`;
    throw error;
  }),
  get role() { return document.body.dataset.role; },
};
