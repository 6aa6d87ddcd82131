//! `cargo xtask bench`: `tests/bench/run.mjs`, run by Node against the installed package and its peers; by flag in
//! Deno, Bun or headless Chromium. `cargo xtask bench durable` measures what is kept on disk, in tabs and in workerd;
//! `cargo xtask bench links` clients of one server, and directories; `cargo xtask bench trust` what clients cost;
//! `cargo xtask bench sessions` what sessions cost, up to a million;
//! `cargo xtask bench instructions` counts the core's hot paths.

mod instructions;

use crate::consumer;
use crate::package::module;
use crate::prepare::{Need, bun, need};
use crate::process::{command as program, run, say};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

pub(crate) fn command(args: &[String]) -> Result<()> {
    if args.first().is_some_and(|word| word == "instructions") {
        return instructions::command(&args[1..]);
    }
    if args.first().is_some_and(|word| word == "durable") {
        return durable(&args[1..]);
    }
    if args.first().is_some_and(|word| word == "links") {
        return links(&args[1..]);
    }
    if args.first().is_some_and(|word| word == "trust") {
        return trust(&args[1..]);
    }
    if args.first().is_some_and(|word| word == "sessions") {
        return sessions(&args[1..]);
    }
    let (places, args): (Vec<_>, Vec<_>) = args.iter().partition(|word| PLACES.contains(&word.as_str()));
    ensure!(places.len() < 2, "one place at a time: {}", PLACES.join(", "));
    let peers = need(Need::Peers)?;
    let project = consumer::install()?;
    let bench = project.join("bench");
    consumer::link(&peers, &bench.join("node_modules"))?;
    fs::copy(module::of_bench()?, bench.join("vectors.wasm"))?;
    say("measuring: about twenty minutes with every workload, less with `--quick` or the names of some (W1 W8 …)");
    let mut run_by = match places.first().map(|place| place.as_str()) {
        None => {
            let mut node = program("node");
            node.args(["--expose-gc", "--max-old-space-size=8192", "bench/run.mjs"]);
            node
        }
        Some("--deno") => {
            let mut deno = program(need(Need::Matrix)?.join(".bin/deno"));
            deno.args(["run", "--allow-all", "--no-check", "--v8-flags=--expose-gc,--max-old-space-size=8192"]);
            deno.arg("bench/run.mjs");
            deno
        }
        Some("--bun") => {
            need(Need::Matrix)?;
            let mut bun = program(bun().context("npm has no Bun for this machine")?);
            bun.arg("bench/run.mjs");
            bun
        }
        Some(_) => return in_chromium(&project, &args),
    };
    run(run_by.args(args).current_dir(&project))
}

/// Sockets and files, which only Node measures.
fn links(args: &[String]) -> Result<()> {
    let peers = need(Need::Peers)?;
    let project = consumer::install()?;
    consumer::link(&peers, &project.join("bench/node_modules"))?;
    say("measuring: some minutes, less with `--quick` or the names of some (L1 F3 …)");
    run(program("node").args(["--expose-gc", "bench/links.mjs"]).args(args).current_dir(&project))
}

/// Forged tokens, and clients' deltas.
fn trust(args: &[String]) -> Result<()> {
    let peers = need(Need::Peers)?;
    let project = consumer::install()?;
    consumer::link(&peers, &project.join("bench/node_modules"))?;
    say("measuring: a minute, less with `--quick`");
    run(program("node").args(["--expose-gc", "bench/trust.mjs"]).args(args).current_dir(&project))
}

/// Sessions of one replica.
fn sessions(args: &[String]) -> Result<()> {
    let peers = need(Need::Peers)?;
    let project = consumer::install()?;
    let bench = project.join("bench");
    consumer::link(&peers, &bench.join("node_modules"))?;
    fs::copy(module::of_bench()?, bench.join("sessions.wasm"))?;
    say("measuring: some minutes, less with `--quick`");
    let node = ["--expose-gc", "--max-old-space-size=8192", "bench/sessions.mjs"];
    run(program("node").args(node).args(args).current_dir(&project))
}

const PLACES: &[&str] = &["--chromium", "--deno", "--bun"];

/// Where replicas keep their data: IndexedDB in headless Chromium, SQLite of objects in workerd.
fn durable(args: &[String]) -> Result<()> {
    let (peers, chromium) = (need(Need::Peers)?, need(Need::Chromium)?);
    let project = consumer::install()?;
    consumer::link(&peers, &project.join("bench/node_modules"))?;
    say("measuring on disk: ten minutes, less with `--quick`");
    run(program("node").arg("bench/durable.mjs").args(args).env("CHROMIUM", chromium).current_dir(&project))
}

/// One bundle of it all, on a page.
fn in_chromium(project: &Path, args: &[&String]) -> Result<()> {
    let chromium = need(Need::Chromium)?;
    run(program("node").arg("bench/chromium.mjs").args(args).env("CHROMIUM", chromium).current_dir(project))
}
