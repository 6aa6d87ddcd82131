//! The licences of third-party code in the package: crates that are compiled into the module, and npm packages in
//! `bundle.js`. They require that their notices go with each copy.

use crate::layout::{root, toolbox};
use crate::process::{command, output};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// The file that is written, as plain text.
pub(crate) const FILE: &str = "LICENSE-THIRD-PARTY";
/// Where a package has its licence. If it offers a choice, the first is taken.
const NAMES: &[&str] = &["LICENSE-MIT", "LICENSE", "LICENSE.txt", "LICENSE.md"];
/// The npm packages in `bundle.js`.
const BUNDLED: &[&str] = &["event-target-polyfill", "idb", "partysocket"];
/// What comes with the compiler. Its sources lack their licence, which is also the MIT licence.
const COMPILED_IN: &[(&str, &str)] = &[
    ("the Rust standard library", "Copyright (c) The Rust Project Contributors"),
    ("dlmalloc, in the Rust standard library", "Copyright (c) 2014 Alex Crichton"),
];

/// Writes the notices into a directory.
pub(super) fn write(to: &Path) -> Result<()> {
    let own = fs::read_to_string(root().join("LICENSE-MIT"))?;
    let permission = own.find("Permission is").and_then(|at| own.get(at..)).context("LICENSE-MIT permits nothing")?;
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, copyright) in COMPILED_IN {
        names.entry(format!("{copyright}\n\n{permission}")).or_default().push((*name).into());
    }
    let npm = BUNDLED.iter().map(|name| ((*name).to_owned(), toolbox().join(name)));
    for (name, directory) in crates()?.into_iter().chain(npm) {
        names.entry(licence(&directory).with_context(|| format!("the licence of {name}"))?).or_default().push(name);
    }
    let mut parts: Vec<_> =
        names.into_iter().map(|(text, names)| format!("{}\n\n{}\n", names.join("\n"), text.trim())).collect();
    parts.sort();
    let head = "The module and bundle.js hold parts of the following, under the licences below each.\n";
    let rule = format!("\n{}\n\n", "-".repeat(80));
    Ok(fs::write(to.join(FILE), format!("{head}{rule}{}", parts.join(&rule)))?)
}

/// The crates of the module except our own, and where their sources are.
fn crates() -> Result<Vec<(String, PathBuf)>> {
    let which = ["--target", "wasm32-unknown-unknown", "--package", "edge-session", "--edges", "normal,no-proc-macro"];
    let tree = output(command("cargo").args(["tree", "--locked", "--prefix", "none", "--format", "{p}"]).args(which))?;
    let metadata = output(command("cargo").args(["metadata", "--locked", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("reading cargo's metadata")?;
    let manifests: HashMap<_, _> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|package| {
            let [name, version, manifest] = ["name", "version", "manifest_path"].map(|field| package[field].as_str());
            // Our own crates have no `source`. Paths do not tell: Cargo may keep the others below the root.
            let manifest = package["source"].is_string().then(|| manifest.map(PathBuf::from));
            Some((format!("{} v{}", name?, version?), manifest.flatten()))
        })
        .collect();
    let mut crates = BTreeMap::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let name: String = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let manifest = manifests.get(&name).with_context(|| format!("cargo knows no manifest of {name}"))?;
        if let Some(manifest) = manifest {
            crates.insert(name, manifest.parent().context("a manifest without a directory")?.to_owned());
        }
    }
    ensure!(!crates.is_empty(), "cargo names no crate that the module is made of");
    Ok(crates.into_iter().collect())
}

fn licence(directory: &Path) -> Result<String> {
    let file = NAMES.iter().map(|name| directory.join(name)).find(|file| file.is_file());
    let file = file.with_context(|| format!("none of {NAMES:?} is in {}", directory.display()))?;
    Ok(fs::read_to_string(file)?.replace('\r', ""))
}
