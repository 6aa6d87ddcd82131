//! Turns wasm-bindgen's script into a factory.
//!
//! The script keeps one instance in module-level variables. Every replica needs an instance of its own, so that memory
//! and crashes are not shared. So the script's body becomes the body of a function, and each call makes a new closure
//! over a new instance (0.1 ms). The script's loaders are removed; `#wasm` loads the module.
//!
//! The generator is pinned to one version, and the edits are made at exact lines of its output; if one is missing, the
//! build fails.

use super::reach::Reach;
use anyhow::{Context, Result, ensure};

const HEAD: &str = "let wasm_bindgen = (function(exports) {\n";
const SCRIPT_SOURCE: &str = "    let script_src;\n    if (typeof document !== 'undefined' && document.currentScript !== null) {\n        script_src = new URL(document.currentScript.src, location.href).toString();\n    }\n";
const LOADERS: &str = "    async function __wbg_load(";
const START: &str =
    "    __wbg_finalize_init(new WebAssembly.Instance(module, __wbg_get_imports()), module);\n    return exports;\n";

/// Improvements of wasm-bindgen's output: from, to.
const BETTER: &[(&str, &str)] = &[
    // Copying one character at a time costs 1.6 ns each; beyond some hundred a call of the engine is faster everywhere.
    // If the previous text was not ASCII, the worst case is reserved at once, because an engine with less room counts
    // first and writes more carefully.
    (
        "        let len = arg.length;\n        let ptr = malloc(len, 1) >>> 0;\n\n        const mem = getUint8ArrayMemory0();\n\n        let offset = 0;\n\n        for (; offset < len; offset++) {\n            const code = arg.charCodeAt(offset);\n            if (code > 0x7F) break;\n            mem[ptr + offset] = code;\n        }\n        if (offset !== len) {\n            if (offset !== 0) {\n                arg = arg.slice(offset);\n            }\n",
        "        let len = arg.length;\n        if (len > 96 && wide) {\n            const ptr = malloc(3 * len, 1) >>> 0;\n            const { written } = cachedTextEncoder.encodeInto(arg, getUint8ArrayMemory0().subarray(ptr, ptr + 3 * len));\n            wide = written > len;\n            WASM_VECTOR_LEN = written;\n            return realloc(ptr, 3 * len, written, 1) >>> 0;\n        }\n        let ptr = malloc(len, 1) >>> 0;\n\n        const mem = getUint8ArrayMemory0();\n\n        let offset = 0, read = 0;\n\n        if (len > 96) {\n            ({ read, written: offset } = cachedTextEncoder.encodeInto(arg, mem.subarray(ptr, ptr + len)));\n            wide = read !== len;\n        } else for (; offset < len; read = ++offset) {\n            const code = arg.charCodeAt(offset);\n            if (code > 0x7F) break;\n            mem[ptr + offset] = code;\n        }\n        if (read !== arg.length) {\n            arg = arg.slice(read);\n",
    ),
    // Node's `Buffer` decodes pages of copies in half (ASCII) or a twentieth (UTF-16) of the time of a `TextDecoder`,
    // which inspects each.
    (
        "    let WASM_VECTOR_LEN = 0;\n",
        "    let WASM_VECTOR_LEN = 0;\n    let wide = false;\n    const { latin1Slice, ucs2Slice } = globalThis.Buffer?.prototype ?? {};\n    let unitsDecoder;\n    const unitsText = (bytes) => ucs2Slice?.call(bytes, 0, bytes.length) ?? (unitsDecoder ??= new TextDecoder('utf-16le', { ignoreBOM: true })).decode(bytes);\n    const Unset = typeof globalThis.Buffer?.allocUnsafeSlow === 'function' ? globalThis.Buffer : undefined;\n",
    ),
    // Memory that is about to be overwritten completely need not be zeroed: a seventh of the time to write out a store.
    (
        "                const ret = new Uint8Array(arg0 >>> 0);\n                return ret;\n",
        "                if (Unset === undefined) return new Uint8Array(arg0 >>> 0);\n                const { buffer, byteOffset, length } = Unset.allocUnsafeSlow(arg0 >>> 0);\n                return new Uint8Array(buffer, byteOffset, length);\n",
    ),
    // Without an intermediate view; and a literal array is made in a tenth of the time.
    (
        "const ret = asciiText(getArrayU8FromWasm0(arg0, arg1));",
        "const ret = latin1Slice === undefined ? getStringFromWasm0(arg0, arg1) : latin1Slice.call(getUint8ArrayMemory0(), arg0 >>> 0, (arg0 >>> 0) + arg1);",
    ),
    ("const ret = Array.of(arg0, arg1, arg2, arg3);", "const ret = [arg0, arg1, arg2, arg3];"),
    // The message is copied where it is handed over: a view, an array and a call for that took a twentieth of an
    // answer.
    (
        "arg0.transmit(arg1 >>> 0, getArrayU8FromWasm0(arg2, arg3));",
        "arg0.transmit(arg1 >>> 0, getUint8ArrayMemory0().slice(arg2 >>> 0, (arg2 >>> 0) + arg3));",
    ),
    // A token is ASCII, which Node turns into a string in half the time if it need not check.
    (
        "                const ret = wasm.session_token(this.__wbg_ptr, now);\n                var ptr1 = ret[0];\n                var len1 = ret[1];\n                if (ret[3]) {\n                    ptr1 = 0; len1 = 0;\n                    throw takeFromExternrefTable0(ret[2]);\n                }\n                deferred2_0 = ptr1;\n                deferred2_1 = len1;\n                return getStringFromWasm0(ptr1, len1);\n",
        "                const ret = wasm.session_token(this.__wbg_ptr, now);\n                var ptr1 = ret[0];\n                var len1 = ret[1];\n                if (ret[3]) {\n                    ptr1 = 0; len1 = 0;\n                    throw takeFromExternrefTable0(ret[2]);\n                }\n                deferred2_0 = ptr1;\n                deferred2_1 = len1;\n                if (latin1Slice === undefined) return getStringFromWasm0(ptr1, len1);\n                return latin1Slice.call(getUint8ArrayMemory0(), ptr1 >>> 0, (ptr1 >>> 0) + len1);\n",
    ),
    // The package releases its sessions itself, and after a trap nothing may call the instance.
    (
        "    const SessionFinalization = (typeof FinalizationRegistry === 'undefined')\n        ? { register: () => {}, unregister: () => {} }\n        : new FinalizationRegistry(ptr => wasm.__wbg_session_free(ptr, 1));\n",
        "    const SessionFinalization = { register: () => {}, unregister: () => {} };\n",
    ),
    ("        wasm = instance.exports;\n", "        wasm = reach(instance.exports);\n"),
];

/// `glue.js`: an ES module that exports `instantiate(module)`.
pub(super) fn factory(script: &str, reach: &Reach) -> Result<String> {
    let body = script.strip_prefix(HEAD).context("wasm-bindgen's script does not begin as expected")?;
    let body = body.strip_prefix(SCRIPT_SOURCE).context("wasm-bindgen's script does not ask for its own address")?;
    let (body, loaders) = body.split_once(LOADERS).context("wasm-bindgen's script has no loaders")?;
    ensure!(loaders.contains("function initSync("), "wasm-bindgen's script has its loaders elsewhere");
    let mut body = String::from(body);
    for (from, to) in BETTER {
        ensure!(body.matches(from).count() == 1, "wasm-bindgen's script does not say once:\n{from}");
        body = body.replace(from, to);
    }
    let table = reach.script(&body);
    body = reach.applied(body)?;
    ensure!(!body.contains("script_src"), "the bindings need the address of the script, which a module does not have");
    Ok(format!(
        "// Generated from the bindings. Every call makes an instance of its own, with its own memory.\n\
         export function instantiate(module) {{\n    const exports = {{ __proto__: null }};\n{body}{START}}}\n{table}"
    ))
}

/// `bindings.d.ts`: the types of what `instantiate` returns, without those of the loaders (which name the DOM).
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
        let factory = |script: &str| factory(script, &Reach::default()).is_err();
        assert!(factory("let wasm_bindgen = (() => {})();"));
        assert!(factory(&format!("{HEAD}{SCRIPT_SOURCE}nothing to load")));
        assert!(factory(&format!("{HEAD}{SCRIPT_SOURCE}use(script_src);{LOADERS}) {{}} function initSync(")));
        assert!(types("export function f(): void;").is_err());
    }

    #[test]
    fn the_loaders_are_cut_and_the_body_is_kept() -> Result<()> {
        let better: String = BETTER.iter().map(|(from, _)| *from).collect();
        let script =
            format!("{HEAD}{SCRIPT_SOURCE}    let kept;\n{better}{LOADERS}) {{ fetch() }}\n function initSync(m) {{}}");
        let glue = factory(&script, &Reach::default())?;
        assert!(glue.contains("let kept;") && glue.contains("export function instantiate(module)"));
        assert!(!glue.contains("fetch") && !glue.contains("document"));
        Ok(())
    }
}
