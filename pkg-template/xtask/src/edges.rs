//! The demo's edges: `www/edges/main.mjs` in a Node process, which runs them in workerd, for as long as this value lives.
//!
//! It holds the other end of the process's standard input. When this program ends, whatever ends it, that end closes, and
//! the process ends with all that it has started.

use crate::consumer;
use crate::process::command;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

pub(crate) struct Edges {
    child: Child,
    /// Where pages find them, as JSON.
    pub(crate) address: String,
}

/// Starts the edges; what they know lives in `state`.
pub(crate) fn start(state: &Path) -> Result<Edges> {
    let script = consumer::install()?.with_file_name("www").join("edges/main.mjs");
    let mut child = command("node")
        .arg(&script)
        .arg(state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", script.display()))?;
    let mut address = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut address)?;
    }
    if address.is_empty() {
        bail!("the edges did not start: {}", child.wait()?);
    }
    Ok(Edges { child, address })
}

impl Drop for Edges {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
