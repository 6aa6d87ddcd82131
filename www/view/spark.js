// A plot of one number over the last two minutes: a step for each sample. SVG of its own rather than a library's canvas: there is no
// bundler here, the page's colours reach it, light and dark, and a reader of the screen gets it in words.

import { svg } from './dom.js';

const WINDOW_MS = 120_000;
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [560, 128, 34, 22, 10, 8];
const STEPS = [2, 4, 6, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000];

export class Spark {
  #samples = []; // { at, value }

  /** `label` names the plot, `sum` takes what it shows in words. */
  constructor(root, { label, sum }) {
    Object.assign(this, { label, sum });
    this.picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label });
    this.axes = this.picture.appendChild(svg('g', { class: 'axes' }));
    this.area = this.picture.appendChild(svg('path', { class: 'spark-area' }));
    this.line = this.picture.appendChild(svg('path', { class: 'spark-line' }));
    root.append(this.picture);
    this.draw(Date.now());
  }

  add(at, value) {
    this.#samples.push({ at, value });
    this.draw(at);
  }

  clear() {
    this.#samples = [];
    this.draw(Date.now());
  }

  draw(now) {
    // The last one before the window is where its line begins.
    const first = this.#samples.findLastIndex(({ at }) => at <= now - WINDOW_MS);
    this.#samples = this.#samples.slice(Math.max(0, first));
    const most = Math.max(0, ...this.#samples.map(({ value }) => value));
    const top = STEPS.find((step) => step >= most) ?? most;
    const x = (at) => (LEFT + Math.max(0, (at - now + WINDOW_MS) / WINDOW_MS) * (WIDTH - LEFT - RIGHT)).toFixed(1);
    const y = (value) => (HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP)).toFixed(1);
    const lines = [0, top / 2, top].flatMap((value) => [
      svg('line', { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
      svg('text', { x: LEFT - 8, y: Number(y(value)) + 4, class: 'tick end' }, String(value))]);
    const times = [120, 80, 40, 0].map((seconds) => svg('text', { x: x(now - seconds * 1000), y: HEIGHT - 5, class: seconds === 0 ? 'tick end' : 'tick' }, seconds === 0 ? 'now' : `−${seconds} s`));
    this.axes.replaceChildren(...lines, ...times);
    const steps = this.#samples.map(({ at, value }, n) => `${n === 0 ? 'M' : `H${x(at)}V`}${n === 0 ? `${x(at)} ` : ''}${y(value)}`).join('');
    const [begin, end] = [this.#samples[0], this.#samples.at(-1)];
    this.line.setAttribute('d', begin ? `${steps}H${x(now)}` : '');
    this.area.setAttribute('d', begin ? `${steps}H${x(now)}V${y(0)}H${x(begin.at)}Z` : '');
    const words = end ? `now ${end.value}, at most ${most}` : 'nothing yet';
    this.sum.textContent = words;
    this.picture.setAttribute('aria-label', `${this.label}, last two minutes: ${words}`);
  }
}
