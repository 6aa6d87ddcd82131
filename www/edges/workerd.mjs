// A place where an edge runs: one process of the real workerd, its objects' state in a directory. It can be killed without
// warning, as a power cut does it, and started again on the same state and the same port.

import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// The binary itself: the command of that name is a script that starts it, and would be killed in its place.
const PROGRAM = createRequire(import.meta.url)('workerd').default;
const PATIENCE_MS = 30_000;

export class Workerd {
  #directory;
  #environment;
  #child = null;
  #port = 0;

  /** `directory` holds the place's state; `modules` are names of files in `../build`, the worker first; `secret` and `passwords` are shared. */
  constructor(place, { directory, modules, secret, passwords }) {
    Object.assign(this, { place, modules });
    this.#directory = join(directory, place);
    this.#environment = { ...process.env, TOKEN_SECRET: secret, PASSWORDS: JSON.stringify(passwords) };
  }

  get up() {
    return this.#child !== null && this.#port !== 0;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts it, unless it runs; `down()` is called when it ends, whatever ends it. */
  async start(down = () => {}) {
    if (this.#child !== null) return;
    await mkdir(join(this.#directory, 'state'), { recursive: true });
    await writeFile(join(this.#directory, 'config.capnp'), this.#config());
    // The port of its first life, so that those who look for it find it again.
    const address = this.#port === 0 ? [] : [`--socket-addr=http=127.0.0.1:${this.#port}`];
    const child = spawn(PROGRAM, ['serve', '--control-fd=3', ...address, 'config.capnp'], { cwd: this.#directory, env: this.#environment, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let said = '';
    child.stderr.on('data', (data) => { said = (said + data).slice(-4_000); });
    await new Promise((listens, failed) => {
      const late = setTimeout(() => failed(new Error(`workerd did not start in ${this.place}: ${said}`)), PATIENCE_MS);
      let control = '';
      child.stdio[3].on('data', (data) => {
        control += data;
        const line = control.split('\n').find((one) => one.includes('"listen"'));
        if (line === undefined) return;
        clearTimeout(late);
        this.#port = JSON.parse(line).port;
        listens();
      });
      child.on('error', failed);
      child.on('exit', (code) => {
        clearTimeout(late);
        failed(new Error(`workerd ended with ${code} in ${this.place}: ${said}`));
        if (this.#child === child) this.#child = null;
        down();
      });
    });
  }

  /** kill -9: nothing is finished, flushed or said. */
  async kill() {
    const child = this.#child;
    if (child === null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  #config() {
    const modules = this.modules.map((name) => `(name = "${name}", ${name.endsWith('.wasm') ? 'wasm' : 'esModule'} = embed "../build/${name}")`);
    return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .worker), (name = "disk", disk = (path = "state", writable = true)) ],
  sockets = [ (name = "http", address = "127.0.0.1:0", http = (), service = "main") ] );
const worker :Workerd.Worker = (
  compatibilityDate = "2026-10-01",
  modules = [ ${modules.join(', ')} ],
  durableObjectNamespaces = [ (className = "Edge", uniqueKey = "Edge", enableSql = true) ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [
    (name = "EDGES", durableObjectNamespace = "Edge"),
    (name = "PLACE", text = "${this.place}"),
    (name = "TOKEN_SECRET", fromEnvironment = "TOKEN_SECRET"),
    (name = "PASSWORDS", fromEnvironment = "PASSWORDS") ] );
`;
  }
}
