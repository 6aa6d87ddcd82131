//! Histories: what clients have asked and were answered, as lines that can be judged without the replicas.
//!
//! A history is a text of JSON lines, each one operation in the order of completion; operations of one session stand in
//! the order in which it made them. It may come from a run of the simulator ([`recorder`]) or from clients of real
//! replicas, who know nothing but the answers of the public API. [`judge`] holds it against the promises; [`foreign`]
//! writes it for other people's checkers.
//!
//! ```text
//! {"op":"open","session":"s2","tokens":["t1"],"guarantees":["read-your-writes"]}
//! ```
//! A session begins, or goes on, with tokens that other lines have named. Every place where a session is in use is a
//! session of its own here: give each handle a new name. `tokens` may be left out, and so may `guarantees`: all four.
//!
//! ```text
//! {"op":"token","session":"s1","token":"t1","lacks":["018bcfe5687b0000.n0~…"]}
//! {"op":"merge","session":"s2","token":"t1"}
//! ```
//! A token was made, or joined. Its name is free. `lacks`: the versions of the session's own writes that were not durable
//! when it was made (`session.token` leaves them out, `sealed()` waits for them); left out if there are none.
//!
//! ```text
//! {"op":"write","session":"s1","node":"n0","keys":{"a":"one","b":null},"version":"018b….n0~…","dot":"n0~…:3","durable":true}
//! ```
//! An atomic write. `keys`: what was written, as any JSON, values unique per key; `null` deletes. `version`: as it was
//! answered (a version is the write's clock and replica, and names it everywhere); left out where no answer came: such a
//! write binds nobody, and whoever reads its value makes it known. `durable`: the answer said that storage has it.
//! `ends`: which of the keys were given a time to live. `checks`: the versions of checked keys. `dot`: the write's dot, if
//! it is known. `node`: any name of the replica. `session` may be left out for a write that belongs to no session.
//!
//! ```text
//! {"op":"read","session":"s1","node":"n1","seen":[{"key":"a","version":"018b….n0~…","value":"one"},{"key":"b","absent":true}]}
//! ```
//! What one operation has read, all at one moment: one key for `get`, `read`, `entry` and a change of `watch`; a `list`
//! names what it listed, and may name keys as absent. `whole`: not the winners alone but every sibling that the versions
//! name was read (`list`, `conflicts`). `stale`: the answer said so of itself. An absent key may have the `version` of what
//! shows nothing, or `"never":true` if the replica had no entry of it. Operations that failed are left out.
//!
//! ```text
//! {"op":"state","node":"n1","keys":{"a":"018b….n0~…"},"vector":{"n0~…":3},"last":true}
//! {"op":"forgets","node":"n1"}
//! ```
//! What a replica holds: each key with its version, deleted keys may be left out; `vector` as `inspect()` tells it, if at
//! hand. `last`: everything had come to rest, so that all such states must agree, and hold every durable write but those of
//! replicas whose storage was lost (`forgets`).
//!
//! `write` and `read` may have `guarantees` of their own. `open` aside, each line may have a `space`; without, it is of the
//! default one. No order is promised between spaces, and none is judged.

pub mod foreign;
pub mod judge;
pub mod recorder;
pub mod register;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One line of a history.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Line {
    /// A session begins or goes on.
    Open(Open),
    /// A token was made.
    Token(Token),
    /// A token was joined.
    Merge(Merge),
    /// Keys were written.
    Write(Write),
    /// Keys were read.
    Read(Read),
    /// What a replica holds.
    State(State),
    /// A replica's storage was lost, wholly or in part.
    Forgets(Forgets),
}

/// A session begins or goes on.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// Its name.
    pub session: String,
    /// What it goes on with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<String>,
    /// What it is promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantees: Option<Vec<String>>,
}

/// A token was made.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Of which session.
    pub session: String,
    /// Its name.
    pub token: String,
    /// The session's writes that it leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
}

/// A token was joined.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// By which session.
    pub session: String,
    /// Its name.
    pub token: String,
}

/// Keys were written.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// By which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// In which space.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub space: String,
    /// The values; `null` is a deletion.
    pub keys: BTreeMap<String, Value>,
    /// As it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dot: Option<String>,
    /// Whether storage was said to have it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub durable: bool,
    /// The keys that end by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<String>,
    /// What was checked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, String>,
    /// Under which promises, if not the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantees: Option<Vec<String>>,
}

/// Keys were read.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// By which session.
    pub session: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// In which space.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub space: String,
    /// What it saw.
    pub seen: Vec<Seen>,
    /// Whether all that the versions name was read.
    #[serde(default, skip_serializing_if = "is_false")]
    pub whole: bool,
    /// Whether the answer said that it is stale.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stale: bool,
    /// Under which promises, if not the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantees: Option<Vec<String>>,
}

/// What was seen of one key.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The key.
    pub key: String,
    /// Which entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Nothing shows.
    #[serde(default, skip_serializing_if = "is_false")]
    pub absent: bool,
    /// Nothing shows, and there was no entry at all.
    #[serde(default, skip_serializing_if = "is_false")]
    pub never: bool,
}

/// What a replica holds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Which.
    pub node: String,
    /// In which space.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub space: String,
    /// The entries of each key.
    pub keys: BTreeMap<String, String>,
    /// How far it holds each replica's writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<BTreeMap<String, u64>>,
    /// Whether everything had come to rest.
    #[serde(default, skip_serializing_if = "is_false")]
    pub last: bool,
}

/// A replica's storage was lost, wholly or in part.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgets {
    /// Which.
    pub node: String,
}

// By reference, because serde asks for one.
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Reads the lines of a history.
///
/// # Errors
/// Which line is none, and why.
pub fn parse(text: &str) -> Result<Vec<Line>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let one = |(at, line)| serde_json::from_str(line).map_err(|error| format!("line {}: {error}", at + 1));
    lines.map(one).collect()
}

/// The lines of a history, as text.
///
/// # Panics
/// Never: a line is plain data.
#[must_use]
pub fn print(lines: &[Line]) -> String {
    lines.iter().map(|line| serde_json::to_string(line).expect("plain data") + "\n").collect()
}
