//! `cargo xtask bench instructions`: how many instructions each of the core's hot paths takes, counted by callgrind.
//!
//! A clock on a busy machine tells little; a count is the same at every run of one compiler. The baseline lies beside
//! the benchmark, and what moved by more than a tenth is told, and fails. `--accept` makes the counts the baseline.

use crate::layout::{root, target};
use crate::prepare::{Need, need};
use crate::process::{command as program, output, run, say};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// By how much a count may differ from the baseline, in percent.
const TOLERANCE: f64 = 10.0;

pub(super) fn command(args: &[String]) -> Result<()> {
    let accept = args.iter().any(|word| word == "--accept");
    ensure!(args.len() == usize::from(accept), "bench instructions knows --accept alone");
    let valgrind = need(Need::Valgrind)?;
    say("compiling the hot paths as the module is compiled (a minute the first time)");
    run(program("cargo").args(["build", "--release", "--package", "edge-session-bench", "--bin", "hot-path"]))?;
    let hot = target().join("release/hot-path");
    let before = read(&fs::read_to_string(baseline()).unwrap_or_default())?;
    let mut now = BTreeMap::new();
    println!("{:<34} {:>12} {:>12} {:>8}", "instructions an operation", "baseline", "now", "");
    for (number, line) in output(&mut program(&hot))?.lines().enumerate() {
        let (operations, name) = line.split_once('\t').context("a path is told as operations and name")?;
        let counted = count(&valgrind, &hot, number)? / operations.parse::<u64>()?.max(1);
        let then = before.get(name).copied();
        let moved = then.map(|then| change(then, counted)).unwrap_or_default();
        let shown = then.map_or_else(|| "new".into(), |_| format!("{moved:+.1} %"));
        println!("{name:<34} {:>12} {counted:>12} {shown:>8}", then.map_or_else(String::new, |then| then.to_string()));
        now.insert(name.to_string(), counted);
    }
    if accept {
        return Ok(fs::write(baseline(), written(&now))?);
    }
    let problems = judge(&before, &now);
    ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(())
}

fn baseline() -> PathBuf {
    root().join("tests/bench/instructions.txt")
}

/// Runs one path under callgrind, which counts only inside of `measured`.
fn count(valgrind: &PathBuf, hot: &PathBuf, number: usize) -> Result<u64> {
    let out = target().join("callgrind.out");
    let said = program(valgrind)
        .args(["--tool=callgrind", "--toggle-collect=*measured*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(hot)
        .arg(number.to_string())
        .output()?;
    ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let report = fs::read_to_string(&out)?;
    let total =
        report.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    let total: u64 = total.context("callgrind wrote no total")?.trim().parse()?;
    if total == 0 {
        bail!("callgrind saw nothing of path {number}: is `measured` inlined?")
    }
    Ok(total)
}

fn change(then: u64, now: u64) -> f64 {
    (now as f64 / then.max(1) as f64 - 1.0) * 100.0
}

fn judge(before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<String> {
    let moved = now.iter().filter_map(|(name, counted)| {
        let moved = change(*before.get(name)?, *counted);
        (moved.abs() > TOLERANCE).then(|| format!("{name}: {moved:+.1} %"))
    });
    let gone = before.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name}: gone"));
    let new = now.keys().filter(|name| !before.contains_key(*name)).map(|name| format!("{name}: not in the baseline"));
    let mut problems: Vec<_> = moved.chain(gone).chain(new).collect();
    if !problems.is_empty() {
        problems.push("say in the commit why, and take the counts over with `--accept`".into());
    }
    problems
}

/// A line a path: the count, then its name.
fn read(text: &str) -> Result<BTreeMap<String, u64>> {
    let line = |line: &str| {
        let (count, name) = line.trim().split_once(' ').context("a line of the baseline is a count and a name")?;
        Ok((name.to_string(), count.parse()?))
    };
    text.lines().filter(|text| !text.starts_with('#') && !text.trim().is_empty()).map(line).collect()
}

fn written(counts: &BTreeMap<String, u64>) -> String {
    let mut text = String::from("# Instructions an operation, x86-64, by `cargo xtask bench instructions --accept`.\n");
    for (name, count) in counts {
        let _ = writeln!(text, "{count:>9} {name}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_by_more_than_a_tenth_is_told_in_both_directions() -> Result<()> {
        let before = read("# of a machine\n  1000 write\n  1000 read\n  1000 merge\n")?;
        let now = read("1099 write\n1101 read\n899 merge\n")?;
        let problems = judge(&before, &now).join("; ");
        assert!(
            problems.contains("read: +10.1 %") && problems.contains("merge: -10.1 %") && !problems.contains("write")
        );
        assert!(judge(&before, &before).is_empty());
        Ok(())
    }

    #[test]
    fn a_path_that_comes_or_goes_is_told() -> Result<()> {
        let problems = judge(&read("5 old")?, &read("5 new")?).join("; ");
        assert!(problems.contains("old: gone") && problems.contains("new: not in the baseline"));
        assert!(read("many words").is_err());
        Ok(())
    }

    #[test]
    fn what_is_written_is_read() -> Result<()> {
        let counts = read("12 a path\n345678901234 another")?;
        assert_eq!(read(&written(&counts))?, counts);
        Ok(())
    }
}
