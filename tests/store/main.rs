//! The store under one roof: versions and checks, siblings, expiry, listing, and limits that leave no mess.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

#[path = "../common/mod.rs"]
mod common;

mod ends;
mod limits;
mod listing;
mod order;
mod siblings;
mod texts;
mod versions;
