//! The vectors and the codec under Miri, which finds what a compiler may make of undefined behaviour.
//!
//! Miri is a part of nightly Rust and is not fetched here: where it is absent, that is said twice, and nothing counts as
//! run.

use super::tally::{Tally, of_cargo};
use crate::process::{command, stream, succeeds};
use anyhow::Result;
use std::process::Command;

/// The test files, and what of them: what takes Miri seconds, not minutes.
const TESTS: [(&str, &[&str]); 4] =
    [("vectors", &[]), ("codec", &["--skip", "deep_nesting"]), ("session", &[]), ("wire", &["golden"])];

pub(super) fn tests() -> Result<Tally> {
    if !succeeds(nightly().args(["miri", "--version"])) {
        return Ok(Tally::absent(
            "Miri is not on this machine (rustup toolchain install nightly --component miri,rust-src)",
        ));
    }
    let mut tally = Tally::default();
    for (test, only) in TESTS {
        let mut cargo = nightly();
        cargo.args(["miri", "test", "--package", "edge-session", "--test", test, "--target-dir", "target/miri", "--"]);
        // Property tests look for the file of earlier failures, which is outside of Miri's isolation.
        tally.add(&of_cargo(&stream(cargo.args(only).env("MIRIFLAGS", "-Zmiri-disable-isolation"))?));
    }
    Ok(tally)
}

/// Cargo names its own toolchain to the programs that it starts; this one takes another.
fn nightly() -> Command {
    let mut cargo = command("cargo");
    cargo.env("RUSTUP_TOOLCHAIN", "nightly").env_remove("CARGO");
    cargo
}
