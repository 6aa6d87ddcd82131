//! The tests that Node runs against the installed package: the library's, the browser's, the demo's.

use super::tally::{Tally, of_tap};
use crate::layout::target;
use crate::prepare::{Need, need};
use crate::process::{command, run, say};
use crate::serve::{self, NO_EDGES};
use crate::{consumer, demo};
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) fn in_node() -> Result<Tally> {
    node_test("js", &[], "120000")
}

/// Durable Objects in the real binary, their state on disk. Some tests wait until an idle object is evicted.
pub(super) fn in_workerd() -> Result<Tally> {
    node_test("workerd", &[], "300000")
}

/// `DEMO_URL` is the demo, served; `CHROMIUM` the browser.
pub(super) fn in_browser() -> Result<Tally> {
    let chromium = need(Need::Chromium)?.to_string_lossy().into_owned();
    let demo = demo::fresh(0)?;
    node_test("browser", &[("DEMO_URL", &demo.server.url), ("CHROMIUM", &chromium)], "300000")
}

/// The shipped module and the native core, side by side: the simulator writes what it asked and was answered, and both
/// Node and the browser ask the module the same. `TRACES` is the directory of what it wrote.
pub(super) fn replays() -> Result<Tally> {
    let traces = target().join("npm/traces");
    let _ = fs::remove_dir_all(&traces);
    fs::create_dir_all(&traces)?;
    say("writing traces of the simulator's seeds");
    let line = "run --quiet --profile sim --package edge-session-sim -- --seeds 20 --traces";
    run(command("cargo").args(line.split_whitespace()).arg(&traces))?;
    let chromium = need(Need::Chromium)?.to_string_lossy().into_owned();
    let (server, traces) = (serve::start(0, NO_EDGES)?, traces.to_string_lossy().into_owned());
    node_test("replay", &[("DEMO_URL", &server.url), ("CHROMIUM", &chromium), ("TRACES", &traces)], "300000")
}

/// Real edges and tabs under real faults. What they were asked and answered is judged by the simulator's program, `SIM`.
pub(super) fn fleet() -> Result<Tally> {
    say("building the checker of histories");
    let build = "build --quiet --profile sim --package edge-session-sim";
    run(command("cargo").args(build.split_whitespace()))?;
    let chromium = need(Need::Chromium)?.to_string_lossy().into_owned();
    let sim = target().join("sim").join(format!("sim{}", std::env::consts::EXE_SUFFIX)).to_string_lossy().into_owned();
    node_test("fleet", &[("CHROMIUM", &chromium), ("SIM", &sim)], "300000")
}

pub(super) fn demo() -> Result<Tally> {
    let mut tally = Tally::default();
    tally.check("cargo xtask demo --check", demo::check(0));
    Ok(tally)
}

/// Runs `tests/<dir>/*.test.mjs` in the consumer project: the readable report is shown, the TAP report is counted.
/// The limit ends a test that hangs; no test that works comes near it.
fn node_test(dir: &str, environment: &[(&str, &str)], limit: &str) -> Result<Tally> {
    let project = consumer::install()?;
    let files = consumer::files(&project.join(dir), ".test.mjs")?;
    if files.is_empty() {
        bail!("tests/{dir} has no *.test.mjs");
    }
    node_tests(command("node"), &project, dir, &files, environment, limit)
}

/// Runs `files` with Node's test runner in `project`.
pub(super) fn node_tests(
    mut node: Command,
    project: &Path,
    name: &str,
    files: &[PathBuf],
    environment: &[(&str, &str)],
    limit: &str,
) -> Result<Tally> {
    let report = project.join(format!("{name}.tap"));
    let _ = fs::remove_file(&report);
    let result = run(node
        .current_dir(project)
        .args(["--test", "--test-concurrency=1", &format!("--test-timeout={limit}")])
        .args(["--test-reporter=spec", "--test-reporter-destination=stdout", "--test-reporter=tap"])
        .arg(format!("--test-reporter-destination={}", report.display()))
        .args(files)
        .envs(environment.iter().copied()));
    Ok(of_tap(&fs::read_to_string(report).unwrap_or_default(), result.is_ok()))
}
