//! The package: it builds, npm packs and installs it, the linters of packages and the compiler accept it.

use super::tally::Tally;
use crate::layout::{self, package};
use crate::process::{command, npm_tool, output, run, stream};
use crate::{consumer, package as builder};
use anyhow::{Result, bail, ensure};
use std::fs;
use std::path::Path;

pub(super) fn builds() -> Result<Tally> {
    let mut tally = Tally::default();
    tally.check("cargo xtask build", builder::command(&[]));
    Ok(tally)
}

pub(super) fn checks() -> Result<Tally> {
    let project = consumer::install()?;
    let mut tally = Tally::default();
    tally.check("the packed package installs into an empty project", the_package_and_what_it_names(&project));
    tally.check("it holds what npm users need and nothing else", contents(&project.join("node_modules/edge-session")));
    tally.check("the module has no switch that turns a check off", no_switch(&project));
    tally.check("publint --strict", run(npm_tool("publint/src/cli.js").arg("--strict").arg(package())));
    let attw = &mut npm_tool("@arethetypeswrong/cli/dist/index.js");
    tally.check("attw", run(attw.arg(consumer::tarball()).args(["--profile", "esm-only", "--no-emoji", "--no-color"])));
    tally.check("importing any of its entries starts nothing", import_is_idle(&project));
    tally.check("its types compile without the DOM library", types_without_dom(&project));
    tally.check("on workerd the module is imported and not inlined", workerd_imports_the_module(&project));
    Ok(tally)
}

fn the_package_and_what_it_names(project: &Path) -> Result<()> {
    let mut installed: Vec<_> = fs::read_dir(project.join("node_modules"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    installed.sort();
    let expected = ["edge-session", "event-target-polyfill", "idb", "partysocket", "ws"];
    ensure!(installed == expected, "installed: {installed:?}, expected: {expected:?}");
    Ok(())
}

fn contents(installed: &Path) -> Result<()> {
    for name in ["index.js", "index.d.ts", "bundle.js", "wasm/edge_session.wasm", "LICENSE-MIT", "LICENSE-APACHE"] {
        ensure!(installed.join(name).is_file(), "{name} is missing");
    }
    let licences = fs::read_to_string(installed.join(builder::notices::FILE))?;
    for name in ["the Rust standard library", "sha2 v", "wasm-bindgen v", "idb", "partysocket"] {
        ensure!(licences.contains(&format!("\n{name}")), "{} does not name {name}", builder::notices::FILE);
    }
    ensure!(!licences.contains("edge-session v"), "{} names the package itself", builder::notices::FILE);
    let mut open = vec![installed.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.strip_prefix(installed)?.to_string_lossy().into_owned();
            let source = name.ends_with(".ts") && !name.ends_with(".d.ts") && !name.contains(".d.");
            if source || name.contains("xtask") || name.contains("node_modules") {
                bail!("{name} does not belong into the package");
            }
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    Ok(())
}

/// The names that the switches have in native tests are not in the module, and the compiler refuses the feature for it.
fn no_switch(project: &Path) -> Result<()> {
    let module = fs::read(project.join("node_modules/edge-session/wasm/edge_session.wasm"))?;
    let holds = |text: &str| module.windows(text.len()).any(|part| part == text.as_bytes());
    ensure!(holds("STALE_REPLICA"), "the search finds nothing at all");
    let source = fs::read_to_string(layout::root().join("src/mutant.rs"))?;
    let names: Vec<&str> = source.split('"').filter(|text| text.starts_with("no-") && !text.contains(' ')).collect();
    ensure!(names.len() > 10, "the names of the switches are not found in src/mutant.rs: {names:?}");
    if let Some(name) = names.iter().find(|name| holds(name)) {
        bail!("the module contains {name}");
    }
    builder::module::refuses_mutants()
}

/// An import that left a timer, a socket or a worker behind would keep the process alive, or show in these lists. Every
/// entry is held to it, but for the one that only workerd can import.
fn import_is_idle(project: &Path) -> Result<()> {
    const SCRIPT: &str = "import { readFileSync } from 'node:fs';
        let compiled = 0;
        const compile = WebAssembly.compile;
        WebAssembly.compile = (...args) => { compiled++; return compile(...args); };
        const { exports } = JSON.parse(readFileSync('node_modules/edge-session/package.json'));
        const entries = Object.keys(exports).filter((entry) => !['./package.json', './cloudflare'].includes(entry));
        for (const entry of entries) {
          const before = Object.keys(globalThis).length;
          await import('edge-session' + entry.slice(1));
          const left = [compiled, process.getActiveResourcesInfo().filter(r => r === 'Timeout').length, Object.keys(globalThis).length - before];
          if (String(left) !== '0,0,0') console.log(`${entry}: compilations, timers, new globals: ${left}`);
        }
        if (entries.length < 2) console.log(`too few entries: ${entries}`);";
    let said = output(command("node").current_dir(project).args(["--input-type=module", "--eval", SCRIPT]))?;
    ensure!(said.trim().is_empty(), "{}", said.trim());
    Ok(())
}

/// What a worker's or a server's project has: no DOM library, and declarations checked like the project's own files.
fn types_without_dom(project: &Path) -> Result<()> {
    fs::write(project.join("without-dom.ts"), "export * from 'edge-session';\nexport * from 'edge-session/http';\n")?;
    run(npm_tool("typescript/bin/tsc")
        .current_dir(project)
        .args([
            "without-dom.ts",
            "--ignoreConfig",
            "--noEmit",
            "--strict",
            "--skipLibCheck",
            "false",
            "--types",
            "node",
        ])
        .args(["--module", "nodenext", "--target", "es2022", "--lib", "es2022,esnext.disposable"]))
}

/// Bundles as a bundler for workerd does, and reads the list of what went in.
fn workerd_imports_the_module(project: &Path) -> Result<()> {
    let (out, list) = (project.join("workerd"), project.join("workerd.json"));
    run(npm_tool("esbuild/bin/esbuild")
        .current_dir(project)
        .args(["node_modules/edge-session/index.js", "--bundle", "--format=esm", "--conditions=workerd"])
        .args(["--loader:.wasm=copy", "--log-level=warning"])
        .arg(format!("--outdir={}", out.display()))
        .arg(format!("--metafile={}", list.display())))?;
    let list = fs::read_to_string(list)?;
    ensure!(list.contains("wasm/edge_session.wasm") && !list.contains("wasm/inline.js"), "{list}");
    Ok(())
}

/// Strict, and with the package's own declarations checked too. Errors that an example expects it says itself
/// (`@ts-expect-error`), and the compiler refuses the expectation when there is none.
const TSCONFIG: &str = r#"{
  "compilerOptions": {
    "target": "ES2022", "module": "NodeNext", "lib": ["ES2022", "ESNext.Disposable", "DOM", "DOM.AsyncIterable"],
    "types": ["node"], "noEmit": true, "strict": true, "skipLibCheck": false, "exactOptionalPropertyTypes": true,
    "noUncheckedIndexedAccess": true, "noUnusedLocals": true, "verbatimModuleSyntax": true
  },
  "include": ["examples"], "exclude": ["examples/cloudflare-*.ts"]
}
"#;

/// The same for workers, whose globals are those of Cloudflare's runtime: the DOM library and Node's types are not there.
const TSCONFIG_WORKERS: &str = r#"{
  "extends": "./tsconfig.json",
  "compilerOptions": { "lib": ["ES2022", "ESNext.Disposable"], "types": ["@cloudflare/workers-types"] },
  "include": ["examples/cloudflare-*.ts"], "exclude": []
}
"#;

pub(super) fn examples() -> Result<Tally> {
    let project = consumer::install()?;
    let examples = consumer::files(&project.join("examples"), ".ts")?;
    if examples.is_empty() {
        bail!("pkg-template/examples has no example");
    }
    let mut tally = Tally::default();
    let mut said = String::new();
    for (config, text) in [("tsconfig.json", TSCONFIG), ("tsconfig.workers.json", TSCONFIG_WORKERS)] {
        fs::write(project.join(config), text)?;
        let shown =
            stream(npm_tool("typescript/bin/tsc").args(["--pretty", "false", "-p", config]).current_dir(&project))?;
        if !shown.success && !shown.text.lines().any(|line| line.starts_with("examples/")) {
            tally.add(&Tally::failure(format!("tsc refuses what the examples of {config} import")));
        }
        said.push_str(&shown.text);
    }
    for example in &examples {
        let name = example.strip_prefix(&project)?.to_string_lossy().into_owned();
        let errors = said.lines().filter(|line| line.starts_with(&format!("{name}("))).count();
        let result = if errors == 0 { Ok(()) } else { Err(anyhow::anyhow!("{errors} errors")) };
        tally.check(&name, result);
    }
    Ok(tally)
}
