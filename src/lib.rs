//! A replicated key-value store with the four session guarantees.
#![no_std]
extern crate alloc;
// `no_std` keeps `std::` unnameable; linking it gives `cargo test` an allocator and a panic handler.
extern crate std as _;

#[cfg(target_arch = "wasm32")]
mod wasm;
