//! A replicated key-value store with the four session guarantees and mergeable session tokens.
#![no_std]
extern crate alloc;
// `no_std` keeps `std::` unnameable; linking it gives `cargo test` an allocator and a panic handler.
extern crate std as _;

pub mod codec;
pub mod entropy;
pub mod error;
pub mod guarantee;
pub mod id;
pub mod io;
pub mod replica;
pub mod session;
pub mod store;
pub mod sync;
pub mod time;
pub mod vector;

#[cfg(target_arch = "wasm32")]
pub mod wasm;
