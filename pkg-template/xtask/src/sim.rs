//! `cargo xtask sim`: the simulator, built for speed. What it does, and with which options, is its own affair.

use crate::process::{command as program, run};
use anyhow::Result;

pub(crate) fn command(args: &[String]) -> Result<()> {
    run(program("cargo").args(["run", "--quiet", "--profile", "sim", "--package", "edge-session-sim", "--"]).args(args))
}
