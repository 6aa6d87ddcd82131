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
use std::path::PathBuf;

/// Options whose value is a file.
const FILES: &[&str] = &["--json", "--markdown"];
const PLACES: &[&str] = &["--chromium", "--deno", "--bun"];
/// Stores of a million entries need a larger heap than V8's default. And V8 would shrink the young generation from 16
/// MiB to 1 while other workloads take their turns; a short workload would then be timed while it grows again.
const NODE: &[&str] = &["--expose-gc", "--max-old-space-size=8192", "--min-semi-space-size=16"];

pub(crate) fn command(args: &[String]) -> Result<()> {
    let args = absolute(args)?;
    match args.split_first().map_or(("", &args[..]), |(word, rest)| (word.as_str(), rest)) {
        ("instructions", rest) => instructions::command(rest),
        ("durable", rest) => durable(rest),
        ("links", rest) => links(rest),
        ("trust", rest) => trust(rest),
        ("sessions", rest) => sessions(rest),
        _ => peers(&args),
    }
}

/// Makes a file option absolute, because the benchmark runs in another directory.
fn absolute(args: &[String]) -> Result<Vec<String>> {
    let mut args = args.to_vec();
    for at in 1..args.len() {
        if FILES.contains(&args[at - 1].as_str()) {
            args[at] = std::path::absolute(&args[at])?.to_string_lossy().into_owned();
        }
    }
    Ok(args)
}

/// The package installed as npm would, and its peers beside the benchmark's scripts.
fn installed() -> Result<PathBuf> {
    let peers = need(Need::Peers)?;
    let project = consumer::install()?;
    consumer::link(&peers, &project.join("bench/node_modules"))?;
    Ok(project)
}

/// All workloads, beside `Map` and the peers.
fn peers(args: &[String]) -> Result<()> {
    let (places, args): (Vec<_>, Vec<_>) = args.iter().partition(|word| PLACES.contains(&word.as_str()));
    ensure!(places.len() < 2, "one place at a time: {}", PLACES.join(", "));
    let project = installed()?;
    fs::copy(module::of_bench()?, project.join("bench/vectors.wasm"))?;
    say("measuring: about twenty minutes with every workload, less with `--quick` or the names of some (W1 W8 …)");
    let mut run_by = match places.first().map(|place| place.as_str()) {
        None => {
            let mut node = program("node");
            node.args(NODE).arg("bench/run.mjs");
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
        // One bundle of everything, on a page.
        Some(_) => {
            let mut node = program("node");
            node.arg("bench/chromium.mjs").env("CHROMIUM", need(Need::Chromium)?);
            node
        }
    };
    run(run_by.args(args).current_dir(&project))
}

/// Sockets and files; measured in Node only.
fn links(args: &[String]) -> Result<()> {
    let project = installed()?;
    say("measuring: some minutes, less with `--quick` or the names of some (L1 F3 …)");
    run(program("node").args(["--expose-gc", "bench/links.mjs"]).args(args).current_dir(&project))
}

/// Forged tokens, and clients' deltas.
fn trust(args: &[String]) -> Result<()> {
    let project = installed()?;
    say("measuring: a minute, less with `--quick`");
    run(program("node").args(["--expose-gc", "bench/trust.mjs"]).args(args).current_dir(&project))
}

/// Sessions of one replica.
fn sessions(args: &[String]) -> Result<()> {
    let project = installed()?;
    fs::copy(module::of_bench()?, project.join("bench/sessions.wasm"))?;
    say("measuring: some minutes, less with `--quick`");
    run(program("node").args(NODE).arg("bench/sessions.mjs").args(args).current_dir(&project))
}

/// Where replicas keep their data: IndexedDB in headless Chromium, SQLite of objects in workerd.
fn durable(args: &[String]) -> Result<()> {
    let chromium = need(Need::Chromium)?;
    let project = installed()?;
    say("measuring on disk: ten minutes, less with `--quick`");
    run(program("node").arg("bench/durable.mjs").args(args).env("CHROMIUM", chromium).current_dir(&project))
}
