// Making elements, in one line each. Text goes in as text nodes only: no value of the shop is ever parsed as HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element: `el('p', { class: 'fine', hidden: true }, 'text', child)`. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Milliseconds for people. */
export const time = (ms) => (ms < 995 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** Whether the visitor asked for less motion; asked each time, because it can change. */
export const calm = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}
