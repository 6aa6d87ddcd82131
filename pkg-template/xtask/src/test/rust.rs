//! The runners that are cargo's own: formatting, lints, tests.

use super::tally::{Tally, of_cargo};
use crate::process::{command, run, stream};
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

pub(super) fn lint() -> Result<Tally> {
    let mut tally = Tally::default();
    for line in [
        "clippy --workspace --all-targets -- -D warnings",
        "clippy --package edge-session --lib --target wasm32-unknown-unknown -- -D warnings",
    ] {
        tally.check(&format!("cargo {line}"), run(&mut cargo(line)));
    }
    Ok(tally)
}

/// Without this tool, whose dependencies would switch on features (`std`) that the crate does without.
pub(super) fn tests() -> Result<Tally> {
    Ok(of_cargo(&stream(&mut cargo("test --workspace --exclude xtask --no-fail-fast"))?))
}

pub(super) fn own_tests() -> Result<Tally> {
    Ok(of_cargo(&stream(&mut cargo("test --package xtask"))?))
}
