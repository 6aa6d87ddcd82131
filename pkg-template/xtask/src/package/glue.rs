//! wasm-bindgen's script, made a factory.
//!
//! The script holds one instance in module-level variables. Every replica needs an instance of its own, whose memory
//! and whose crash are nobody else's, so the script's body becomes the body of a function: each call is a fresh
//! closure over a fresh instance (0.1 ms). The script's loaders are cut away; loading is `#wasm`'s matter.
//!
//! The generator is pinned to one version and the cuts are made at exact lines of its output: where one is missing,
//! the build stops.

use anyhow::{Context, Result, ensure};

const HEAD: &str = "let wasm_bindgen = (function(exports) {\n";
const SCRIPT_SOURCE: &str = "    let script_src;\n    if (typeof document !== 'undefined' && document.currentScript !== null) {\n        script_src = new URL(document.currentScript.src, location.href).toString();\n    }\n";
const LOADERS: &str = "    async function __wbg_load(";
const START: &str =
    "    __wbg_finalize_init(new WebAssembly.Instance(module, __wbg_get_imports()), module);\n    return exports;\n";

/// `glue.js`: an ES module that exports `instantiate(module)`.
pub(super) fn factory(script: &str) -> Result<String> {
    let body = script.strip_prefix(HEAD).context("wasm-bindgen's script does not begin as expected")?;
    let body = body.strip_prefix(SCRIPT_SOURCE).context("wasm-bindgen's script does not ask for its own address")?;
    let (body, loaders) = body.split_once(LOADERS).context("wasm-bindgen's script has no loaders")?;
    ensure!(loaders.contains("function initSync("), "wasm-bindgen's script has its loaders elsewhere");
    ensure!(!body.contains("script_src"), "the bindings need the address of the script, which a module does not have");
    Ok(format!(
        "// Generated from the bindings. Every call makes an instance of its own, with its own memory.\n\
         export function instantiate(module) {{\n    const exports = {{ __proto__: null }};\n{body}{START}}}\n"
    ))
}

/// `bindings.d.ts`: the types of what `instantiate` returns, without the loaders' (which name the DOM).
pub(super) fn types(declarations: &str) -> Result<String> {
    let (bindings, _) =
        declarations.split_once("export type InitInput").context("wasm-bindgen's types do not end as expected")?;
    let bindings = bindings.replace("/* tslint:disable */\n/* eslint-disable */\n", "");
    Ok(format!(
        "// Generated from the bindings: what `instantiate` returns. Types only; there is no bindings.js.\n{bindings}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_another_shape_stops_the_build() {
        assert!(factory("let wasm_bindgen = (() => {})();").is_err());
        assert!(factory(&format!("{HEAD}{SCRIPT_SOURCE}nothing to load")).is_err());
        assert!(factory(&format!("{HEAD}{SCRIPT_SOURCE}use(script_src);{LOADERS}) {{}} function initSync(")).is_err());
        assert!(types("export function f(): void;").is_err());
    }

    #[test]
    fn the_loaders_are_cut_and_the_body_is_kept() -> Result<()> {
        let script =
            format!("{HEAD}{SCRIPT_SOURCE}    let kept;\n{LOADERS}) {{ fetch() }}\n function initSync(m) {{}}");
        let glue = factory(&script)?;
        assert!(glue.contains("let kept;") && glue.contains("export function instantiate(module)"));
        assert!(!glue.contains("fetch") && !glue.contains("document"));
        Ok(())
    }
}
