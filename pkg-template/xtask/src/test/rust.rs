//! The runners that are cargo's own: formatting, lints, tests.

use super::tally::{Tally, of_cargo};
use crate::process::{command, output, run, say, stream};
use anyhow::Result;
use std::process::Command;

fn cargo(line: &str) -> Command {
    let mut cargo = command("cargo");
    cargo.args(line.split_whitespace());
    cargo
}

pub(super) fn format() -> Result<Tally> {
    let mut tally = Tally::default();
    tally.check("cargo fmt --all --check", run(&mut cargo("fmt --all --check")));
    Ok(tally)
}

/// A warning fails the run on the toolchain that `rust-version` names; a newer one knows lints that this code was never
/// held to, and only shows them. What Cargo.toml denies is denied everywhere.
pub(super) fn lint() -> Result<Tally> {
    let judge = format!("rustc {}", env!("CARGO_PKG_RUST_VERSION"));
    let deny: &[&str] = if output(command("rustc").arg("--version"))?.starts_with(&judge) {
        &["--", "-D", "warnings"]
    } else {
        say(format_args!("this is not {judge}: warnings are shown and do not fail"));
        &[]
    };
    let mut tally = Tally::default();
    for line in
        ["clippy --workspace --all-targets", "clippy --package edge-session --lib --target wasm32-unknown-unknown"]
    {
        tally.check(&format!("cargo {line}"), run(cargo(line).args(deny)));
    }
    Ok(tally)
}

/// The crate alone: the features that other members switch on (`std`, `mutants`) are not the product's.
pub(super) fn tests() -> Result<Tally> {
    Ok(of_cargo(&stream(&mut cargo("test --package edge-session --no-fail-fast"))?))
}

/// The simulator, in a build that is fast and keeps its assertions.
pub(super) fn simulation() -> Result<Tally> {
    Ok(of_cargo(&stream(&mut cargo("test --profile sim --package edge-session-sim --no-fail-fast"))?))
}

/// The exhaustive model: how much it explored is shown, because that is what it claims.
pub(super) fn model() -> Result<Tally> {
    let line = "test --profile sim --package edge-session-model --no-fail-fast -- --nocapture --test-threads 1";
    Ok(of_cargo(&stream(&mut cargo(line))?))
}

pub(super) fn own_tests() -> Result<Tally> {
    Ok(of_cargo(&stream(&mut cargo("test --package xtask"))?))
}
