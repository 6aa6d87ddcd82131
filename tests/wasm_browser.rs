//! The suite of `wasm.rs` once more, in a browser: wasm-bindgen's runner leaves out what is not marked so when
//! wasm-pack asks for Chrome. Hence `wasm.rs` chooses no place to run, and names nothing by `crate::`.
#![cfg(target_arch = "wasm32")]

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

#[path = "wasm.rs"]
mod suite;
