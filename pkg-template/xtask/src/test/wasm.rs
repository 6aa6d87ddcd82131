//! The suite of `tests/wasm.rs`, compiled to wasm: in Node, and in Chrome as users run it, by wasm-pack.

use super::tally::{Tally, of_cargo};
use crate::bindgen;
use crate::layout::toolbox;
use crate::prepare::{Need, need};
use crate::process::{command, stream};
use anyhow::{Context, Result};

pub(super) fn in_node() -> Result<Tally> {
    let mut cargo = command("cargo");
    cargo.args(["test", "--package", "edge-session", "--target", "wasm32-unknown-unknown", "--test", "wasm"]);
    Ok(of_cargo(&stream(&mut cargo)?))
}

/// wasm-pack looks on the PATH for wasm-bindgen of the lock file's version and takes the test runner beside it; the
/// npm tools come before the system's, because Debian's wasm-opt cannot read what rustc writes.
pub(super) fn in_chrome() -> Result<Tally> {
    let mut path = vec![bindgen::path_entry()?, toolbox().join(".bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").context("no PATH")?));
    let mut wasm_pack = command(need(Need::WasmPack)?);
    wasm_pack
        .args(["test", "--headless", "--chrome", "--mode", "no-install", "--chromedriver"])
        .arg(need(Need::Chromedriver)?)
        .env("PATH", std::env::join_paths(path)?)
        // Their defaults (20 s, 5 s) are for an idle machine.
        .env("WASM_BINDGEN_TEST_TIMEOUT", "300")
        .env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60");
    Ok(of_cargo(&stream(&mut wasm_pack)?))
}
