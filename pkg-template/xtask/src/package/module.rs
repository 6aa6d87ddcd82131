//! The wasm module: compiled, bound, optimised, and free of every path of the machine that built it.

use super::glue;
use super::order::ordered;
use super::reach::Reach;
use crate::fingerprint::{self, Fingerprint};
use crate::layout::{root, target, template};
use crate::process::{command, npm_tool, output, run, say};
use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasm_bindgen_cli_support::Bindgen;

/// The stack, in bytes: the linker's default of 1 MiB was seven eighths of an empty replica's memory. A stack that overflows
/// traps, because it lies below everything else.
const STACK: usize = 128 << 10;

/// Name of the module and of everything that wasm-bindgen makes of it.
const NAME: &str = "edge_session";

/// A function that is called from one place stays a function: engines compile what is hot anew, and for few large functions
/// that takes them several times as long as for the small ones that are really hot. The module is 2 % smaller, too.
const ONCE_CALLED: &str = "--one-caller-inline-max-function-size=20";

/// No address that is read or written lies below 1,024 but in a stack that is about to overflow, so that what is added to an address
/// can be part of the instruction that uses it.
const NOTHING_BELOW: &str = "--low-memory-unused";

/// The standard library is compiled with the crate, so that a panic is one instruction that traps: its texts, the places in
/// the sources that they name, and what formats them are in no module (a thirtieth of its size). The compiler is the one of all other
/// builds, told that it may do so; an instance that has trapped is never called again (`REPLICA_CRASHED`).
const WITHOUT_PANICS: &[&str] = &["-Zbuild-std=std,panic_abort"];

/// How an address is aligned is a hint, of which processors and engines of today make nothing: that there is none weighs less (0.4 %).
const NO_HINTS: &str = "--dealign";

/// What rustc 1.95 enables for wasm32 and wasm-bindgen adds; every engine that we name has all of it.
const FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// Fills `out` with `edge_session.wasm`, `glue.js`, `base64.js` and `whole.js`, and `pkg-template/src/wasm` with the types of the
/// bindings. Returns a fingerprint of the module's inputs.
pub(super) fn build(out: &Path) -> Result<String> {
    let compiled = compile()?;
    let types = template().join("src/wasm/bindings.d.ts");
    let inputs = Fingerprint::of_this_tool()?.path(&compiled)?.path(&root().join("tests/package-lock.json"))?.finish();
    let stamp = target().join("package/module.stamp");
    if out.is_dir() && types.is_file() && fingerprint::matches(&stamp, &inputs) {
        return Ok(inputs);
    }
    say("binding and optimising the module (seconds)");
    let _ = fs::remove_file(&stamp);
    let _ = fs::remove_dir_all(out);
    fs::create_dir_all(out)?;

    // Two outputs of one module: the script to wrap, and types written as a module's exports.
    let script = bind(&compiled, "script", |b| b.no_modules(true))?;
    let typed = bind(&compiled, "typed", |b| b.web(true))?;
    let text = fs::read_to_string(script.join(format!("{NAME}.js")))?;
    let (reached, reach) = Reach::make(&fs::read(script.join(format!("{NAME}_bg.wasm")))?, &text)?;
    fs::write(script.join(format!("{NAME}_reached.wasm")), reached)?;
    fs::write(out.join("glue.js"), glue::factory(&text, &reach)?)?;
    fs::write(types, glue::types(&fs::read_to_string(typed.join(format!("{NAME}.d.ts")))?)?)?;

    let wasm = out.join(format!("{NAME}.wasm"));
    optimise(&script.join(format!("{NAME}_reached.wasm")), &wasm)?;
    let bytes = ordered(&fs::read(&wasm)?)?;
    names_no_path(&bytes)?;
    let (bytes, name) = named(bytes);
    fs::write(&wasm, &bytes)?;
    let text = base64::engine::general_purpose::STANDARD.encode(packed(&bytes)?);
    fs::write(
        out.join("base64.js"),
        format!("// The bytes of {NAME}.wasm, gzipped; generated.\nexport default \"{text}\";\n"),
    )?;
    fs::write(
        out.join("whole.js"),
        format!("// By which node.js knows {NAME}.wasm; generated.\nexport default \"{name}\";\n"),
    )?;
    fs::write(stamp, &inputs)?;
    Ok(inputs)
}

/// The module with a section behind all others that ends with a hash of them, and that hash: by it node.ts knows a file for the one of
/// its build at no cost. To hash the file there would take a millisecond, and two builds of one length may differ in a single constant.
fn named(mut bytes: Vec<u8>) -> (Vec<u8>, String) {
    let name = Fingerprint::default().value(&bytes).finish();
    // Of custom sections the number, the length, and the length of what they are called.
    bytes.extend([0, 19, 2]);
    bytes.extend(b"id");
    bytes.extend(name.bytes());
    (bytes, name)
}

/// The bytes as gzip, found with patience: what every page loads is a twentieth shorter than by gzip's own best effort.
fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut packed)?;
    Ok(packed)
}

/// Compiles the crate in a build directory of its own: its flags differ from every other build's, and sharing one
/// would rebuild all dependencies at every change of command.
fn compile() -> Result<PathBuf> {
    say("compiling the crate for wasm32 (a minute or two the first time)");
    run(&mut cargo()?)?;
    Ok(target().join(format!("wasm/wasm32-unknown-unknown/release/{NAME}.wasm")))
}

/// Optimises a module for size.
fn optimise(module: &Path, out: &Path) -> Result<()> {
    run(npm_tool("binaryen/bin/wasm-opt")
        .args(FEATURES)
        .args(["-Oz", "--strip-debug", "--strip-producers", ONCE_CALLED, NOTHING_BELOW, NO_HINTS])
        .arg(module)
        .arg("-o")
        .arg(out))
}

/// The benchmark's own module around the core's vectors, compiled and optimised as the package's: without that each allocation is
/// three calls more.
pub(crate) fn of_bench() -> Result<PathBuf> {
    say("compiling the module of the benchmark (seconds)");
    run(&mut build_of("edge-session-bench")?)?;
    let compiled = target().join("wasm/wasm32-unknown-unknown/release/edge_session_bench.wasm");
    let out = target().join("package/edge_session_bench.wasm");
    optimise(&compiled, &out)?;
    Ok(out)
}

/// The build of the module.
fn cargo() -> Result<Command> {
    build_of("edge-session")
}

fn build_of(package: &str) -> Result<Command> {
    let mut cargo = command("cargo");
    cargo
        .args(["build", "--release", "--package", package, "--lib", "--target", "wasm32-unknown-unknown"])
        .args(["--target-dir".as_ref(), target().join("wasm").as_os_str()])
        .args(WITHOUT_PANICS)
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            [flags()?, vec![format!("-Clink-arg=-zstack-size={STACK}")]].concat().join("\x1f"),
        );
    Ok(cargo)
}

/// The compiler refuses a module in which a test could switch a check off.
pub(crate) fn refuses_mutants() -> Result<()> {
    let tried = cargo()?.args(["--features", "mutants"]).output()?;
    let said = String::from_utf8_lossy(&tried.stderr);
    ensure!(!tried.status.success() && said.contains("the feature `mutants` is for native tests"), "{said}");
    Ok(())
}

/// What the module is compiled with. Whatever names a source names it alike on every machine.
fn flags() -> Result<Vec<String>> {
    let mut flags = vec![
        "-Zunstable-options".into(),
        "-Cpanic=immediate-abort".into(),
        // SHA-256 of a token takes two thirds of the time with it.
        "-Ctarget-feature=+simd128".into(),
        // A third of what opt-level 2 asks for: at 50 the module is 1.5 % smaller, and to append a few bytes is a call, so that a
        // vector takes twice the time to encode; at 225 it is a twelfth larger.
        "-Cllvm-args=--inline-threshold=75".into(),
        format!("--remap-path-prefix={}=edge-session", root().display()),
        format!("--remap-path-prefix={}=rust", sysroot()?.display()),
    ];
    if let Some(home) = cargo_home() {
        let sources = home.join("registry/src");
        flags.push(format!("--remap-path-prefix={}=deps", home.display()));
        // Each registry has a directory, named by its host.
        if sources.is_dir() {
            for registry in fs::read_dir(sources)? {
                flags.push(format!("--remap-path-prefix={}=deps", registry?.path().display()));
            }
        }
    }
    Ok(flags)
}

fn sysroot() -> Result<PathBuf> {
    Ok(PathBuf::from(output(command("rustc").args(["--print", "sysroot"]))?.trim()))
}

fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cargo")))
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home != Path::new("/"))
}

fn bind(wasm: &Path, name: &str, mode: fn(&mut Bindgen) -> Result<&mut Bindgen>) -> Result<PathBuf> {
    let dir = target().join("package/bindgen").join(name);
    let _ = fs::remove_dir_all(&dir);
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name(NAME).typescript(true).remove_name_section(true).remove_producers_section(true);
    mode(&mut bindgen)?.generate(&dir).context("wasm-bindgen")?;
    Ok(dir)
}

/// Holds the module to what the flags above promise: no path of this machine, and no source, as every panic names one.
fn names_no_path(module: &[u8]) -> Result<()> {
    let mut forbidden = vec![root(), target(), sysroot()?, PathBuf::from("xtask"), PathBuf::from("src/")];
    forbidden.extend(cargo_home().into_iter().chain(home()));
    for path in forbidden {
        let path = path.to_string_lossy();
        if module.windows(path.len()).any(|part| part == path.as_bytes()) {
            bail!("the module contains the text {path}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_ends_with_a_name_that_no_other_has() -> Result<()> {
        let empty = walrus::Module::default().emit_wasm();
        let (bytes, name) = named(empty.clone());
        assert!(bytes.ends_with(name.as_bytes()));
        let read = walrus::Module::from_buffer(&bytes)?;
        assert_eq!(read.customs.iter().map(|(_, section)| section.name()).collect::<Vec<_>>(), ["id"]);
        for at in 0..empty.len() {
            let mut other = empty.clone();
            other.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
            assert_ne!(named(other).1, name);
        }
        Ok(())
    }
}
