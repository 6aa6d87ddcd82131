//! The wasm module: compiled, bound and optimised, without any path of the machine that built it.

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

/// The stack in bytes. The linker's default of 1 MiB was seven eighths of an empty replica's memory. A stack overflow
/// traps, because the stack lies below everything else.
const STACK: usize = 128 << 10;

/// The name of the module, and of everything that wasm-bindgen makes of it.
const NAME: &str = "edge_session";

/// Functions with one caller are not inlined. Engines recompile what is hot, and that takes several times as long for a
/// few large functions as for the small ones that are really hot. The module is also 2 % smaller.
const ONCE_CALLED: &str = "--one-caller-inline-max-function-size=20";

/// Addresses below 1,024 are accessed only by a stack that is about to overflow, so an offset can be folded into the
/// instruction that uses the address.
const NOTHING_BELOW: &str = "--low-memory-unused";

/// The standard library is compiled with the crate, so that a panic is a single trapping instruction, without messages,
/// source locations and formatting code (a thirtieth of the size). It uses the compiler of all other builds, with
/// unstable features allowed. An instance that has trapped is never called again (`REPLICA_CRASHED`).
const WITHOUT_PANICS: &[&str] = &["-Zbuild-std=std,panic_abort"];

/// Drops alignment hints, which today's processors and engines ignore (0.4 % of the size).
const NO_HINTS: &str = "--dealign";

/// What rustc 1.95 enables for wasm32, and what wasm-bindgen adds; every supported engine has all of it.
const FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// Fills `out` with `edge_session.wasm`, `glue.js`, `base64.js` and `whole.js`, and `pkg-template/src/wasm` with the
/// types of the bindings. Returns a fingerprint of the module's inputs.
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

    // Two outputs of one module: the script to wrap, and types in the form of a module's exports.
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

/// Appends a custom section that ends with a hash of the module; returns both. node.ts compares these last bytes to
/// find out whether a file belongs to its build. Hashing the file there would take a millisecond, and the length alone
/// is not enough: two builds may differ in a single constant.
fn named(mut bytes: Vec<u8>) -> (Vec<u8>, String) {
    let name = Fingerprint::default().value(&bytes).finish();
    // The header of a custom section: its id, its length, and the length of its name.
    bytes.extend([0, 19, 2]);
    bytes.extend(b"id");
    bytes.extend(name.bytes());
    (bytes, name)
}

/// The bytes as gzip, by an exhaustive search: a twentieth shorter than gzip's own best level. Every page loads them.
fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut packed)?;
    Ok(packed)
}

/// Compiles the crate in a build directory of its own: its flags differ from those of every other build, and sharing
/// one would rebuild all dependencies at every change of command.
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

/// The benchmark's module around the core's vectors, compiled and optimised like the package's; otherwise each
/// allocation would take three more calls.
pub(crate) fn of_bench() -> Result<PathBuf> {
    say("compiling the module of the benchmark (seconds)");
    run(&mut build_of("edge-session-bench")?)?;
    let compiled = target().join("wasm/wasm32-unknown-unknown/release/edge_session_bench.wasm");
    let out = target().join("package/edge_session_bench.wasm");
    optimise(&compiled, &out)?;
    Ok(out)
}

/// The Cargo command that builds the module.
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

/// Checks that the compiler refuses a module in which tests could switch off checks.
pub(crate) fn refuses_mutants() -> Result<()> {
    let tried = cargo()?.args(["--features", "mutants"]).output()?;
    let said = String::from_utf8_lossy(&tried.stderr);
    ensure!(!tried.status.success() && said.contains("the feature `mutants` is for native tests"), "{said}");
    Ok(())
}

/// The compiler flags of the module. Source paths are remapped to the same names on every machine.
fn flags() -> Result<Vec<String>> {
    let mut flags = vec![
        "-Zunstable-options".into(),
        "-Cpanic=immediate-abort".into(),
        // With it, the SHA-256 of a token takes two thirds of the time.
        "-Ctarget-feature=+simd128".into(),
        // A third of what opt-level 2 uses. At 50 the module is 1.5 % smaller, but appending a few bytes becomes a
        // call, which doubles the time to encode a vector; at 225 it is a twelfth larger.
        "-Cllvm-args=--inline-threshold=75".into(),
        format!("--remap-path-prefix={}=edge-session", root().display()),
        format!("--remap-path-prefix={}=rust", sysroot()?.display()),
    ];
    if let Some(home) = cargo_home() {
        let sources = home.join("registry/src");
        flags.push(format!("--remap-path-prefix={}=deps", home.display()));
        // Each registry has a directory, named after its host.
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

/// Checks what the flags above promise: no path of this machine, and no source name, which every panic message would
/// have.
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
