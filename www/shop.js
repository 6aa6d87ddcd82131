// The shop that the demo plays: its keys, the requests that people make, and words for values and answers.
// Every value carries who wrote it and the number of the write, so that no two writes are ever equal.

/** The shop's keys. Ann roams and writes the first group; Bo, who stands still, writes the second. */
export const KEYS = ['cart', 'login', 'address', 'order', 'answer', 'price', 'question'];

const BOOKS = ['Dune', 'Emma', 'Kim', 'Momo', 'Ulysses', 'Dracula', 'Beloved', 'Persuasion'];

/** Requests by name: `op` and `key` as a replica gets them, `value` made from the number of the write, `label` for people. */
export const REQUESTS = {
  'add-book': { op: 'add', key: 'cart', label: 'add a book', value: (n) => ({ item: BOOKS[n % BOOKS.length] }) },
  'read-cart': { op: 'get', key: 'cart', label: 'read the cart' },
  'log-in': { op: 'set', key: 'login', label: 'log in', value: () => ({ signedIn: true }) },
  'log-out': { op: 'set', key: 'login', label: 'log out', value: () => ({ signedIn: false }) },
  'read-login': { op: 'get', key: 'login', label: 'signed in?' },
  'set-address': { op: 'set', key: 'address', label: 'change the address', value: (n) => ({ street: `${n} Elm Street` }) },
  'place-order': { op: 'set', key: 'order', label: 'place an order', value: (n) => ({ order: n }) },
  'set-price': { op: 'set', key: 'price', label: 'set the price', value: (n) => ({ euros: 5 + (n * 7) % 40 }) },
  'read-price': { op: 'get', key: 'price', label: 'read the price' },
  'ask': { op: 'set', key: 'question', label: 'ask a question', value: (n) => ({ question: n }) },
  'read-question': { op: 'get', key: 'question', label: 'read the question' },
  'answer': { op: 'set', key: 'answer', label: 'answer the question', value: (n) => ({ answer: n }) },
};

/** A value in a few words. */
export function words(key, value) {
  if (value == null) return 'nothing';
  switch (key) {
    case 'cart': return value.items.length === 1 ? '1 book' : `${value.items.length} books`;
    case 'login': return value.signedIn ? 'signed in' : 'signed out';
    case 'address': return value.street;
    case 'price': return `€${value.euros}`;
    default: return `${key} ${value[key]}`;
  }
}

/** The write that a value came from, such as `ann-12`. */
export const writeOf = (value) => `${value.by}-${value.n}`;
