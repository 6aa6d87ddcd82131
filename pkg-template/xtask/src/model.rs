//! `cargo xtask model`: the exhaustive model by hand, and larger than in the test command.

use crate::process::{command as program, run, say};
use anyhow::Result;

pub(crate) fn command(args: &[String]) -> Result<()> {
    if args.is_empty() {
        say("the whole bound: minutes on an idle machine, and some gigabytes of memory (--tested explores less)");
    }
    run(program("cargo")
        .args(["run", "--quiet", "--profile", "sim", "--package", "edge-session-model", "--"])
        .args(args))
}
