//! `cargo xtask fuzz`: the fuzz targets of `tests/fuzz`, one or all, for as long as one likes.
//!
//! They need a nightly compiler and cargo-fuzz; both are fetched where they are absent. What a fuzzer learns is kept in
//! `target/fuzz`; it begins with the corpora in `tests/data/fuzz`, which are never written to but by `--corpora`.

use crate::layout::{root, target};
use crate::prepare::{Need, need};
use crate::process::{command as program, run, say};
use anyhow::{Context, Result, bail};
use std::fs;

const TARGETS: [&str; 5] = ["message", "delta", "snapshot", "vector", "token"];
const USAGE: &str = "cargo xtask fuzz [message|delta|snapshot|vector|token] [--seconds N] [--corpora]";

pub(crate) fn command(args: &[String]) -> Result<()> {
    let (mut chosen, mut seconds) = (Vec::new(), 60u64);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--corpora" => return corpora(),
            "--seconds" => seconds = args.next().and_then(|n| n.parse().ok()).context(USAGE)?,
            name if TARGETS.contains(&name) => chosen.push(name),
            _ => bail!("{USAGE}"),
        }
    }
    if chosen.is_empty() {
        chosen.extend(TARGETS);
    }
    let cargo_fuzz = need(Need::CargoFuzz)?;
    let mut found = Vec::new();
    for name in chosen {
        say(format_args!("fuzzing {name} for {seconds} s"));
        let kept = target().join("fuzz/corpus").join(name);
        let finds = target().join("fuzz/artifacts").join(name);
        fs::create_dir_all(&kept)?;
        fs::create_dir_all(&finds)?;
        let mut fuzz = program(&cargo_fuzz);
        fuzz.args(["fuzz", "run", "--fuzz-dir", "tests/fuzz", "--target-dir"]).arg(target().join("fuzz")).arg(name);
        fuzz.arg(&kept).arg(root().join("tests/data/fuzz").join(name)).arg("--");
        fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", finds.display()));
        // No input may take memory or time out of proportion to its own length.
        fuzz.args([
            "-max_len=4096",
            "-malloc_limit_mb=64",
            "-rss_limit_mb=2048",
            "-timeout=10",
            "-print_final_stats=1",
        ]);
        // Cargo names its own toolchain to the programs that it starts.
        fuzz.env("RUSTUP_TOOLCHAIN", "nightly").env_remove("CARGO");
        if run(&mut fuzz).is_err() {
            found.push(format!("{name} (see {})", finds.display()));
        }
    }
    if found.is_empty() { Ok(()) } else { bail!("a fuzzer has failed or found something: {}", found.join(", ")) }
}

/// Writes the corpora anew, from what this version of the crate writes.
fn corpora() -> Result<()> {
    let mut test = program("cargo");
    test.args([
        "test",
        "--package",
        "edge-session",
        "--test",
        "fuzzed",
        "--",
        "the_corpora_are_what_this_version_writes",
    ]);
    run(test.env("WRITE_CORPORA", "1"))
}
