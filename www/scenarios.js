// Four short plays, one for each guarantee: the smallest story in which its absence shows. A play makes the same
// requests whatever the switches say; the checker counts, and the page compares.

export const SCENARIOS = {
  'read-your-writes': {
    title: 'Read Your Writes',
    promise: 'I see what I have written.',
    story: 'Ann adds a book in Tokyo and opens her cart in Paris.',
    steps: [['ann', 'tokyo', 'add-book'], ['ann', 'paris', 'read-cart']],
  },
  'monotonic-reads': {
    title: 'Monotonic Reads',
    promise: 'What I have seen does not vanish.',
    story: 'Bo sets a new price in Tokyo. Ann sees it there, then looks again in Paris.',
    steps: [['bo', 'tokyo', 'set-price'], ['ann', 'tokyo', 'read-price'], ['ann', 'paris', 'read-price']],
  },
  'monotonic-writes': {
    title: 'Monotonic Writes',
    promise: 'Everybody gets my writes in my order.',
    story: 'Ann changes her address in Paris and orders in Tokyo. Does the order come with the old address?',
    steps: [['ann', 'paris', 'set-address'], ['ann', 'tokyo', 'place-order']],
  },
  'writes-follow-reads': {
    title: 'Writes Follow Reads',
    promise: 'Nobody sees my answer without the question.',
    story: 'Bo asks in Tokyo. Ann reads it there and answers in Paris.',
    steps: [['bo', 'tokyo', 'ask'], ['ann', 'tokyo', 'read-question'], ['ann', 'paris', 'answer']],
  },
};
