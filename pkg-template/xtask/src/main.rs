//! `cargo xtask`: builds the npm package, tests it, shows it, measures it.
//!
//! This file is the table of commands and nothing more. The tool knows the repository's layout and its tools; it
//! knows nothing of what the crate does, and nothing of it ever ends up in the package.

mod bench;
mod bindgen;
mod consumer;
mod demo;
mod edges;
mod fingerprint;
mod fuzz;
mod layout;
mod model;
mod package;
mod prepare;
mod process;
mod serve;
mod sim;
mod test;

use std::process::ExitCode;

struct Command {
    name: &'static str,
    usage: &'static str,
    run: fn(&[String]) -> anyhow::Result<()>,
}

const COMMANDS: &[Command] = &[
    Command { name: "build", usage: "build            make the npm package in pkg/", run: package::command },
    Command {
        name: "test",
        usage: "test [--all] [NAME…]   run the everyday test runners; all; or those named",
        run: test::command,
    },
    Command {
        name: "demo",
        usage: "demo [--check] [--port N]   serve the demo, its edges in workerd; --check drives it in a headless browser",
        run: demo::command,
    },
    Command {
        name: "bench",
        usage: "bench [--quick] [--json FILE] [--markdown FILE] [--chromium|--deno|--bun] [W1 W2…]   measure the package beside its peers
  bench durable [--quick] [--json FILE]    measure cold starts and durable writes, in tabs and in workerd
  bench trust [--quick] [--json FILE]    measure what clients cost: forged tokens, deltas that are judged
  bench sessions [--quick]    measure what sessions take, up to a million in one replica
  bench instructions [--accept]    count the instructions of the core's hot paths, beside the baseline",
        run: bench::command,
    },
    Command {
        name: "sim",
        usage: "sim [--ops M] [--seed N] [--mutants] [--history FILE] [--check FILE]…    simulate replicas under faults",
        run: sim::command,
    },
    Command {
        name: "model",
        usage: "model [--tested] [--script S] [--mutants]…    explore every state within a bound",
        run: model::command,
    },
    Command {
        name: "fuzz",
        usage: "fuzz [TARGET] [--seconds N]    fuzz what comes from outside; --corpora writes the corpora anew",
        run: fuzz::command,
    },
];

fn main() -> ExitCode {
    // Under the name of a wasm-bindgen tool (a link, or the runner in .cargo/config.toml) this program is that tool.
    if let Some(result) = bindgen::impersonate() {
        return exit(result);
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first().and_then(|(name, rest)| Some((COMMANDS.iter().find(|c| c.name == name)?, rest))) {
        Some((command, rest)) => exit((command.run)(rest)),
        None => {
            eprintln!("usage: cargo xtask <command>\n");
            COMMANDS.iter().for_each(|command| eprintln!("  {}", command.usage));
            ExitCode::from(2)
        }
    }
}

fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
