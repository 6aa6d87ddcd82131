// The map: three edges, the roads between them, this tab, and every message on its way. It draws what it is told and
// decides nothing; the switches on the roads call back.

import { EDGES, LINKS, TAB } from '../places.js';
import { calm, el, svg, time } from './dom.js';

const WIDTH = 640;
const HEIGHT = 300;
/** More than this on their way at once are counted, not drawn. */
const MOST_DRAWN = 40;
const KEYFRAMES = 10;

// A world of dots, coarse on purpose: rows from north to south, each with the columns where there is land.
const LAND = [
  [[7, 12], [15, 20], [31, 33], [38, 61]], [[4, 17], [19, 21], [29, 32], [34, 63]], [[3, 16], [28, 30], [32, 62]],
  [[6, 17], [27, 58]], [[7, 15], [27, 56], [58, 58]], [[8, 14], [27, 28], [31, 33], [35, 54], [57, 58]],
  [[9, 13], [26, 31], [33, 53]], [[10, 12], [14, 14], [25, 40], [42, 50]], [[11, 13], [25, 37], [39, 40], [43, 45], [47, 49]],
  [[13, 14], [25, 36], [43, 44], [48, 49]], [[15, 19], [27, 37], [44, 44], [48, 51]], [[15, 21], [31, 36], [50, 55]],
  [[15, 23], [31, 36], [51, 53], [55, 57]], [[16, 22], [31, 35], [37, 37], [53, 57]], [[16, 21], [31, 35], [37, 37], [52, 58]],
  [[16, 20], [32, 34], [51, 58]], [[16, 18], [32, 33], [52, 53], [56, 57]], [[16, 17], [61, 61]], [[16, 16]],
];

export class MapView {
  #roads = new Map();
  #nodes = new Map();
  #onRoad = 0;
  #sent = 0;
  #bytes = 0;

  /** `cut(name, pressed)` is called by the switches on the roads, `kill(edge)` and `revive(edge)` by those of the edges; `traffic` is where the sums are written. */
  constructor(root, { cut, kill, revive, traffic }) {
    this.traffic = traffic;
    this.picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, 'aria-hidden': 'true', focusable: 'false' });
    this.picture.append(land());
    root.append(this.picture);
    const middles = LINKS.map((link) => this.#road(link.name, link.ends.map(placeOf), link.bend));
    this.#road('home', [placeOf('paris'), tabUnder('paris')], 0);
    this.messages = this.picture.appendChild(svg('g', { class: 'messages' }));
    for (const place of EDGES) this.#node(place.id, place.name, place);
    this.#node('tab', TAB.name, tabUnder('paris'));
    LINKS.forEach((link, at) => root.append(this.#switch(link, middles[at], cut)));
    for (const edge of EDGES) root.append(this.#power(edge, kill, revive));
  }

  /** Shows how long each road is now. */
  lag(name, ms, isCut) {
    const { path, text, button } = this.#roads.get(name);
    path.classList.toggle('cut', isCut);
    if (!button) return;
    text.textContent = isCut ? 'cut' : time(ms);
    button.setAttribute('aria-pressed', String(isCut));
  }

  /** Marks where Ann's request is, and whether it waits there. */
  ann(place, waiting) {
    for (const [id, { node }] of this.#nodes) {
      node.classList.toggle('here', id === place);
      node.classList.toggle('waiting', id === place && waiting);
    }
  }

  /** Says under an edge's name whether it could serve Ann now. */
  ready(place, text, behind) {
    const { note, node } = this.#nodes.get(place);
    note.textContent = text;
    node.classList.toggle('behind', behind);
  }

  /** Whether an edge's process runs. */
  up(place, up) {
    const { node, power } = this.#nodes.get(place);
    node.classList.toggle('down', !up);
    const what = `${up ? 'Kill' : 'Start'} the edge in ${placeOf(place).name}`;
    power.setAttribute('aria-label', what);
    power.title = up ? `${what}: kill -9` : what;
    power.setAttribute('aria-pressed', String(!up));
    power.textContent = up ? 'kill' : 'start';
  }

  /** Hangs the tab under its home edge; `null` where there are no edges. */
  home(edge) {
    const road = this.#roads.get('home').path;
    road.classList.toggle('absent', edge === null);
    const at = tabUnder(edge ?? 'paris');
    this.#nodes.get('tab').node.setAttribute('transform', `translate(${at.x} ${at.y})`);
    if (edge) road.setAttribute('d', curve([placeOf(edge), at], 0).d);
  }

  /** A message has left `from` on a road; it travels for `lag` milliseconds, or is lost. */
  sent(from, { road, bytes, lag, lost }) {
    this.#sent += 1;
    this.#bytes += bytes;
    this.traffic.textContent = `${this.#sent} messages, ${(this.#bytes / 1024).toFixed(1)} KiB`;
    const { path } = this.#roads.get(road);
    if (this.#onRoad >= MOST_DRAWN || document.hidden || calm()) return;
    const forwards = road === 'home' ? from !== 'tab' : LINKS.find((link) => link.name === road).ends[0] === from;
    const length = path.getTotalLength();
    const reach = lost ? 0.45 : 1;
    const frames = Array.from({ length: KEYFRAMES }, (_, at) => {
      const part = (at / (KEYFRAMES - 1)) * reach;
      const { x, y } = path.getPointAtLength(length * (forwards ? part : 1 - part));
      return { transform: `translate(${x}px, ${y}px)`, opacity: lost ? 1 - at / KEYFRAMES : 1 };
    });
    const dot = this.messages.appendChild(svg('circle', { r: Math.min(6, 2 + Math.sqrt(bytes) / 9), class: lost ? 'message lost' : 'message' }));
    this.#onRoad += 1;
    dot.animate(frames, { duration: Math.max(lag, 180), easing: 'linear' }).finished.finally(() => {
      dot.remove();
      this.#onRoad -= 1;
    });
  }

  #road(name, ends, bend) {
    const { d, middle } = curve(ends, bend);
    const path = this.picture.appendChild(svg('path', { d, class: 'road' }));
    this.#roads.set(name, { path });
    return middle;
  }

  #node(id, name, { x, y }) {
    const note = svg('text', { y: id === 'tab' ? 21 : -17, x: id === 'tab' ? 21 : 0, class: 'note' });
    const node = svg('g', { class: `node ${id === 'tab' ? 'tab' : 'edge'}`, transform: `translate(${x} ${y})` },
      svg('circle', { r: 15, class: 'halo' }), svg('circle', { r: 7, class: 'dot' }),
      svg('text', { y: id === 'tab' ? 4 : 26, x: id === 'tab' ? 21 : 0, class: 'name' }, name), note);
    this.picture.append(node);
    this.#nodes.set(id, { node, note });
  }

  #power({ id, name, x, y }, kill, revive) {
    const power = el('button', {
      type: 'button', class: 'scissors', 'aria-pressed': 'false', 'aria-label': `Kill the edge in ${name}`, 'data-edge': id,
      style: `left: ${(x / WIDTH) * 100}%; top: ${((y - 56) / HEIGHT) * 100}%`,
      onclick: () => (power.getAttribute('aria-pressed') === 'true' ? revive : kill)(id),
    }, 'kill');
    this.#nodes.get(id).power = power;
    return power;
  }

  #switch({ name, ends }, middle, cut) {
    const text = el('span', { class: 'road-lag' });
    const [a, b] = ends.map((id) => placeOf(id).name);
    const button = el('button', {
      type: 'button', class: 'scissors', 'aria-pressed': 'false', 'aria-label': `Cut the road between ${a} and ${b}`, title: `Cut the road between ${a} and ${b}`,
      'data-road': name, style: `left: ${(middle.x / WIDTH) * 100}%; top: ${(middle.y / HEIGHT) * 100}%`,
      onclick: () => cut(name, button.getAttribute('aria-pressed') !== 'true'),
    }, el('span', { 'aria-hidden': 'true' }, '✂'), text);
    Object.assign(this.#roads.get(name), { text, button });
    return button;
  }
}

const placeOf = (id) => EDGES.find((edge) => edge.id === id);
const tabUnder = (edge) => ({ x: placeOf(edge).x, y: 268 });

// A road is a quadratic curve that swings out by `bend`; its middle is half as far out as its control point.
function curve([from, to], bend) {
  const x = (from.x + to.x) / 2;
  const y = (from.y + to.y) / 2;
  return { d: `M${from.x} ${from.y} Q${x} ${y + bend} ${to.x} ${to.y}`, middle: { x, y: y + bend / 2 } };
}

function land() {
  const group = svg('g', { class: 'land' });
  LAND.forEach((spans, row) => {
    for (const [first, last] of spans) {
      for (let column = first; column <= last; column += 1) group.append(svg('circle', { cx: column * 10 - 6, cy: 22 + row * 13, r: 2.3 }));
    }
  });
  return group;
}
