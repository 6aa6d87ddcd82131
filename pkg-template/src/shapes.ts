/**
 * One unused instance of every shape on the read and write paths, kept for the life of the process.
 *
 * Engines discard what they have learned of a shape, and the code compiled for it, when its last object is collected.
 * Without these instances an application that closes its last replica, or releases its last session, would be as slow
 * with the next one as at process start. They hold no application data.
 */
import type { CoreReplica, CoreSession } from './binding.js';
import { Json, Mark } from './copy.js';
import { Frozen } from './frozen.js';
import { Held, hold } from './hold.js';
import { Driver } from './driver.js';
import { Page } from './page.js';
import { timer } from './platform.js';
import { Ready } from './ready.js';
import { SessionHandle } from './session.js';
import { Loose, Written } from './sheet.js';
import { memory } from './storage/memory.js';
import { encode } from './value.js';

/** What the core would say of this session; and the room that this core claims to have. */
const INFO = `${'-'.repeat(36)}00- - - - `;
const ROOM = 2 ** 40;

/** An engine that has met so many shapes at one call site compiles for none of them. */
const MANY = 5;

/** Skipped for the first session, which starts sooner without it, and in processes without sessions. */
let first = true;
let kept: readonly unknown[] | undefined;

/** Called for each session that begins. */
export function begins(): void {
  if (kept !== undefined) return;
  if (first) first = false;
  else kept = [...Array.from({ length: MANY }, (_, at) => session(at)), ...copies()];
}

/**
 * A session of a replica of its own. Each replica has its own classes for the core, and code that is compiled for them
 * goes when the replica does. With `MANY` of them the engine compiles code for none; next to a crossing that costs
 * nothing.
 */
function session(at: number): unknown {
  const shape = { [`shape${at}`]: at };
  const raw = { ...shape, info: () => INFO, set() {}, glance() {}, handOver: () => Float64Array.of(0, 1), recordReads() {} } as unknown as CoreSession;
  const core = { ...shape, id: '', attend() {}, poll: () => true, room: () => Float64Array.from({ length: 6 }, () => ROOM) } as unknown as CoreReplica;
  const [storage, clock] = [memory(), Date.now];
  // In the same property order as for a real replica, because the order is part of the shape.
  const driver = new Driver({ core, keyed: false, logged: 0, snapshot: 0, storage, unlock() {}, clock, ownClock: false, timer, roleOf: undefined, idle: undefined, frozen: false });
  const handle = new SessionHandle<Record<string, string>>(driver, () => raw);
  // The types of field values are part of a shape, too. The first write and read ask the core, the second do not.
  for (let turn = 0; turn < 2; turn += 1) {
    handle.sync.set('a', 'b');
    handle.sync.get('a');
  }
  driver.settle();
  return handle;
}

function copies(): readonly unknown[] {
  const marks = { 0: new Mark(0), 1: new Mark(1) } as const;
  return [new Json(''), new Held({}), new Frozen(() => {}).table(new Ready(() => {})), new Written([], new Uint8Array(0), undefined, marks), new Loose(), new Page('', Uint32Array.of(0, 0)), encode(''), hold({})];
}
