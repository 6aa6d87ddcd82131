/** A page's own clock. */
export const performance = globalThis.performance;
