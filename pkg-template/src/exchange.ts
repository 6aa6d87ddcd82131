/**
 * One round trip of the sync protocol: a message in, its reply out, over whatever the caller carries bytes with.
 */
import type { Driver } from './driver.js';
import { milliseconds } from './duration.js';
import { EdgeSessionError, aborted, invalid } from './errors.js';
import type { Timer } from './platform.js';
import type { Joining } from './types/replica.js';
import type { Wait } from './types/session.js';
import { isBytes } from './value.js';

// A reply waits for storage alone; one that takes longer than this is not going to answer.
const PATIENCE = 10_000;

/** Hands `message` to the core and answers the one message that it transmits for it. */
export function exchange(driver: Driver, message: Uint8Array, options: Pick<Wait, 'signal' | 'timeout'> & Joining = {}): Promise<Uint8Array> {
  const { signal, token, proof } = options;
  return new Promise((resolve, reject) => {
    if (!isBytes(message)) throw invalid('a message is a Uint8Array');
    if (token !== undefined && typeof token !== 'string') throw invalid('a token is a string');
    if (proof !== undefined && typeof proof !== 'boolean') throw invalid('proof is true or false');
    const patience = options.timeout === undefined ? PATIENCE : milliseconds(options.timeout, 'timeout');
    if (signal?.aborted) throw aborted(signal.reason);
    let over = false;
    let late: Timer | undefined;
    const end = (tell: () => void) => {
      over = true;
      if (late !== undefined) {
        late.cancel();
        signal?.removeEventListener('abort', abort);
      }
      driver.forgo(link);
      tell();
    };
    const abort = () => end(() => reject(aborted(signal?.reason)));
    const link = driver.attach({
      send: (reply) => end(() => resolve(reply)),
      fail: (error) => end(() => reject(error)),
    });
    try {
      driver.call((core, now) => {
        if (token !== undefined) {
          driver.roles?.say(core, { wanted: () => core.wantedRoles(token) });
          core.exchangeAs(link, token, message, now);
        }
        else if (proof) core.exchangeProved(link, message, now);
        else core.exchange(link, message, now);
      });
    } catch (error) {
      end(() => reject(error));
    }
    // With memory as storage the reply is there, and needs no alarm.
    if (over) return;
    if (signal?.aborted) return abort();
    late = driver.timer(() => {
      end(() => reject(new EdgeSessionError('TIMEOUT', 'storage did not make the reply durable in time')));
    }, patience);
    signal?.addEventListener('abort', abort);
  });
}
