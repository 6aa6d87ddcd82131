//! What every byte from outside must not do, as one function a target: the fuzzers and the property tests call them.
//!
//! Each takes any bytes and panics when a promise is broken: an error that changed something, an answer that cannot be
//! read again, a law that does not hold. Knows only the public API.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

pub mod delta;
pub mod host;
pub mod message;
pub mod snapshot;
pub mod token;
pub mod vector;

/// The body of a target.
pub type Run = fn(&[u8]);

/// Each target's name and its body.
pub const TARGETS: [(&str, Run); 5] = [
    ("message", message::run),
    ("delta", delta::run),
    ("snapshot", snapshot::run),
    ("vector", vector::run),
    ("token", token::run),
];
