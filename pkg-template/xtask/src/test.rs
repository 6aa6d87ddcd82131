//! `cargo xtask test`: the everyday runners, one after the other, and one count over all; with `--all`, the matrix too.
//!
//! Invariant: nothing is passed over in silence. A runner that cannot start, runs no test, or prints what cannot be
//! read counts as failed; the others run all the same. Only what the matrix needs may be missing on a machine: that
//! counts as skipped, with its reason at the end. The last line is `N passed, N failed`.

mod matrix;
mod miri;
mod package;
mod rust;
mod scripts;
mod tally;
mod wasm;

use crate::prepare::{self, Need};
use crate::process::say;
use anyhow::{Result, bail};
use tally::Tally;

struct Runner {
    name: &'static str,
    what: &'static str,
    needs: &'static [Need],
    run: fn() -> Result<Tally>,
}

#[rustfmt::skip]
const RUNNERS: &[Runner] = &[
    Runner { name: "fmt", what: "formatting", needs: &[Need::Rustfmt], run: rust::format },
    Runner { name: "clippy", what: "lints, native and wasm32", needs: &[Need::Clippy, Need::WasmTarget], run: rust::lint },
    Runner { name: "rust", what: "the Rust tests, documentation included", needs: &[], run: rust::tests },
    Runner { name: "sim", what: "replicas under faults, judged per guarantee", needs: &[], run: rust::simulation },
    Runner { name: "model", what: "every state within a bound, exhaustively", needs: &[], run: rust::model },
    Runner { name: "miri", what: "vectors and codec under Miri, where it is installed", needs: &[], run: miri::tests },
    Runner { name: "xtask", what: "this tool's own tests", needs: &[], run: rust::own_tests },
    Runner { name: "build", what: "the package builds", needs: &[Need::WasmTarget, Need::Npm], run: package::builds },
    Runner { name: "wasm", what: "the wasm suite in Node", needs: &[Need::WasmTarget], run: wasm::in_node },
    Runner { name: "wasm-pack", what: "wasm-pack test --headless --chrome", needs: &[Need::WasmTarget, Need::WasmPack, Need::Npm, Need::Chromium, Need::Chromedriver], run: wasm::in_chrome },
    Runner { name: "package", what: "the package as npm delivers it", needs: &[Need::Npm], run: package::checks },
    Runner { name: "js", what: "the JavaScript tests in Node", needs: &[Need::Npm], run: scripts::in_node },
    Runner { name: "replay", what: "the shipped module gives the native histories", needs: &[Need::WasmTarget, Need::Npm, Need::Chromium], run: scripts::replays },
    Runner { name: "workerd", what: "Durable Objects in workerd", needs: &[Need::Npm], run: scripts::in_workerd },
    Runner { name: "examples", what: "the examples, compiled strictly", needs: &[Need::Npm], run: package::examples },
    Runner { name: "browser", what: "the browser tests", needs: &[Need::Npm, Need::Chromium], run: scripts::in_browser },
    Runner { name: "fleet", what: "edges in workerd and Node and tabs in Chromium, killed and cut off", needs: &[Need::Npm, Need::Chromium], run: scripts::fleet },
    Runner { name: "demo", what: "cargo xtask demo --check", needs: &[Need::Npm, Need::Chromium], run: scripts::demo },
];

/// Where users are: every runtime, bundler and engine. Large to install, and run before a release or by name.
#[rustfmt::skip]
const MATRIX: &[Runner] = &[
    Runner { name: "runtimes", what: "the package, used in Node 20 and 24, Deno, Bun, workerd, wrangler", needs: &[Need::Npm, Need::Matrix], run: matrix::runtimes },
    Runner { name: "bundlers", what: "the package, used through Vite, webpack, esbuild, Next, and without", needs: &[Need::Npm, Need::Matrix, Need::Chromium], run: matrix::bundlers },
    Runner { name: "deno", what: "the JavaScript tests in Deno", needs: &[Need::Npm, Need::Matrix], run: matrix::in_deno },
    Runner { name: "bun", what: "the JavaScript tests in Bun", needs: &[Need::Npm, Need::Matrix], run: matrix::in_bun },
    Runner { name: "firefox", what: "the wasm suite and the tab tests in Firefox", needs: &[Need::WasmTarget, Need::Npm, Need::Matrix, Need::Firefox], run: matrix::in_firefox },
    Runner { name: "webkit", what: "the wasm suite and the tab tests in WebKitGTK", needs: &[Need::WasmTarget, Need::Npm, Need::Matrix, Need::WebKit, Need::Display], run: matrix::in_webkit },
];

pub(crate) fn command(words: &[String]) -> Result<()> {
    let (options, names): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with('-'));
    if let Some(unknown) = options.iter().find(|option| **option != "--all") {
        bail!("test does not know {unknown}; there is --all");
    }
    let everyday = RUNNERS.iter().map(|runner| (runner, false));
    let all: Vec<_> = everyday.chain(MATRIX.iter().map(|runner| (runner, true))).collect();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|(runner, _)| runner.name != name.as_str())) {
        let known: Vec<_> = all.iter().map(|(runner, _)| runner.name).collect();
        bail!("no runner is called {unknown}; there are {}", known.join(", "));
    }
    let chosen = |(runner, matrix): &(&Runner, bool)| match names.as_slice() {
        [] => !matrix || !options.is_empty(),
        names => names.iter().any(|name| *name == runner.name),
    };
    let chosen: Vec<_> = all.into_iter().filter(chosen).collect();

    // All fetching comes first, so that what follows is work and not waiting. A failure here is the runner's to report.
    for need in chosen.iter().flat_map(|(runner, _)| runner.needs) {
        if let Err(error) = prepare::need(*need) {
            say(format_args!("{error:#}"));
        }
    }
    let results: Vec<_> = chosen.iter().map(|(runner, matrix)| (*runner, run(runner, *matrix))).collect();
    report(&results)
}

fn run(runner: &Runner, matrix: bool) -> Tally {
    println!();
    say(format_args!("{}: {}", runner.name, runner.what));
    let started = std::time::Instant::now();
    let tally = match runner.needs.iter().try_for_each(|need| prepare::need(*need).map(drop)) {
        Err(missing) if matrix => Tally::absent(format!("{missing:#}")),
        Err(missing) => Tally::failure(format!("{missing:#}")),
        Ok(()) => match (runner.run)() {
            Ok(tally) if tally.is_empty() => Tally::failure("not one test ran"),
            Ok(tally) => tally,
            Err(error) => Tally::failure(format!("{error:#}")),
        },
    };
    for problem in &tally.problems {
        println!("{}: FAILED: {problem}", runner.name);
    }
    for absent in &tally.absent {
        println!("{}: NOT RUN: {absent}", runner.name);
    }
    println!("{}: {} passed, {} failed, in {:.1?}", runner.name, tally.passed, tally.failed, started.elapsed());
    tally
}

fn report(results: &[(&Runner, Tally)]) -> Result<()> {
    println!("\n{:<10} {:>7} {:>7} {:>8}", "runner", "passed", "failed", "skipped");
    let mut sum = Tally::default();
    for (runner, tally) in results {
        println!("{:<10} {:>7} {:>7} {:>8}", runner.name, tally.passed, tally.failed, tally.skipped);
        sum.add(tally);
    }
    for (runner, tally) in results {
        tally.absent.iter().for_each(|absent| println!("{}: NOT RUN: {absent}", runner.name));
    }
    for (runner, tally) in results {
        tally.problems.iter().for_each(|problem| println!("{}: {problem}", runner.name));
    }
    // Standard output ends with this line; the exit code says the rest.
    println!("{} passed, {} failed", sum.passed, sum.failed);
    std::process::exit(i32::from(sum.failed > 0 || sum.passed == 0));
}
