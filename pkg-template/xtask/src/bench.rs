//! `cargo xtask bench`: the scripts of `tests/bench`, run by Node against the installed package.

use crate::consumer;
use crate::process::{command as program, run, say};
use anyhow::{Result, bail};

pub(crate) fn command(args: &[String]) -> Result<()> {
    let project = consumer::install()?;
    let mut scripts = consumer::files(&project.join("bench"), ".mjs")?;
    // A name selects the scripts whose file names contain it.
    scripts.retain(|script| {
        let name = script.file_name().unwrap_or_default().to_string_lossy();
        args.is_empty() || args.iter().any(|wanted| name.contains(wanted.as_str()))
    });
    if scripts.is_empty() {
        bail!("tests/bench has no such benchmark (*.mjs)");
    }
    for script in scripts {
        say(script.file_name().unwrap_or_default().to_string_lossy());
        run(program("node").arg("--expose-gc").arg(script).current_dir(&project))?;
    }
    Ok(())
}
