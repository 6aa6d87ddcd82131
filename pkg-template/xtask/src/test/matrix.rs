//! The matrix: the packed package installed and used in every runtime, through every bundler, and in every engine.
//!
//! The projects of `tests/matrix` are copied to `target/matrix`, each with the package installed from its tarball as a
//! user would; the tools are one directory up. What a runtime cannot run says so itself, as a skipped test.

use super::scripts::node_tests;
use super::tally::{Tally, of_cargo, of_junit};
use crate::layout::{matrix, root, toolbox};
use crate::prepare::{Need, bun, need};
use crate::process::{command, run, stream};
use crate::{consumer, demo};
use anyhow::{Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The projects, by the runner that uses them.
const RUNTIMES: &[&str] = &["plain", "worker"];
const BUNDLERS: &[&str] = &["plain", "vite", "webpack", "esbuild", "next", "bare"];

pub(super) fn runtimes() -> Result<Tally> {
    let workerd = toolbox().join("@cloudflare/workerd-linux-64/bin/workerd");
    used_in("runtimes", RUNTIMES, &[("WORKERD", &workerd.to_string_lossy())])
}

pub(super) fn bundlers() -> Result<Tally> {
    used_in("bundlers", BUNDLERS, &[("CHROMIUM", &need(Need::Chromium)?.to_string_lossy())])
}

/// Installs the package into `projects` and runs the test file of that name.
fn used_in(name: &str, projects: &[&str], environment: &[(&str, &str)]) -> Result<Tally> {
    consumer::install()?;
    let from = root().join("tests/matrix");
    for project in projects {
        let to = matrix().join(project);
        consumer::replace(&from.join(project), &to)?;
        for shared in ["use.mjs", "page.js"] {
            fs::copy(from.join(shared), to.join(shared))?;
        }
        consumer::add_package(&to)?;
    }
    let file = format!("{name}.test.mjs");
    for script in ["support.mjs", &file] {
        fs::copy(from.join(script), matrix().join(script))?;
    }
    node_tests(command("node"), &matrix(), name, &[matrix().join(file)], environment, "900000")
}

/// Both report as JUnit does.
pub(super) fn in_deno() -> Result<Tally> {
    let report = matrix().join("deno.xml");
    let mut deno = command(matrix().join("node_modules/.bin/deno"));
    deno.args(["test", "--allow-all", "--no-check"]).arg(format!("--junit-path={}", report.display()));
    js_tests(&mut deno, &report)
}

pub(super) fn in_bun() -> Result<Tally> {
    let Some(bun) = bun() else { return Ok(Tally::absent("npm has no Bun for this machine")) };
    let report = matrix().join("bun.xml");
    let mut bun = command(bun);
    bun.args(["test", "--timeout=120000", "--reporter=junit"]).arg(format!("--reporter-outfile={}", report.display()));
    js_tests(&mut bun, &report)
}

fn js_tests(runtime: &mut Command, report: &PathBuf) -> Result<Tally> {
    let project = consumer::install()?;
    let _ = fs::remove_file(report);
    let files = consumer::files(&project.join("js"), ".test.mjs")?;
    let result = run(runtime.current_dir(&project).args(files));
    Ok(of_junit(&fs::read_to_string(report).unwrap_or_default(), result.is_ok()))
}

/// wasm-bindgen's runner knows Firefox through geckodriver alone, which nobody distributes in a package: a script that
/// drives Firefox without it opens the page that the runner serves.
pub(super) fn in_firefox() -> Result<Tally> {
    let firefox = need(Need::Firefox)?.to_string_lossy().into_owned();
    let mut suite = command("node");
    suite.arg(root().join("tests/matrix/wasm-suite.mjs")).args(SUITE).env("FIREFOX", &firefox);
    suite.env("DRIVERS", matrix().join("node_modules"));
    let mut tally = of_cargo(&stream(&mut suite)?);
    tally.add(&tab_tests(command("node"), "firefox", ("FIREFOX", &firefox))?);
    Ok(tally)
}

/// WebKitGTK's driver speaks the protocol that the runner speaks with Safari's.
pub(super) fn in_webkit() -> Result<Tally> {
    let driver = need(Need::WebKit)?.to_string_lossy().into_owned();
    let screen = || -> Result<Command> {
        let mut screen = command(need(Need::Display)?);
        screen.arg("--auto-servernum");
        Ok(screen)
    };
    let mut suite = screen()?;
    suite.args(SUITE).env("SAFARIDRIVER", &driver);
    // Their defaults (20 s, 5 s) are for an idle machine.
    suite.env("WASM_BINDGEN_TEST_TIMEOUT", "300").env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60");
    let mut tally = of_cargo(&stream(&mut suite)?);
    let mut node = screen()?;
    node.arg("node");
    tally.add(&tab_tests(node, "webkit", ("WEBKIT_DRIVER", &driver))?);
    Ok(tally)
}

const SUITE: &[&str] =
    &["cargo", "test", "--package", "edge-session", "--target", "wasm32-unknown-unknown", "--test", "wasm_browser"];

/// The tests of tabs, in the browser of that name.
fn tab_tests(node: Command, browser: &str, program: (&str, &str)) -> Result<Tally> {
    let project = consumer::install()?;
    let files = consumer::files(&project.join("browser"), "tabs.test.mjs")?;
    ensure!(!files.is_empty(), "tests/browser has no tabs.test.mjs");
    let demo = demo::fresh(0)?;
    let drivers = matrix().join("node_modules").to_string_lossy().into_owned();
    let environment = [("DEMO_URL", demo.server.url.as_str()), ("BROWSER", browser), ("DRIVERS", &drivers), program];
    node_tests(node, &project, browser, &files, &environment, "300000")
}
