# One script and no module beside it: workerd compiles no bytes.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [ (name = "main", worker = .worker) ],
  sockets = [ (name = "http", address = "127.0.0.1:0", http = (), service = "main") ] );

const worker :Workerd.Worker = (
  compatibilityDate = "2026-10-01",
  modules = [ (name = "refused.js", esModule = embed "dist/refused.js") ] );
