// The real workerd binary as these tests use it: a worker is bundled as wrangler would, served from a directory of its own with
// the objects' state on disk, killed without warning, and started again on the same state.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Long enough for a busy machine; a test that waits so long has failed. */
export const DEADLINE = 60_000;

/** At least 32 bytes, as a string: what a worker's secret is. */
export const SECRET = Buffer.alloc(32, 7).toString('base64url');

// The binary itself: the command of the same name is a script that starts it, and would be killed in its place.
const WORKERD = createRequire(import.meta.url)('workerd').default;

/** The promise, or a failure that names what was waited for. */
export function within(promise, what, ms = DEADLINE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Asks again until the answer is truthy, and answers it. */
export async function until(what, ask, ms = DEADLINE) {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited in vain: ${what}`);
}

/**
 * A worker in a workerd of its own. `classes` are its objects, by the name of their binding; `services` are servers elsewhere, by the
 * name of their binding.
 */
export class Workerd {
  #directory;
  #process;
  #port = 0;
  #said = '';

  static async start(t, source, classes, bindings = { TOKEN_SECRET: SECRET }, { port = 0, services = {} } = {}) {
    const own = new Workerd();
    own.#directory = await mkdtemp(path.join(tmpdir(), 'edge-session-workerd-'));
    t.after(async () => {
      await own.kill();
      await rm(own.#directory, { recursive: true, force: true });
    });
    await own.#bundle(source, classes, bindings, port, services);
    await own.start();
    return own;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** What workerd has written to its standard error. */
  get said() {
    return this.#said;
  }

  async fetch(address, init) {
    return fetch(new URL(address, this.url), { ...init, signal: AbortSignal.timeout(DEADLINE) });
  }

  async json(address, body, headers = {}) {
    const init = body === undefined ? { headers } : { method: 'POST', body: JSON.stringify(body), headers };
    const response = await this.fetch(address, init);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${address} answered ${response.status}: ${text}`);
    return JSON.parse(text);
  }

  async start() {
    const args = ['serve', '--control-fd=3', 'config.capnp'];
    const child = spawn(WORKERD, args, { cwd: this.#directory, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    this.#process = child;
    child.stdout.resume();
    child.stderr.on('data', (data) => (this.#said = (this.#said + data).slice(-20_000)));
    const listening = new Promise((resolve, reject) => {
      let control = '';
      child.stdio[3].on('data', (data) => {
        control += data;
        const line = control.split('\n').find((one) => one.includes('"listen"'));
        if (line !== undefined) resolve(JSON.parse(line).port);
      });
      child.on('exit', (code) => reject(new Error(`workerd ended with ${code}: ${this.#said}`)));
      child.on('error', reject);
    });
    this.#port = await within(listening, 'workerd listens');
  }

  /** Ends the process at once, as a power cut does; nothing is flushed or finished. */
  async kill() {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** The bytes of memory that the process takes now; 0 where that cannot be seen. */
  async memory() {
    const status = await readFile(`/proc/${this.#process.pid}/status`, 'utf8').catch(() => '');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }

  async restart() {
    await this.kill();
    await this.start();
  }

  async #bundle(source, classes, bindings, port, services) {
    const directory = this.#directory;
    await mkdir(path.join(directory, 'state'));
    await build({
      entryPoints: { worker: fileURLToPath(new URL(source, import.meta.url)) },
      outdir: directory,
      bundle: true,
      format: 'esm',
      target: 'es2022',
      conditions: ['workerd', 'worker', 'browser'],
      external: ['cloudflare:*'],
      loader: { '.wasm': 'copy' },
      logLevel: 'warning',
    });
    const wasm = (await readdir(directory)).filter((name) => name.endsWith('.wasm'));
    const modules = ['(name = "worker.js", esModule = embed "worker.js")', ...wasm.map((name) => `(name = "${name}", wasm = embed "${name}")`)];
    const objects = Object.values(classes).map((name) => `(className = "${name}", uniqueKey = "${name}", enableSql = true)`);
    const bound = [
      ...Object.entries(classes).map(([name, object]) => `(name = "${name}", durableObjectNamespace = "${object}")`),
      ...Object.entries(bindings).map(([name, value]) => `(name = "${name}", text = ${JSON.stringify(value)})`),
      ...Object.keys(services).map((name) => `(name = "${name}", service = "${name}")`),
    ];
    const elsewhere = Object.entries(services).map(([name, address]) => `, (name = "${name}", external = (address = "${address}", http = ()))`);
    const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = ["--expose-gc"],
  services = [ (name = "main", worker = .worker), (name = "disk", disk = (path = "state", writable = true))${elsewhere.join('')} ],
  sockets = [ (name = "http", address = "127.0.0.1:${port}", http = (), service = "main") ] );
const worker :Workerd.Worker = (
  compatibilityDate = "2026-10-01",
  modules = [ ${modules.join(', ')} ],
  durableObjectNamespaces = [ ${objects.join(', ')} ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [ ${bound.join(', ')} ] );
`;
    await writeFile(path.join(directory, 'config.capnp'), config);
  }
}
