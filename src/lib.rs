//! A replicated key-value store with the four session guarantees and mergeable session tokens.
//!
//! A user's requests land on whichever edge worker is near and in whichever tab is open. Each of these is a replica,
//! and each knows a little more or less than the previous one. This crate keeps them replicas of one store that never
//! shows a session an older state than it has already seen, and that names what is missing when it cannot answer.
//!
//! Read the modules in this order:
//!
//! | | modules |
//! |---|---|
//! | nouns | [`id`], [`identity`], [`time`], [`vector`], [`guarantee`], [`error`], [`codec`], [`entropy`], [`mutant`] |
//! | store | [`store`]: what a replica holds; knows vectors, not sessions |
//! | session | [`session`]: what a user depends on, and tokens; knows vectors, not the store |
//! | sync | [`sync`]: anti-entropy with one peer |
//! | service | [`service`]: roles, and the statements that need them |
//! | edge | [`io`], [`replica`]: the state machine that composes them, inputs in, effects out |
//! | binding | `wasm`: JavaScript's handles |
//! | documents | [`docs`]: architecture, guarantees, protocol, storage, glossary |
#![no_std]
extern crate alloc;
// `no_std` keeps `std::` unnameable; linking it gives `cargo test` an allocator and a panic handler.
extern crate std as _;

pub mod codec;
pub mod docs;
pub mod entropy;
pub mod error;
pub mod guarantee;
pub mod id;
pub mod identity;
pub mod io;
pub mod mutant;
pub mod replica;
pub mod service;
pub mod session;
pub mod store;
pub mod sync;
pub mod time;
pub mod vector;

#[cfg(target_arch = "wasm32")]
pub mod wasm;
