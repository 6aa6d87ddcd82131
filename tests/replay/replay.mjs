// Plays a trace of the simulator on the wasm module: every call of every replica again, one instance a replica, and every
// result compared with what the native core answered. Decides nothing, and needs nothing but the module: the same file
// runs in Node and in a page. The trace's form is told in tests/sim/src/trace.rs.

/**
 * Plays the lines of `trace` on instances that `instantiate()` makes, and counts what was compared.
 * Throws at the first call whose result is another one than in the trace.
 */
export async function replay(trace, instantiate) {
  const blobs = [];
  const replicas = new Map();
  const counts = { calls: 0, replicas: 0, answers: 0, effects: 0, bytes: 0 };
  for (const [at, text] of trace.trimEnd().split('\n').entries()) {
    const line = JSON.parse(text);
    if (!Array.isArray(line)) {
      blobs.push(decode(line.blob));
      continue;
    }
    const [number, method, given, expected] = line;
    const args = given.map((value) => fill(value, blobs));
    let result;
    try {
      if (method === 'open') {
        const { Replica } = await instantiate();
        const [core, sink] = [new Replica(...args), new Sink()];
        core.attend(sink);
        replicas.set(number, { core, sessions: new Map(), sink });
        counts.replicas += 1;
      }
      result = shown(call(replicas.get(number), method, args), expected);
    } catch (error) {
      if (error?.code === undefined || expected?.error === undefined) throw where(at, text, error);
      result = { error };
    }
    const difference = compare(result, expected, blobs, counts);
    if (difference) throw where(at, text, difference);
    counts.calls += 1;
    if (method === 'free') replicas.delete(number);
    else if (method === 'poll') counts.effects += expected === null ? 0 : 1;
    else if (expected !== null) counts.answers += 1;
  }
  return counts;
}

/** The methods of a session: their first argument is its number in the trace. */
const OF_SESSION = ['get', 'read', 'list', 'conflicts', 'set', 'delete', 'batch', 'watch', 'merge', 'missing', 'token', 'sealed', 'glance', 'handOver', 'recordReads'];

function call({ core, sessions, sink }, method, args) {
  if (method === 'open') return core.id;
  if (method === 'session') {
    const [handle, init, now] = args;
    const session = core.session(init, now);
    sessions.set(handle, session);
    const text = session.info();
    const reason = text.slice(38, text.indexOf(' '));
    return { id: text.slice(0, 36), resumed: text[36] === '1', guarantees: Number.parseInt(text[37], 16), reason: reason === '-' ? null : reason };
  }
  if (method === 'close') {
    const [handle] = args;
    sessions.get(handle)?.free();
    sessions.delete(handle);
    return undefined;
  }
  if (method === 'poll') {
    // The module hands over all that there is, the trace has one effect a line.
    if (sink.effects.length === 0) core.poll();
    return sink.effects.shift();
  }
  if (!OF_SESSION.includes(method)) return core[method](...args);
  const [handle, ...rest] = args;
  // A trace is sure of its texts.
  if (method === 'handOver') [rest[1], rest[4]] = [Uint32Array.from(rest[1]), true];
  if (method === 'recordReads') rest[0] = Float64Array.from(rest[0]);
  const result = sessions.get(handle)[method](...rest);
  return numbers(method === 'glance' && result !== undefined ? result.map(numbers) : result);
}

/** Makes of what is told of each effect the object that the trace has. */
class Sink {
  effects = [];
  persist = (n, bytes) => this.effects.push({ kind: 'persist', n, bytes });
  transmit = (link, bytes) => this.effects.push({ kind: 'transmit', link, bytes });
  settled = (wait) => this.effects.push({ kind: 'settled', wait });
  watch = (watch) => this.effects.push({ kind: 'watch', watch });
  unsynced = (unsynced) => this.effects.push({ kind: 'unsynced', unsynced });
  timeout = (at) => this.effects.push({ kind: 'timeout', at: at < 0 ? null : at });
  other = (effect) => this.effects.push(effect);
  forget = (text, lengths) => {
    const parts = cut(text, [...lengths]);
    this.effects.push({ kind: 'forget', keys: parts.slice(0, -1).flatMap((space, at) => (at % 2 === 0 ? [[space, parts[at + 1]]] : [])) });
  };
  change = (text, space, key, version, kind, expires, bytes) => {
    const [spaceText, keyText, versionText, rest] = cut(text, [space, key, version]);
    const entry = kind === 3 ? undefined : { key: keyText, kind, value: bytes ?? rest, version: versionText, expiresAt: expires < 0 ? null : expires };
    this.effects.push({ kind: 'event', event: { type: 'change', space: spaceText, key: keyText, entry, version: versionText } });
  };
}

/** The parts of a text, of these lengths, and what is left. */
function cut(text, lengths) {
  const ends = lengths.reduce((all, length) => [...all, all.at(-1) + length], [0]);
  return [...lengths.map((length, at) => text.slice(ends[at], ends[at] + length)), text.slice(ends.at(-1))];
}

/** A list of numbers as the trace has it. */
const numbers = (value) => (value instanceof Float64Array ? [...value] : value);

/** A result as the trace has it: in `ok` where it could have been an error. */
const shown = (result, expected) => (expected !== null && typeof expected === 'object' && ('ok' in expected || 'error' in expected) ? { ok: result } : result);

/** What differs, in words; nothing if nothing does. What JavaScript leaves out is null in the trace. */
function compare(actual, expected, blobs, counts, path = 'the result') {
  if (actual instanceof Uint8Array) {
    const bytes = blobs[expected?.b];
    counts.bytes += actual.length;
    return bytes?.length === actual.length && actual.every((byte, i) => byte === bytes[i]) ? undefined : `${path} has other bytes (${actual.length}, not ${bytes?.length})`;
  }
  if (expected === null || typeof expected !== 'object') {
    return (actual ?? null) === expected ? undefined : `${path} is ${JSON.stringify(actual)}`;
  }
  if (actual === null || typeof actual !== 'object') return `${path} is ${JSON.stringify(actual)}`;
  // Of an error code and message are compared; all of everything else.
  const names = path.endsWith('.error') ? Object.keys(expected) : new Set([...Object.keys(expected), ...Object.keys(actual)]);
  for (const name of names) {
    const difference = compare(actual[name], expected[name] ?? null, blobs, counts, `${path}.${name}`);
    if (difference) return difference;
  }
  return undefined;
}

/** A value with the bytes that it names, and without what it leaves out. */
function fill(value, blobs) {
  if (value === null) return undefined;
  if (typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map((part) => fill(part, blobs) ?? null);
  if (typeof value.b === 'number') return blobs[value.b];
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, fill(part, blobs)]));
}

const decode = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

const where = (at, text, what) => new Error(`line ${at + 1}, ${text.slice(0, 600)}: ${what?.message ?? what}`);
