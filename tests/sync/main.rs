//! Anti-entropy: pairs and lines of replicas over links that lose, repeat, delay and misdeliver, in virtual time.
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

mod bounds;
mod calm;
mod exchanges;
mod faults;
mod kinds;
mod large;
mod requests;
mod resumed;
mod spaces;
mod talking;
mod upstream;

use common::host::{Host, SYNC, THROW};
use common::net::{Dice, Fate, Flight, Net, down, reliable};
use common::{START, batch, edge, put, stored};
use edge_session::id::{ReplicaId, Space};
use edge_session::io::{Event, LinkId, Range, SessionHandle};
use edge_session::replica::{Config, SessionInit};
use edge_session::store::entry::LiveSet;
use edge_session::sync::message::{Frame, Message, Slice};
use edge_session::sync::peer::SLICE_BYTES;
use edge_session::vector::VersionVector;
use proptest::prelude::*;

/// The pause between two hellos, and before an unanswered delta is sent again.
const HEARTBEAT: u64 = 2_000;
const LABELS: [&str; 4] = ["paris", "tokyo", "berlin", "lagos"];

/// So many replicas, each with one session, linked as told.
fn net(hosts: usize, links: &[(usize, usize)]) -> Net {
    let mut net = Net::new(LABELS[..hosts].iter().map(|label| Host::new(edge(label))).collect());
    links.iter().for_each(|(a, b)| net.connect(*a, *b));
    net
}

fn set(net: &mut Net, host: usize, key: &str, value: &str) {
    net.with(host, |host| {
        let session = host.session();
        host.set(session, key, value);
        host.replica.close_session(session);
    });
}

fn live(host: &Host) -> Vec<(String, LiveSet)> {
    let space = host.space();
    let keys = host.replica.store().space(&space).into_iter().flat_map(|state| state.iter());
    keys.map(|(key, set)| (key.to_string(), set.clone())).collect()
}

/// Equal vectors, equal live entries (invariant I4).
fn assert_converged(net: &Net) {
    for pair in net.hosts.windows(2) {
        assert_eq!(pair[0].vector(), pair[1].vector());
        assert_eq!(live(&pair[0]), live(&pair[1]));
    }
}

/// Writes about `slices` slices' worth at a host.
fn fill(net: &mut Net, host: usize, prefix: &str, slices: u64) {
    let value = "x".repeat(8 << 10);
    net.with(host, |host| {
        let session = host.session();
        for n in 0..slices * SLICE_BYTES / value.len() as u64 {
            host.set(session, &format!("{prefix}{n:05}"), &value);
        }
    });
}

/// Messages are lost, repeated, delayed past each other, and led to any other end of any link.
fn unreliable(seed: u64, loss: u64, astray: u64, ends: Vec<(usize, LinkId)>) -> Fate {
    let mut dice = Dice(seed);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    Box::new(move |flight| {
        let mut copies = Vec::new();
        for _ in 0..=u64::from(dice.percent(25)) {
            if !dice.percent(loss) {
                copies.push((dice.below(400), flight.clone()));
            }
        }
        if dice.percent(astray) {
            // To somebody else, or back to its sender; a message of now or of long ago.
            let to = ends[dice.below(ends.len() as u64) as usize];
            let old = dice.below(seen.len() as u64 + 1) as usize;
            let bytes = seen.get(old).unwrap_or(&flight.bytes).clone();
            copies.push((dice.below(400), Flight { to, bytes }));
        }
        seen.push(flight.bytes.clone());
        copies
    })
}
