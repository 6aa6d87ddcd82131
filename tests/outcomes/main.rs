//! Outcomes: value, absent, behind, lost; waiting, refusing, serving; and every way in which a wait ends.
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

mod answers;
mod refused;
mod spaces;
mod subscriptions;
mod waits;

use common::host::{Host, PLAIN, SYNC, THROW, sync};
use common::{START, batch, code, edge, missing, put, stored, string, tab};
use edge_session::error::{ErrorCode, SessionError};
use edge_session::guarantee::Guarantees;
use edge_session::id::{Dot, Space};
use edge_session::io::{Answer, Change, Operation, Outcome, Policy, Progress, Range, Scope, SessionHandle, Terms};
use edge_session::replica::{Config, SessionInit};
use edge_session::session::vector::SessionVector;

const SERVE: Terms = Terms { on_stale: Some(Policy::Serve), ..PLAIN };

/// A session that has written `k` in Paris and goes on in Tokyo, which has not heard of it.
fn roamed() -> (Host, Host, SessionHandle) {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let ann = paris.session();
    paris.set(ann, "k", "v");
    let ann = tokyo.resume(&paris.token(ann));
    (paris, tokyo, ann)
}

fn get(key: &str) -> Operation {
    Operation::Get(key.into())
}

fn read(key: &str) -> Operation {
    Operation::Read(key.into())
}

/// Every kind of operation that answers from the state.
fn reads() -> [Operation; 4] {
    [get("k"), read("k"), Operation::List(Range::default()), Operation::Conflicts("k".into())]
}

fn within(timeout: u64) -> Terms {
    Terms { timeout: Some(timeout), ..PLAIN }
}
