//! The lines of a history: one JSON object each, in the order in which whoever kept it saw things happen.
//!
//! A client has one session, does one thing at a time, and roams. A write is named by a number and its values carry it
//! as text, `w12` or `w12|…`, so that whoever reads a value says which write it was. What was asked for and never
//! answered may have happened or not: it is begun and never written. A line that is not known is an error.

use std::collections::BTreeMap;

use edge_session::guarantee::Guarantees;
use edge_session::id::ReplicaId;
use edge_session::time::Hlc;
use serde::Deserialize;

use crate::checker::writes::Rank;

/// One line.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Line {
    /// A client asks for an atomic write of these keys; the deleted ones are among `deletes`.
    Begin {
        /// The number of the write.
        write: u64,
        /// Who asks.
        client: String,
        /// The keys that get a value.
        #[serde(default)]
        sets: Vec<String>,
        /// The keys that are deleted.
        #[serde(default)]
        deletes: Vec<String>,
        /// The guarantees under which it is asked for; all where none are named.
        under: Option<Vec<String>>,
    },
    /// The write was acknowledged as durable.
    Wrote {
        /// The number of the write.
        write: u64,
        /// Who was told.
        client: String,
        /// The version that was answered.
        version: String,
        /// The sequence of its dot, at the replica that the version names.
        sequence: u64,
    },
    /// A client was told what a key holds.
    Read {
        /// Who asked.
        client: String,
        /// The key.
        key: String,
        /// The write whose value it was; none where the key was absent.
        write: Option<u64>,
        /// The version, with the value.
        version: Option<String>,
        /// The guarantees that were asked for; all where none are named.
        under: Option<Vec<String>>,
    },
    /// A client got a token. Text, not the token itself.
    Token {
        /// Whose session it stands for.
        client: String,
        /// Its name in this history.
        name: String,
    },
    /// A client's session was joined with a token, or begun with it.
    Merge {
        /// Whose session.
        client: String,
        /// The name of the token.
        name: String,
    },
    /// What a replica holds in the end.
    State {
        /// Where.
        place: String,
        /// Its vector.
        vector: BTreeMap<String, u64>,
        /// Its live entries that have a value: key, write, version.
        entries: Vec<(String, u64, String)>,
    },
}

/// The guarantees of a line; `None`: one of the names is none.
#[must_use]
pub(super) fn guarantees(under: Option<&[String]>) -> Option<Guarantees> {
    let named = |names: &[String]| Guarantees::from_names(names.iter().map(String::as_str)).ok();
    under.map_or(Some(Guarantees::ALL), named)
}

/// The places in arbitration that a version names, the winner first. `None`: that is no version.
#[must_use]
pub(super) fn ranks(version: &str) -> Option<Vec<Rank>> {
    let one = |text: &str| {
        let (clock, replica) = text.split_once('.')?;
        let replica: ReplicaId = replica.parse().ok()?;
        Some((Hlc::from_bits(u64::from_str_radix(clock, 16).ok()?), replica))
    };
    version.split('+').map(one).collect()
}
