//! Where things are in the repository and in the build directory: the one place that knows.

use std::path::{Path, PathBuf};

/// The root of the repository. Cargo names the manifest's directory when it runs this program.
pub(crate) fn root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.ancestors().nth(2).map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// Cargo's build directory, found from this program's own place in it (`target/debug/xtask`).
pub(crate) fn target() -> PathBuf {
    let of_exe = std::env::current_exe().ok().and_then(|exe| exe.ancestors().nth(2).map(Path::to_path_buf));
    of_exe.unwrap_or_else(|| root().join("target"))
}

/// The sources of the npm package.
pub(crate) fn template() -> PathBuf {
    root().join("pkg-template")
}

/// The package, ready for `npm pack`.
pub(crate) fn package() -> PathBuf {
    root().join("pkg")
}

/// The npm tools (`tests/package.json`), once `npm ci` has run.
pub(crate) fn toolbox() -> PathBuf {
    root().join("tests/node_modules")
}

/// Where the packed package is used in every runtime and bundler, with their npm packages (`tests/matrix/package.json`).
pub(crate) fn matrix() -> PathBuf {
    target().join("matrix")
}
