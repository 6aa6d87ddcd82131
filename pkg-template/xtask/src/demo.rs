//! `cargo xtask demo`: the page in `www/` with the package as it was just built, and its edges in workerd.
//!
//! What the edges know lives in `target/demo` and is there again the next time; a check begins with nothing.
//! With `--check`, `www/check.mjs` drives the page in headless Chromium; it finds the page at `DEMO_URL` and the
//! browser at `CHROMIUM`. It runs as a copy in `target/npm/www`, from where `playwright-core` resolves.

use crate::consumer;
use crate::edges::{self, Edges};
use crate::layout::target;
use crate::prepare::{Need, need};
use crate::process::{self, run, say};
use crate::serve::{self, Server};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

const PORT: u16 = 8137;

fn options(args: &[String]) -> Result<(bool, u16)> {
    let (mut check, mut port) = (false, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--check" => check = true,
            "--port" => port = Some(args.next().context("--port needs a number")?.parse().context("--port")?),
            other => bail!("demo does not know {other}"),
        }
    }
    // A check takes any free port: it must not fail because the demo is open.
    Ok((check, port.unwrap_or(if check { 0 } else { PORT })))
}

pub(crate) fn command(args: &[String]) -> Result<()> {
    let (check_only, port) = options(args)?;
    if check_only {
        return check(port);
    }
    say("starting three edges, each a workerd process with its state in target/demo");
    let demo = start(port, &target().join("demo"))?;
    say(format_args!("the demo is at {} (Ctrl-C ends it)", demo.server.url));
    demo.server.forever();
    Ok(())
}

/// The page, served, and its edges.
pub(crate) struct Demo {
    pub(crate) server: Server,
    _edges: Edges,
}

fn start(port: u16, state: &Path) -> Result<Demo> {
    let edges = edges::start(state)?;
    Ok(Demo { server: serve::start(port, &edges.address)?, _edges: edges })
}

/// The same on any free port, with edges that know nothing yet.
pub(crate) fn fresh(port: u16) -> Result<Demo> {
    let state = target().join("demo-check");
    let _ = fs::remove_dir_all(&state);
    start(port, &state)
}

/// Serves the page and drives it; an error unless the script succeeds.
pub(crate) fn check(port: u16) -> Result<()> {
    let chromium = need(Need::Chromium)?;
    let project = consumer::install()?;
    let script = project.with_file_name("www").join("check.mjs");
    if !script.is_file() {
        bail!("there is no www/check.mjs");
    }
    let demo = fresh(port)?;
    say(format_args!("checking the demo at {}", demo.server.url));
    run(process::command("node").arg(script).env("DEMO_URL", &demo.server.url).env("CHROMIUM", chromium))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_takes_any_port_and_a_demo_its_own() -> Result<()> {
        let parse = |line: &str| options(&line.split_whitespace().map(String::from).collect::<Vec<_>>());
        assert_eq!(parse("")?, (false, PORT));
        assert_eq!(parse("--check")?, (true, 0));
        assert_eq!(parse("--port 9000 --check")?, (true, 9000));
        assert!(parse("--port").is_err() && parse("--port x").is_err() && parse("--prot").is_err());
        Ok(())
    }
}
