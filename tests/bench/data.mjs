/** What is written and read: keys of 16 characters; values of 64 characters, of 64 that are not ASCII, or of five fields. */

export const key = (at) => `key:${String(at).padStart(12, '0')}`;

export const VALUES = {
  ascii: (at) => `value ${at} `.padEnd(64, '.'),
  unicode: (at) => `naïve ${at} `.padEnd(64, 'ünïcödé–'),
  object: (at) => ({ id: at, name: `item ${at}`, price: at / 100, tags: ['a', 'b'], stock: at % 7 === 0 }),
};

/** The keys and values of `count` entries, made before the clock runs. */
export function entries(count, kind) {
  const at = Array.from({ length: count }, (_, index) => index);
  return { keys: at.map(key), values: at.map(VALUES[kind]) };
}

/** A stride that visits every place once, in an order that no cache likes. */
export function shuffled(count) {
  let stride = 7919;
  while (gcd(stride, count) !== 1) stride += 2;
  return Array.from({ length: count }, (_, at) => (at * stride) % count);
}

const gcd = (a, b) => (b === 0 ? a : gcd(b, a % b));
