//! Folding: a token stays short however many replicas its session has seen, and never asks for less than it stands for.
//!
//! Here is what the tests have in common: an edge, many tabs that write, and a session that has seen them all.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "../common/mod.rs"]
mod common;

mod anchors;
mod crowd;
mod histories;
mod laws;
mod refused;
mod sealing;

use common::host::{Host, PLAIN, SYNC, THROW, sync};
use common::{START, code, edge, stored, tab};
use edge_session::error::{Details, ErrorCode, SessionError};
use edge_session::guarantee::{Access, Guarantees};
use edge_session::id::{Dot, ReplicaId, Space};
use edge_session::io::{Answer, Operation, Progress, Range, SessionHandle, Terms};
use edge_session::replica::{Config, SessionInit};
use edge_session::session::fold::{Anchor, fold};
use edge_session::session::token::{SessionToken, TOKEN_BYTES_MAX};
use edge_session::session::vector::{Dependencies, SessionVector};
use edge_session::vector::VersionVector;
use proptest::prelude::*;

/// So many dependencies fit in no token.
const MANY: usize = 40;
/// With the default options.
const SYNC_INTERVAL: u64 = 500;

fn space() -> Space {
    Space::first("default").unwrap()
}

/// What a token asks for.
fn asks(text: &str) -> Dependencies {
    SessionToken::open_unverified(text).unwrap().dependencies().get(&space()).cloned().unwrap_or_default()
}

/// Tabs with the longest labels, each with a write of its own.
fn writers(count: usize) -> Vec<Host> {
    let writer = |number: usize| {
        let mut host = Host::new(tab(&format!("a-writing-tab-{number:02}")));
        let session = host.session();
        host.set(session, &format!("k{number:02}"), "v");
        host
    };
    (0..count).map(writer).collect()
}

/// A session at `host` that has read what `writers` wrote.
fn reader(host: &mut Host, writers: &mut [Host]) -> SessionHandle {
    let session = host.session();
    reads(host, session, writers);
    session
}

/// `host` takes in what `writers` wrote, and the session reads it.
fn reads(host: &mut Host, session: SessionHandle, writers: &mut [Host]) {
    let prompt = std::mem::replace(&mut host.prompt, true);
    writers.iter_mut().for_each(|writer| host.pull(writer));
    host.prompt = prompt;
    host.list(session, Range::default());
}

/// `peer` takes what `host` holds, and `host` hears of it.
fn acknowledge(host: &mut Host, peer: &mut Host) {
    peer.pull(host);
    host.pull(peer);
}

/// How many own dots a replica has taken.
fn own(host: &Host) -> u64 {
    host.vector().get(host.id())
}

/// The token that an operation answers within the call.
fn sealed(host: &mut Host, session: SessionHandle) -> Result<String, SessionError> {
    match host.ask(session, Operation::Seal, PLAIN)? {
        Answer::Token(text) => Ok(text),
        other => panic!("{other:?}"),
    }
}

/// Everything that a session at `host` depends on, unfolded.
fn seen(host: &Host, session: SessionHandle) -> Dependencies {
    host.replica.session(session).unwrap().vector.get(&space()).cloned().unwrap_or_default()
}
