/** What the workloads use of `node:assert/strict`, for a page. */
const fail = (message) => {
  throw new Error(message ?? 'an assertion does not hold');
};
const assert = (held, message) => held || fail(message);
assert.fail = fail;
assert.equal = (a, b, message) => Object.is(a, b) || fail(message ?? `${String(a)} is not ${String(b)}`);
export default assert;
