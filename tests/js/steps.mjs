// How much of the package's code runs, as counted by the engine: a measure of growth that is the same on any machine.

/** Why that is not known everywhere. */
export const uncounted = process.versions.bun || process.versions.deno ? 'this engine does not count what it runs' : false;

const { Session } = uncounted ? {} : await import('node:inspector');

/** How often the package's blocks were entered while `work` ran. */
export function steps(work) {
  const session = new Session();
  session.connect();
  const ask = (method, params) => {
    let answer;
    session.post(method, params, (error, result) => (answer = error ?? result));
    return answer;
  };
  ask('Profiler.enable');
  ask('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  work();
  const { result } = ask('Profiler.takePreciseCoverage');
  session.disconnect();
  const ranges = result.filter(({ url }) => url.includes('/edge-session/')).flatMap(({ functions }) => functions.flatMap((one) => one.ranges));
  return ranges.reduce((sum, { count }) => sum + count, 0);
}
