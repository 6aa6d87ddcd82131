//! Running other programs: always from the root of the repository, always showing what they print.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Says what happens next, and why it may take long.
pub(crate) fn say(what: impl std::fmt::Display) {
    println!("── {what}");
}

/// A command that starts in the root of the repository.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(crate::layout::root());
    command
}

/// A program of the npm toolbox, run by Node. Named by its file, so that no shim and no shell is in between.
pub(crate) fn npm_tool(script: &str) -> Command {
    let mut node = command("node");
    node.arg(crate::layout::toolbox().join(script));
    node
}

/// Runs to the end, output shown; an error unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end and returns what it printed on standard output; an error unless it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !out.status.success() {
        bail!("{} ended with {}", shown(command), out.status);
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Whether it runs and succeeds; its output is dropped. For asking "is it there?".
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What a program printed while it was shown, and whether it succeeded.
pub(crate) struct Shown {
    pub(crate) success: bool,
    pub(crate) text: String,
}

/// Runs to the end, shows both streams line by line as they come and keeps them.
pub(crate) fn stream(command: &mut Command) -> Result<Shown> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let stderr = child.stderr.take().context("standard error is piped")?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let errors = std::thread::spawn(move || relay(stderr, &mut std::io::stderr()));
    let mut text = relay(stdout, &mut std::io::stdout());
    text.push_str(&errors.join().unwrap_or_default());
    let success = child.wait()?.success();
    Ok(Shown { success, text })
}

fn relay(from: impl Read, to: &mut impl Write) -> String {
    let mut text = String::new();
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        // A closed terminal must not stop the reading: the child would block on a full pipe.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        text.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
    text
}

/// The file of a program on the PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
