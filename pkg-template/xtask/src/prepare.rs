//! What the other commands need from outside: looked for first, fetched if absent, announced before it takes time.
//!
//! Every need is tried once in a run, and later requests get the first result. So a missing browser costs one attempt
//! and never stops a runner that works without it.

use crate::layout::{matrix, root};
use crate::process::{command, output, run, say, succeeds, which};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Something that must be on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// rustc's standard library for wasm32-unknown-unknown.
    WasmTarget,
    Clippy,
    Rustfmt,
    /// Node and the packages of `tests/package-lock.json`.
    Npm,
    /// The packages of `tests/bench/package-lock.json`, which the benchmark alone needs.
    Peers,
    /// The runtimes, bundlers and drivers of `tests/matrix/package-lock.json`.
    Matrix,
    Chromium,
    Chromedriver,
    Firefox,
    /// WebKitGTK's driver, which brings the browser.
    WebKit,
    /// A screen for a browser that cannot do without: `xvfb-run`.
    Display,
    WasmPack,
    /// Counts instructions.
    Valgrind,
    /// A nightly compiler, and cargo-fuzz.
    CargoFuzz,
}

static ANSWERS: Mutex<BTreeMap<Need, Result<PathBuf, String>>> = Mutex::new(BTreeMap::new());

/// Makes sure that `need` is met; returns the program or directory that meets it.
pub(crate) fn need(need: Need) -> Result<PathBuf> {
    let mut answers = ANSWERS.lock().map_err(|_| anyhow!("a preparation panicked"))?;
    let answer = answers.entry(need).or_insert_with(|| {
        match need {
            Need::WasmTarget => wasm_target(),
            Need::Clippy => component("clippy"),
            Need::Rustfmt => component("rustfmt"),
            Need::Npm => npm(),
            Need::Peers => npm_project(&root().join("tests/bench"), "tests/bench", "about 100 MB, seconds"),
            Need::Matrix => matrix_tools(),
            // Both at once: browser and driver must be of one version.
            Need::Chromium => {
                program("CHROMIUM", &["chromium", "chromium-browser", "google-chrome"], "chromium chromium-driver")
            }
            Need::Chromedriver => program("CHROMEDRIVER", &["chromedriver"], "chromium chromium-driver"),
            Need::Firefox => program("FIREFOX", &["firefox-esr", "firefox"], "firefox-esr"),
            Need::WebKit => program("WEBKIT_DRIVER", &["WebKitWebDriver"], "webkit2gtk-driver"),
            Need::Display => program("XVFB_RUN", &["xvfb-run"], "xvfb xauth"),
            Need::WasmPack => wasm_pack(),
            Need::Valgrind => program("VALGRIND", &["valgrind"], "valgrind"),
            Need::CargoFuzz => cargo_fuzz(),
        }
        .map_err(|error| format!("{error:#}"))
    });
    answer.clone().map_err(|error| anyhow!("{need:?} cannot be had: {error}"))
}

/// Adds the target and the sources of the standard library, with which the module is compiled, to the active toolchain.
/// The user chooses that toolchain (`rust-version` is the minimum).
fn wasm_target() -> Result<PathBuf> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let libdir = output(command("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
    let libdir = PathBuf::from(libdir.trim());
    if !libdir.is_dir() {
        say("adding the wasm32 target to the Rust toolchain (about 20 MB, seconds)");
        run(command("rustup").args(["target", "add", TARGET])).context("rustc has no wasm32 target")?;
    }
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    if !Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").is_file() {
        say("adding the sources of the standard library to the Rust toolchain (about 3 MB, seconds)");
        run(command("rustup").args(["component", "add", "rust-src"])).context("rustc has no sources of its library")?;
    }
    Ok(libdir)
}

fn component(name: &str) -> Result<PathBuf> {
    let subcommand = name.strip_prefix("rust").unwrap_or(name);
    if !succeeds(command("cargo").args([subcommand, "--version"])) {
        say(format_args!("adding {name} to the Rust toolchain (seconds)"));
        run(command("rustup").args(["component", "add", name]))?;
    }
    Ok(PathBuf::from(name))
}

fn npm() -> Result<PathBuf> {
    npm_project(&root().join("tests"), "tests", "about 350 MB, up to a minute")
}

/// Bun of the matrix, if npm has one for this machine: `node_modules/.bin` has only a script that would fetch it.
pub(crate) fn bun() -> Option<PathBuf> {
    let of_this_machine = fs::read_dir(matrix().join("node_modules/@oven")).into_iter().flatten();
    of_this_machine.filter_map(|dir| Some(dir.ok()?.path().join("bin/bun"))).find(|file| file.is_file())
}

/// Installed where it is used: a bundler looks for packages upwards from its project, and not through links.
fn matrix_tools() -> Result<PathBuf> {
    fs::create_dir_all(matrix())?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(root().join("tests/matrix").join(name), matrix().join(name))?;
    }
    npm_project(&matrix(), "tests/matrix", "about 1.2 GB, a minute or two")
}

/// Installs what the lock file in `project` lists, unless that was done; returns its `node_modules`. `name` is
/// announced.
fn npm_project(project: &Path, name: &str, cost: &str) -> Result<PathBuf> {
    node_is_recent()?;
    let lock = fs::read_to_string(project.join("package-lock.json"))?;
    let modules = project.join("node_modules");
    let installed = modules.join(".edge-session-lock");
    if !fs::read_to_string(&installed).is_ok_and(|kept| kept == lock) {
        say(format_args!(
            "installing the npm packages of {name}/package-lock.json ({cost}; again only when it changes)"
        ));
        // None of these packages needs its install script.
        run(command("npm").current_dir(project).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
        fs::write(installed, lock)?;
    }
    Ok(modules)
}

fn node_is_recent() -> Result<()> {
    let version = output(command("node").arg("--version")).context("Node is missing; install Node 20.19 or newer")?;
    let mut numbers = version.trim().trim_start_matches('v').split('.').map_while(|n| n.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) < (Some(20), Some(19)) {
        bail!("Node is {}; 20.19 or newer is needed", version.trim());
    }
    Ok(())
}

/// The file that `variable` names, or the first of `names` on the PATH; Debian's packages when there is none.
fn program(variable: &str, names: &[&str], packages: &str) -> Result<PathBuf> {
    if let Some(file) = std::env::var_os(variable).map(PathBuf::from) {
        return if file.is_file() { Ok(file) } else { bail!("{variable} names {}, which is no file", file.display()) };
    }
    let find = || names.iter().find_map(|name| which(name));
    if let Some(file) = find() {
        return Ok(file);
    }
    say(format_args!("installing Debian's {packages} with apt (up to a minute)"));
    if which("apt-get").is_none() {
        bail!("no apt-get here; install {} and name it in {variable}", names[0]);
    }
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages.split(' ').collect::<Vec<_>>().as_slice()].concat())?;
    find().with_context(|| format!("apt installed the packages, but {} is still not on the PATH", names[0]))
}

fn apt(args: &[&str]) -> Result<()> {
    let words: &[&str] = if output(command("id").arg("-u"))?.trim() == "0" {
        &["env"]
    } else {
        // sudo may ask for a password, which is right at a terminal and fails at once elsewhere.
        &["sudo", "env"]
    };
    run(command(words[0]).args(&words[1..]).args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).args(args))
}

fn wasm_pack() -> Result<PathBuf> {
    cargo_tool("wasm-pack", "0.15.1", "one to five minutes")
}

fn cargo_fuzz() -> Result<PathBuf> {
    if !succeeds(command("rustup").args(["run", "nightly", "rustc", "--version"])) {
        say("installing a nightly Rust, which the fuzzers are compiled with (about 300 MB)");
        run(command("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal"]))?;
    }
    cargo_tool("cargo-fuzz", "0.13.2", "about a minute")
}

/// A tool from crates.io: our own, or the machine's, or compiled once.
fn cargo_tool(name: &str, version: &str, takes: &str) -> Result<PathBuf> {
    let own = root().join("tools/bin").join(name);
    if own.is_file() {
        return Ok(own);
    }
    if let Some(file) = which(name) {
        return Ok(file);
    }
    say(format_args!("compiling {name} {version} into tools/ ({takes}; once)"));
    // Unoptimised: it only starts other programs, and compiles in half the time.
    run(command("cargo").args(["install", name, "--version", version, "--locked", "--debug", "--root", "tools"]))?;
    Ok(own)
}
