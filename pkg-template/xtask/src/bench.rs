//! `cargo xtask bench`: `tests/bench/run.mjs`, run by Node against the installed package and its peers.

use crate::consumer;
use crate::prepare::{Need, need};
use crate::process::{command as program, run, say};
use anyhow::Result;

pub(crate) fn command(args: &[String]) -> Result<()> {
    let peers = need(Need::Peers)?;
    let project = consumer::install()?;
    consumer::link(&peers, &project.join("bench/node_modules"))?;
    say("measuring: some minutes with every workload, less with `--quick` or the names of some (W1 W8 …)");
    run(program("node")
        .args(["--expose-gc", "--max-old-space-size=8192", "bench/run.mjs"])
        .args(args)
        .current_dir(&project))
}
