/**
 * One of each of what reads and writes go through, which nobody uses.
 *
 * An engine forgets what it has learned of objects, and throws away the code that it has compiled for them, when the last of
 * their shape is collected. So whoever has closed his last replica, or let go of his last session, would begin with the next as
 * slowly as the process began. These have every shape as long as the process runs, and hold nothing of anybody's.
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

/** A session that nobody has begun, as the core tells of it; and what such a core has place for. */
const INFO = `${'-'.repeat(36)}00- - - - `;
const ROOM = 2 ** 40;

/** Of so many shapes that an engine has met in one place it compiles code for none of them. */
const MANY = 5;

/** The first session needs none of this yet, and is begun sooner without it; nor do replicas that have no session. */
let first = true;
let kept: readonly unknown[] | undefined;

/** Is told of each session that begins. */
export function begins(): void {
  if (kept !== undefined) return;
  if (first) first = false;
  else kept = [...Array.from({ length: MANY }, (_, at) => session(at)), ...copies()];
}

/**
 * A session of a replica of its own. The core's classes are of its own with each replica: what is compiled for those of one goes when
 * it does, so here are so many that code is compiled for none. Beside a crossing that is nothing.
 */
function session(at: number): unknown {
  const shape = { [`shape${at}`]: at };
  const raw = { ...shape, info: () => INFO, set() {}, glance() {}, handOver: () => Float64Array.of(0, 1), recordReads() {} } as unknown as CoreSession;
  const core = { ...shape, id: '', attend() {}, poll: () => true, room: () => Float64Array.from({ length: 6 }, () => ROOM) } as unknown as CoreReplica;
  const [storage, clock] = [memory(), Date.now];
  // In the order in which a replica that is opened has them: that too is its shape.
  const driver = new Driver({ core, keyed: false, logged: 0, snapshot: 0, storage, unlock() {}, clock, ownClock: false, timer, roleOf: undefined, idle: undefined, frozen: false });
  const handle = new SessionHandle<Record<string, string>>(driver, () => raw);
  // What its fields hold belongs to a shape too. The first write and read ask the core, the next do not.
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
