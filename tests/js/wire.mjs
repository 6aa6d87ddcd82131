// The bytes of the protocol, written from its page and from nothing else: what a client needs that says what it likes. It checks
// nothing, and it writes what no replica would.
import { createHash } from 'node:crypto';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const BYTES_OF_AN_ID = 10;
const KINDS = { hello: 1, delta: 2, ack: 3, behind: 4, slice: 5, want: 6, topUp: 7, refused: 8, call: 16, reply: 17, ask: 20, bind: 21 };
const NAMES = Object.fromEntries(Object.entries(KINDS).map(([name, kind]) => [kind, name]));
const text = new TextEncoder();

/** The id of a secret, which nobody else can prove. */
export function idOf(label, secret) {
  const hash = createHash('sha256').update('edge-session replica id 1\0').update(secret).update(label).digest();
  let bits = BigInt(`0x${hash.subarray(0, BYTES_OF_AN_ID).toString('hex')}`);
  let random = '';
  for (let n = 0; n < 16; n += 1, bits >>= 5n) random = ALPHABET[Number(bits & 31n)] + random;
  return `${label}~${random}`;
}

function idToBytes(id) {
  const [label, random] = id.split('~');
  const bits = [...random].reduce((sum, char) => (sum << 5n) | BigInt(ALPHABET.indexOf(char)), 0n);
  return Buffer.concat([text.encode(label), Buffer.from(bits.toString(16).padStart(2 * BYTES_OF_AN_ID, '0'), 'hex')]);
}

function idOfBytes(bytes) {
  const label = Buffer.from(bytes.subarray(0, -BYTES_OF_AN_ID)).toString();
  let bits = BigInt(`0x${Buffer.from(bytes.subarray(-BYTES_OF_AN_ID)).toString('hex')}`);
  let random = '';
  for (let n = 0; n < 16; n += 1, bits >>= 5n) random = ALPHABET[Number(bits & 31n)] + random;
  return `${label}~${random}`;
}

/** A stamp: milliseconds and a counter. */
export const stamp = (millis, counter = 0) => (BigInt(Math.floor(millis)) << 16n) | BigInt(counter);

function head(major, value) {
  const n = BigInt(value);
  if (n < 24n) return Uint8Array.of((major << 5) | Number(n));
  const size = n < 1n << 8n ? 1 : n < 1n << 16n ? 2 : n < 1n << 32n ? 4 : 8;
  const bytes = Buffer.from(n.toString(16).padStart(2 * size, '0'), 'hex');
  return Buffer.concat([Uint8Array.of((major << 5) | (24 + Math.log2(size))), bytes]);
}

/** An item of CBOR. */
function item(value) {
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === 'boolean') return Uint8Array.of(value ? 0xf5 : 0xf4);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), text.encode(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(item)]);
  return value < 0 ? head(1, -1n - BigInt(value)) : head(0, value);
}

/** A frame of messages, each `[kind's name, what it says]`. */
export function frame(from, messages) {
  const ids = [];
  const place = (id) => (ids.includes(id) ? ids.indexOf(id) : ids.push(id) - 1);
  const vector = (known) => Object.keys(known).sort().flatMap((id) => [place(id), known[id]]);
  const keys = (list, hlc) => {
    const last = new Map();
    let before = hlc;
    const entry = ({ id, sequence, value, at, kind = 1 }) => {
      const known = value === undefined;
      const said = [20 * place(id) + (known ? 16 : 4 * kind), BigInt(sequence) - BigInt(last.get(id) ?? 0)];
      last.set(id, sequence);
      if (known) return said;
      const since = at - before;
      before = at;
      return [...said, since, value];
    };
    // Nothing is shared with the key before: that is dearer, and as true.
    const said = list.flatMap(([key, entries]) => [...(entries.length === 1 ? [0] : [-1, entries.length]), key, ...entries.flatMap(entry)]);
    return Buffer.concat(said.map(item));
  };
  // As a run, of one id: all text in one, then columns in which each number stands by itself.
  const run = (list, hlc) => {
    const entries = list.map(([, [entry]]) => entry);
    const ahead = entries.map(({ sequence }, at) => sequence - (entries[at - 1]?.sequence ?? 0));
    const since = entries.map(({ at: stamped }, at) => stamped - (entries[at - 1]?.at ?? hlc));
    const lengths = [list.map(([key]) => key), entries.map(({ value }) => value)].map((texts) => texts.map((text) => Buffer.byteLength(text)));
    const columns = [...lengths, ahead, since].flatMap((column) => [-column.length, ...column]);
    const text = list.map(([key, [{ value }]]) => key + value).join('');
    return Buffer.concat([text, 20 * place(entries[0].id) + 4, list.length, ...columns].map(item));
  };
  const fields = {
    hello: ({ vectors = {}, answer = true }) => [1, answer, Object.entries(vectors).flatMap(([space, known]) => [space, 1, vector(known)])],
    delta: (said) => [said.space, 1, vector(said.from), vector(said.to), said.hlc, (said.run ? run : keys)(said.keys, said.hlc)],
    slice: (said) => [said.space, 1, vector(said.from), vector(said.base), vector(said.at), null, true, said.hlc, (said.run ? run : keys)(said.keys, said.hlc)],
    want: ({ space }) => [space, 1, [], [], null],
    behind: ({ space }) => [space, 1, []],
    call: ({ id, method, args, token, timeout = 20_000 }) => [id, method, args, token, timeout],
    bind: (proofs) => [Object.entries(proofs).flatMap(([id, secret]) => [place(id), secret])],
  };
  const sender = place(from);
  const said = messages.map(([name, what]) => [KINDS[name], ...fields[name](what)]);
  return item([1, ids.map(idToBytes), [], sender, null, ...said]);
}


function reader(bytes) {
  let at = 0;
  const size = (info) => {
    if (info < 24) return BigInt(info);
    const length = 2 ** (info - 24);
    at += length;
    return BigInt(`0x${Buffer.from(bytes.subarray(at - length, at)).toString('hex')}`);
  };
  const take = (length) => bytes.subarray(at, (at += Number(length)));
  const next = () => {
    const first = bytes[at];
    at += 1;
    const [major, info] = [first >> 5, first & 31];
    if (major === 7) return { 20: false, 21: true, 22: null }[info];
    const n = size(info);
    if (major === 0) return n;
    if (major === 1) return -1n - n;
    if (major === 2) return take(n);
    if (major === 3) return Buffer.from(take(n)).toString();
    return Array.from({ length: Number(n) }, next);
  };
  return next;
}

/** The messages of a frame, each `{ kind, ids, fields }`; `ids` are the dots or replicas that it names. */
export function messagesOf(bytes) {
  const [, table, , from, , ...messages] = reader(bytes)();
  const ids = table.map(idOfBytes);
  const dots = (flat) => flat.filter((_, n) => n % 2 === 0).map((at, n) => [ids[at], Number(flat[2 * n + 1])]);
  return messages.map(([number, ...fields]) => {
    const kind = NAMES[number] ?? String(number);
    const said = { kind, from: ids[from], fields };
    if (kind === 'refused') return { ...said, space: fields[0], code: fields[2], dots: dots(fields[3]) };
    if (kind === 'behind' || kind === 'ack') return { ...said, space: fields[0], vector: Object.fromEntries(dots(fields[2])) };
    if (kind === 'ask') return { ...said, ids: fields[1].map((at) => ids[at]) };
    if (kind === 'reply') return { ...said, id: fields[0], code: fields[1], text: fields[2] };
    if (kind === 'hello') return { ...said, spaces: fields[2].filter((_, n) => n % 3 === 0) };
    return said;
  });
}
