//! Durability (invariant I5): no dot leaves a replica before storage has it, and none is ever used twice.
//!
//! The storage of these tests confirms when it is told to and forgets what it has not confirmed. Every way out of a
//! replica is tried meanwhile.
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

mod amnesia;
mod at_random;
mod claims;
mod crashes;
mod escape;
mod release;

use common::host::{Host, PLAIN, SYNC, THROW, sync};
use common::{START, batch, code, edge, missing, put, stored, string, tab};
use edge_session::error::ErrorCode;
use edge_session::id::{Dot, ReplicaId};
use edge_session::io::{Answer, Event, Interest, LinkId, Operation, Range, Scope, Terms};
use edge_session::session::seal::Keyring;
use edge_session::session::token::SessionToken;
use edge_session::session::vector::SessionVector;
use edge_session::store::delta::Listed;
use edge_session::store::{Check, Mutation};
use edge_session::sync::message::{Frame, Message};
use edge_session::vector::VersionVector;
use proptest::prelude::*;

const LINK: LinkId = LinkId(1);

/// An edge whose storage is late, with a peer that listens on a link.
fn edge_with_a_peer() -> (Host, Host) {
    let (mut host, mut peer) = (Host::new(stored(edge("paris"))), Host::new(edge("tokyo")));
    host.replica.interest(Interest { changes: true, ..Interest::default() });
    host.replica.link_up(LINK, START);
    host.drain();
    peer.replica.link_up(LINK, START);
    peer.drain();
    carry(&mut host, &mut peer);
    (host, peer)
}

/// Carries messages both ways until nobody says anything.
fn carry(host: &mut Host, peer: &mut Host) {
    while !host.sent.is_empty() || !peer.sent.is_empty() {
        for (_, bytes) in std::mem::take(&mut host.sent) {
            peer.receive(LINK, &bytes).unwrap();
        }
        for (_, bytes) in std::mem::take(&mut peer.sent) {
            host.receive(LINK, &bytes).unwrap();
        }
    }
}

/// The highest sequence of `id` that a frame tells of, in any vector, entry or bare dot.
fn told(bytes: &[u8], id: ReplicaId) -> u64 {
    let frame = Frame::decode(bytes).unwrap();
    let mut most =
        frame.messages.iter().flat_map(Message::vectors).map(|(_, vector)| vector.get(id)).max().unwrap_or(0);
    for message in &frame.messages {
        let keys = match message {
            Message::Delta(delta) | Message::TopUp { delta, .. } => &delta.keys,
            Message::Slice(slice) => &slice.keys,
            _ => continue,
        };
        let dots = keys.iter().flat_map(|(_, set)| set).map(Listed::dot).filter(|dot| dot.replica == id);
        most = most.max(dots.map(|dot| dot.sequence).max().unwrap_or(0));
    }
    most
}

/// The highest sequence of `id` that a token depends on.
fn depended(token: &str, id: ReplicaId) -> u64 {
    let token = SessionToken::open_unverified(token).unwrap();
    let dependencies = token.dependencies().iter();
    dependencies.map(|(_, own)| own.reads.get(id).max(own.writes.get(id))).max().unwrap_or(0)
}
