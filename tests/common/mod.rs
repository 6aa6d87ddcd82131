//! What the Rust tests have in common: hosts around replicas, and networks around hosts.
//!
//! Invariant: nothing here reads a clock or draws randomness; a test that fails fails again. Knows only the public API.
#![allow(
    dead_code,
    unreachable_pub,
    unreachable_patterns,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]

pub mod host;
pub mod net;

use std::fmt::Debug;

use edge_session::error::{Details, ErrorCode, SessionError};
use edge_session::io::{Item, Operation};
use edge_session::replica::Config;
use edge_session::store::Mutation;
use edge_session::store::entry::Content;

/// When every test begins, in milliseconds since 1970.
pub const START: u64 = 1_790_000_000_000;

/// The key of the cluster.
pub const KEY: [u8; 32] = [7; 32];

/// A replica without a key and without storage: a tab. Its seed follows from its label.
pub fn tab(label: &str) -> Config {
    let mut seed = [0; 32];
    seed[..label.len()].copy_from_slice(label.as_bytes());
    Config { label: label.into(), seed, ..Config::default() }
}

/// A replica that holds the cluster's key: an edge.
pub fn edge(label: &str) -> Config {
    Config { keys: vec![("k1".into(), KEY.to_vec())], ..tab(label) }
}

/// The same replica with a storage, which confirms only when the test says so.
pub fn stored(config: Config) -> Config {
    Config { storage: true, ..config }
}

/// A plain string as a value.
pub fn text(value: &str) -> Content {
    Content::Text(value.into())
}

/// The string of a value that is one.
pub fn string(content: &Content) -> String {
    match content {
        Content::Text(text) | Content::Json(text) => text.to_string(),
        Content::Tombstone | Content::Bytes(_) => panic!("{content:?} is no string"),
    }
}

/// Keys and their strings.
pub fn strings(items: &[Item]) -> Vec<(String, String)> {
    items.iter().map(|item| (item.key.to_string(), string(&item.content))).collect()
}

/// One key's new string.
pub fn put(key: &str, value: &str) -> Mutation {
    Mutation { key: key.into(), content: text(value), expires_at: None }
}

/// One key's deletion.
pub fn erase(key: &str) -> Mutation {
    Mutation { key: key.into(), content: Content::Tombstone, expires_at: None }
}

/// A batch without conditions.
pub fn batch(mutations: impl IntoIterator<Item = Mutation>) -> Operation {
    Operation::Write { batch: mutations.into_iter().collect(), checks: Vec::new() }
}

/// The code of what must be an error.
pub fn code<T: Debug>(result: Result<T, SessionError>) -> ErrorCode {
    result.unwrap_err().code()
}

/// What an error says is missing, as `label: have → need`.
pub fn missing(error: &SessionError) -> Vec<String> {
    let Details::Missing(missing) = error.details() else { panic!("{error} does not tell what is missing") };
    missing.iter().map(|m| format!("{}: {} → {}", m.gap.replica.label(), m.gap.have, m.gap.need)).collect()
}
