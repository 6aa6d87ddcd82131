//! An empty project into which the packed package is installed, as npm will deliver it.
//!
//! `target/npm/consumer` holds the installed tarball and copies of `tests/{js,workerd,browser,replay,bench,data}` and of
//! `pkg-template/examples`; `target/npm/www` is a copy of `www`. The tools of `tests/package.json` are found one
//! directory up (`target/npm/node_modules`), so the project's own `node_modules` holds the package and what it depends on.

use crate::fingerprint;
use crate::layout::{package, root, target, template, toolbox};
use crate::package::{build, copy_tree};
use crate::process::{command, run, say};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The tarball that `npm pack` makes of the package.
pub(crate) fn tarball() -> PathBuf {
    target().join(concat!("npm/edge-session-", env!("CARGO_PKG_VERSION"), ".tgz"))
}

/// Builds, packs and installs what is stale, copies the tests anew and returns the project's directory. Once in a run.
pub(crate) fn install() -> Result<PathBuf> {
    static RESULT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let result = RESULT.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    result.clone().map_err(|error| anyhow::anyhow!("{error}"))
}

fn make() -> Result<PathBuf> {
    let inputs = build()?;
    let npm = target().join("npm");
    let project = npm.join("consumer");
    let stamp = npm.join("consumer.stamp");
    fs::create_dir_all(&npm)?;
    if !(project.is_dir() && tarball().is_file() && fingerprint::matches(&stamp, &inputs)) {
        pack_and_install(&npm, &project)?;
        fs::write(&stamp, &inputs)?;
    }
    link(&toolbox(), &npm.join("node_modules"))?;
    for name in ["js", "workerd", "browser", "replay", "fleet", "bench", "data"] {
        replace(&root().join("tests").join(name), &project.join(name))?;
    }
    replace(&template().join("examples"), &project.join("examples"))?;
    replace(&root().join("www"), &npm.join("www"))?;
    Ok(project)
}

fn pack_and_install(npm: &Path, project: &Path) -> Result<()> {
    say("packing the package and installing it into an empty project");
    let _ = fs::remove_dir_all(project);
    fs::create_dir_all(project)?;
    run(command("npm").args(["pack", "--silent", "--ignore-scripts", "--pack-destination"]).arg(npm).arg(package()))?;
    fs::write(project.join("package.json"), "{ \"name\": \"consumer\", \"private\": true, \"type\": \"module\" }\n")?;
    add_package(project)
}

/// Installs the tarball into a project, as its user would.
pub(crate) fn add_package(project: &Path) -> Result<()> {
    // The few packages that it depends on come from npm's cache where they can: the toolbox has just been there.
    run(command("npm")
        .current_dir(project)
        .args([
            "install",
            "--silent",
            "--prefer-offline",
            "--ignore-scripts",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
        ])
        .arg(tarball()))
}

/// Lets `at` point to the directory `to`.
pub(crate) fn link(to: &Path, at: &Path) -> Result<()> {
    if fs::read_link(at).ok().as_deref() != Some(to) {
        let _ = fs::remove_file(at);
        std::os::unix::fs::symlink(to, at).with_context(|| format!("linking {}", at.display()))?;
    }
    Ok(())
}

/// Copied, not linked: Node resolves a link's imports from where it points to, which is not this project.
pub(crate) fn replace(from: &Path, to: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(to);
    if from.is_dir() { copy_tree(from, to) } else { Ok(()) }
}

/// The files of `dir` whose names end in `suffix`, sorted; none when there is no such directory.
pub(crate) fn files(dir: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = fs::read_dir(dir)?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.to_string_lossy().ends_with(suffix));
    files.sort();
    Ok(files)
}
