//! wasm-bindgen's own programs, from the library that Cargo.lock pins, so that nobody installs them.
//!
//! `cargo test --target wasm32-unknown-unknown` calls the test runner through `.cargo/config.toml`; wasm-pack looks
//! for both programs on the PATH, where links to this one stand in (`path_entry`).

use anyhow::Result;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A library's `main`.
type Main = fn(Vec<OsString>) -> Result<()>;

const TOOLS: &[(&str, Main)] = &[
    ("wasm-bindgen", |args| wasm_bindgen_cli::wasm_bindgen::run_cli_with_args(args)),
    ("wasm-bindgen-test-runner", |args| wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(args)),
];

/// Runs the tool whose name this program was called by: as its file name, or as its first argument.
pub(crate) fn impersonate() -> Option<Result<()>> {
    let args: Vec<OsString> = std::env::args_os().collect();
    [0, 1].into_iter().find_map(|at| {
        let name = Path::new(args.get(at)?).file_name()?;
        let (_, main) = TOOLS.iter().find(|(tool, _)| name == *tool)?;
        Some(main(args[at..].to_vec()))
    })
}

/// A directory for the PATH in which both tools are links to this program.
pub(crate) fn path_entry() -> Result<PathBuf> {
    let dir = crate::layout::target().join("wasm-bindgen-tools");
    fs::create_dir_all(&dir)?;
    let this = std::env::current_exe()?;
    for (tool, _) in TOOLS {
        let link = dir.join(tool);
        if fs::read_link(&link).ok().as_ref() != Some(&this) {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(&this, &link)?;
        }
    }
    Ok(dir)
}
