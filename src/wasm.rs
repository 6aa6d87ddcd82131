//! The binding.
use wasm_bindgen::prelude::*;

/// The version of this package.
#[wasm_bindgen]
#[must_use]
pub fn version() -> alloc::string::String {
    alloc::string::String::from(env!("CARGO_PKG_VERSION"))
}
