/**
 * Claims names among the pages of an origin, and remembers which one a tab had.
 */

/**
 * Claims `name`, waiting up to `patience` ms. Returns a function that releases it (idempotent), or null if it is taken.
 */
export function claim(name: string, patience: number): Promise<(() => void) | null> {
  return new Promise((resolve, reject) => {
    const options = patience > 0 ? { signal: AbortSignal.timeout(patience) } : { ifAvailable: true };
    const held = (lock: Lock | null) => {
      if (lock === null) return resolve(null);
      return new Promise<void>((release) => resolve(release));
    };
    navigator.locks.request(name, options, held).catch((error: unknown) => {
      const late = patience > 0 && /^(Timeout|Abort)Error$/.test(String((error as { name?: unknown }).name));
      if (late) resolve(null);
      else reject(error);
    });
  });
}

/** The slot that this tab had last. A duplicated tab recalls the same one. */
export function recall(pool: string): string | undefined {
  return attempt(() => globalThis.sessionStorage?.getItem(pool)) ?? undefined;
}

export function remember(pool: string, slot: string): void {
  attempt(() => globalThis.sessionStorage?.setItem(pool, slot));
}

/** Whether this page replaces an earlier one of its tab, whose lock may be about to be released. */
export function isReload(): boolean {
  const [navigation] = attempt(() => performance.getEntriesByType('navigation')) ?? [];
  return navigation !== undefined && (navigation as PerformanceNavigationTiming).type === 'reload';
}

/** Runs `run`; undefined if it throws. Workers have no sessionStorage, and a page may be forbidden to use it. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
