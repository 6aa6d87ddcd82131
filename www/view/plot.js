// A plot of the last minute: one dot a measurement, time to the right, milliseconds upwards. Small on purpose; it
// holds its own points and forgets those that have left the window.

import { nameOf } from '../places.js';
import { svg, time } from './dom.js';

const WINDOW_MS = 60_000;
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [560, 170, 52, 22, 10];
const STEPS = [50, 100, 250, 500, 1000, 2000, 5000, 10_000, 20_000];

export class Plot {
  #points = [];

  /** `series`: the places to tell apart, each drawn in its own colour; `sum` takes the plot's summary in words. */
  constructor(root, { series, sum, label, empty }) {
    Object.assign(this, { sum, empty, series });
    this.picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT + 18}`, role: 'img', 'aria-label': label });
    this.axes = this.picture.appendChild(svg('g', { class: 'axes' }));
    this.dots = this.picture.appendChild(svg('g', {}));
    series.forEach((id, at) => this.picture.append(
      svg('circle', { cx: LEFT + 6 + at * 92, cy: HEIGHT + 10, r: 4, class: `series ${id}` }),
      svg('text', { x: LEFT + 15 + at * 92, y: HEIGHT + 14, class: 'legend' }, nameOf(id))));
    root.append(this.picture);
    this.draw(Date.now());
  }

  add(place, at, ms) {
    this.#points.push({ place, at, ms });
  }

  clear() {
    this.#points = [];
  }

  draw(now) {
    this.#points = this.#points.filter(({ at }) => at > now - WINDOW_MS);
    const greatest = Math.max(0, ...this.#points.map(({ ms }) => ms));
    const top = STEPS.find((step) => step >= greatest) ?? greatest;
    const x = (at) => LEFT + ((at - now + WINDOW_MS) / WINDOW_MS) * (WIDTH - LEFT - 8);
    const y = (ms) => HEIGHT - BOTTOM - (ms / top) * (HEIGHT - BOTTOM - TOP);
    const lines = [0, 0.5, 1].flatMap((part) => [
      svg('line', { x1: LEFT, x2: WIDTH - 8, y1: y(top * part), y2: y(top * part) }),
      svg('text', { x: LEFT - 8, y: y(top * part) + 4, class: 'tick end' }, time(top * part))]);
    const times = [60, 40, 20, 0].map((seconds) => svg('text', { x: x(now - seconds * 1000), y: HEIGHT - 5, class: seconds === 0 ? 'tick end' : 'tick' }, seconds === 0 ? 'now' : `−${seconds} s`));
    this.axes.replaceChildren(...lines, ...times);
    this.dots.replaceChildren(...this.#points.map(({ place, at, ms }) => svg('circle', { cx: x(at).toFixed(1), cy: y(Math.min(ms, top)).toFixed(1), r: 3, class: `series ${place}` })));
    this.sum.textContent = this.#summary();
  }

  #summary() {
    if (this.#points.length === 0) return this.empty;
    const sorted = this.#points.map(({ ms }) => ms).sort((a, b) => a - b);
    const at = (part) => time(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]);
    return `last minute: median ${at(0.5)}, 95 % under ${at(0.95)}`;
  }
}
