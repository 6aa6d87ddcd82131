//! `cargo xtask build`: the installable package in `pkg/`.
//!
//! Invariant: `pkg/` is whole or absent. It is composed beside its place and moved there, and a step is skipped only
//! when nothing that it reads has changed.

mod glue;
pub(crate) mod module;
pub(crate) mod notices;
mod order;
mod reach;
mod sizes;

use crate::fingerprint::{self, Fingerprint};
use crate::layout::{package, root, target, template, toolbox};
use crate::prepare::{Need, need};
use crate::process::{npm_tool, run, say};
use anyhow::{Context, Result, bail, ensure};
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(crate) fn command(args: &[String]) -> Result<()> {
    ensure!(args.is_empty(), "build takes no arguments");
    build()?;
    sizes::check(&package())
}

/// Makes the package when it is stale and returns the fingerprint of what it was made of. Once in a run.
pub(crate) fn build() -> Result<String> {
    static RESULT: OnceLock<Result<String, String>> = OnceLock::new();
    let result = RESULT.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    result.clone().map_err(|error| anyhow::anyhow!("the package does not build: {error}"))
}

/// Files of the repository's root that the package carries, when they exist.
const DOCUMENTS: &[&str] = &["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

fn make() -> Result<String> {
    need(Need::WasmTarget)?;
    need(Need::Npm)?;
    let stage = target().join("package");
    let wasm = stage.join("wasm");
    let module = module::build(&wasm)?;

    let mut inputs = Fingerprint::of_this_tool()?.value(&module);
    for name in ["src", "package.json", "tsconfig.json", "tsconfig.core.json", "tsconfig.cloudflare.json"] {
        inputs = inputs.path(&template().join(name))?;
    }
    for name in DOCUMENTS.iter().chain(&["tests/package-lock.json"]) {
        inputs = inputs.path(&root().join(name))?;
    }
    let inputs = inputs.finish();
    let stamp = stage.join("pkg.stamp");
    if package().is_dir() && fingerprint::matches(&stamp, &inputs) {
        say("pkg/ is up to date");
        return Ok(inputs);
    }

    let next = stage.join("next");
    let _ = fs::remove_dir_all(&next);
    fs::create_dir_all(&next)?;
    version_is_the_crates()?;
    fs::copy(template().join("package.json"), next.join("package.json"))?;
    typescript(&next)?;
    copy_flat(&wasm, &next.join("wasm"), |_| true)?;
    copy_flat(&template().join("src/wasm"), &next.join("wasm"), |name| {
        name.ends_with(".d.ts") && !["base64.d.ts", "whole.d.ts"].contains(&name)
    })?;
    bundle(&next)?;
    join(&next)?;
    for name in DOCUMENTS.iter().filter(|name| root().join(name).is_file()) {
        fs::copy(root().join(name), next.join(name))?;
    }
    notices::write(&next)?;

    let _ = fs::remove_file(&stamp);
    let _ = fs::remove_dir_all(package());
    fs::rename(&next, package()).or_else(|_| copy_tree(&next, &package())).context("moving the package to pkg/")?;
    fs::write(stamp, &inputs)?;
    Ok(inputs)
}

/// The crate and the package are released as one.
fn version_is_the_crates() -> Result<()> {
    let manifest = fs::read_to_string(template().join("package.json"))?;
    let version = concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\"");
    if !manifest.contains(version) {
        bail!("pkg-template/package.json does not say {version}, which is the version of the Cargo workspace");
    }
    Ok(())
}

/// Three passes: everything with the DOM library, which writes the files; the Cloudflare entry with the types of its
/// runtime, which redeclare that library; the core without either, only as a check.
fn typescript(out: &Path) -> Result<()> {
    say("compiling the TypeScript (seconds)");
    run(npm_tool("typescript/bin/tsc").args(["-p", "pkg-template/tsconfig.json", "--outDir"]).arg(out))?;
    let objects = target().join("package/cloudflare");
    let _ = fs::remove_dir_all(&objects);
    run(npm_tool("typescript/bin/tsc")
        .args(["-p", "pkg-template/tsconfig.cloudflare.json", "--outDir"])
        .arg(&objects))?;
    copy_flat(&objects.join("entry"), &out.join("entry"), |name| name.starts_with("cloudflare."))?;
    copy_tree(&objects.join("entry/cloudflare"), &out.join("entry/cloudflare"))?;
    run(npm_tool("typescript/bin/tsc").args(["-p", "pkg-template/tsconfig.core.json"]))
        .context("the core may use neither the DOM nor Node")
}

/// One self-contained file, for pages without a bundler.
fn bundle(package: &Path) -> Result<()> {
    // The package's dependencies are installed with the tools.
    run(npm_tool("esbuild/bin/esbuild")
        .env("NODE_PATH", toolbox())
        .arg(package.join("entry/bundle.js"))
        .args(["--bundle", "--format=esm", "--platform=browser", "--target=es2022", "--minify"])
        .args(["--legal-comments=none", "--log-level=warning"])
        .arg(format!("--outfile={}", package.join("bundle.js").display())))
}

/// Shared by the entries that open replicas.
const OPENING: &str = "open.js";
/// Shared by all entries.
const SHARED: &[&str] = &[
    "claims.js",
    "duration.js",
    "errors.js",
    "form.js",
    "platform.js",
    "transport/admit.js",
    "transport/channel.js",
    "transport/socket.js",
];

/// What a program may import, what conditions select in place of an import, and two parts that tests import directly;
/// each is a file of its own. The flag says whether the entry opens replicas, or is reached only by those that do.
const ENTRIES: &[(&str, bool)] = &[
    ("index.js", true),
    ("testing.js", true),
    ("entry/browser.js", false),
    ("entry/cloudflare.js", true),
    ("entry/hono.js", false),
    ("entry/http.js", false),
    ("entry/node.js", false),
    ("http/context.js", false),
    ("http/context.browser.js", false),
    ("transport/socket.js", false),
    // Tests import it directly.
    ("wasm/glue.js", true),
];

/// Joins the modules into few files: without a bundler every file costs at least a millisecond, in Node as over a
/// network. Shared parts are in `chunks/`, so that each exists once. Parts that the same entries reach become one
/// chunk, so each entry is made to reach everything that similar entries reach. The module's text is with the code that
/// unpacks it.
fn join(package: &Path) -> Result<()> {
    for (entry, opens) in ENTRIES {
        let (path, up) = (package.join(entry), if entry.contains('/') { "../" } else { "./" });
        let reached = SHARED.iter().chain(opens.then_some(&OPENING));
        let reached: String = reached.map(|part| format!("import \"{up}{part}\";\n")).collect();
        let text = fs::read_to_string(&path)?;
        fs::write(path, reached + &text)?;
    }
    let joined = target().join("package/joined");
    let _ = fs::remove_dir_all(&joined);
    for loader in ["wasm/inline.js", "wasm/node.js"] {
        run(npm_tool("esbuild/bin/esbuild")
            .current_dir(package)
            .args([loader, "--bundle", "--format=esm", "--target=es2022", "--log-level=warning"])
            .arg("--external:./inline.js")
            .arg(format!("--outfile={}", joined.join(loader).display())))?;
    }
    run(npm_tool("esbuild/bin/esbuild")
        .current_dir(package)
        .args(ENTRIES.iter().map(|(entry, _)| entry))
        .args(["--bundle", "--splitting", "--format=esm", "--platform=neutral", "--target=es2022", "--outbase=."])
        .args(["--packages=external", "--external:#wasm", "--external:#context", "--external:cloudflare:*"])
        .args(["--chunk-names=chunks/[hash]", "--legal-comments=none", "--log-level=warning"])
        .arg("--log-override:ignored-bare-import=silent")
        .arg(format!("--outdir={}", joined.display())))?;
    let stays = ["bundle.js", "wasm/workerd.js"].map(|name| package.join(name));
    remove_scripts(package, &stays)?;
    for_each_script(&joined, &|script| {
        // A bare import of a module without side effects, according to the manifest: bundlers warn of it.
        let text = fs::read_to_string(script)?;
        let kept = text.lines().filter(|line| !(line.starts_with("import \".") && line.ends_with(".js\";")));
        Ok(fs::write(script, kept.flat_map(|line| [line, "\n"]).collect::<String>())?)
    })?;
    terse(&joined, package)
}

/// Minifies whitespace and comments, which engines read, too: a twentieth of the first operation. Names stay, so that
/// stack traces are readable, and lines are short except for the module's text.
fn terse(from: &Path, to: &Path) -> Result<()> {
    let scripts = RefCell::new(Vec::new());
    for_each_script(from, &|script| {
        let name = script.strip_prefix(from)?;
        if name == Path::new("wasm/inline.js") {
            fs::copy(script, to.join(name))?;
        } else {
            scripts.borrow_mut().push(name.to_path_buf());
        }
        Ok(())
    })?;
    run(npm_tool("esbuild/bin/esbuild")
        .current_dir(from)
        .args(scripts.into_inner())
        .args(["--format=esm", "--target=es2022", "--minify-whitespace", "--line-limit=160", "--outbase=."])
        .args(["--legal-comments=none", "--log-level=warning"])
        .arg(format!("--outdir={}", to.display())))
}

/// Removes the scripts below a directory except those that stay; type declarations always stay.
fn remove_scripts(dir: &Path, stays: &[PathBuf]) -> Result<()> {
    for_each_script(dir, &|script| if stays.contains(&script.into()) { Ok(()) } else { Ok(fs::remove_file(script)?) })
}

fn for_each_script(dir: &Path, what: &dyn Fn(&Path) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            for_each_script(&path, what)?;
        } else if path.extension().is_some_and(|extension| extension == "js") {
            what(&path)?;
        }
    }
    Ok(())
}

fn copy_flat(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && wanted(&entry.file_name().to_string_lossy()) {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Copies a directory with everything below it, but for what npm has installed there.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == "node_modules" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
