//! What the simulator (`tests/sim`) found, each as the smallest case that shows it.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod common;

use common::host::{Host, PLAIN, SYNC, THROW};
use common::{START, batch, code, edge, stored};
use edge_session::error::ErrorCode;
use edge_session::io::{Answer, LinkId, Operation, Outcome, Terms};
use edge_session::store::Mutation;
use edge_session::store::entry::Content;

const HOUR: u64 = 3_600_000;
const LINK: LinkId = LinkId(1);

/// A token that depends on a write which nobody else has.
fn token_from_elsewhere() -> String {
    let mut elsewhere = Host::new(edge("paris"));
    let session = elsewhere.session();
    elsewhere.set(session, "k", "1");
    elsewhere.token(session)
}

#[test]
fn a_wait_is_no_longer_because_the_clock_was_set_back() {
    let mut host = Host::new(edge("tokyo"));
    host.at(START + HOUR);
    let session = host.resume(&token_from_elsewhere());
    let terms = Terms { timeout: Some(1_000), ..PLAIN };
    let wait = host.wait(session, Operation::Get("k".into()), terms);
    host.replica.tick(START);
    host.now = START;
    host.drain();
    assert!(host.timeout.is_some_and(|at| at <= START + 1_000), "called at {:?}", host.timeout);
    host.at(START + 999);
    assert!(host.taken(wait).is_none());
    host.at(START + 1_000);
    assert_eq!(code(host.taken(wait).unwrap()), ErrorCode::StaleReplica);
}

#[test]
fn a_replica_does_not_fall_silent_because_its_clock_was_set_back() {
    let mut host = Host::new(edge("tokyo"));
    host.at(START + HOUR);
    host.replica.link_up(LINK, host.now);
    host.drain();
    assert_eq!(host.sent.drain(..).count(), 1, "the first hello");
    host.replica.tick(START);
    host.now = START;
    host.drain();
    let heartbeat = edge("tokyo").timing.heartbeat;
    host.at(START + heartbeat);
    assert_eq!(host.sent.len(), 1, "the heartbeat");
}

#[test]
fn a_timer_that_rang_early_is_asked_for_again() {
    let mut host = Host::new(edge("tokyo"));
    host.replica.link_up(LINK, START);
    host.drain();
    let at = host.timeout.take();
    host.replica.tick(START + 1);
    host.drain();
    assert_eq!((host.timeout, at.is_some()), (at, true));
}

/// A sibling that has come from elsewhere and lost is part of the version: it decides whether a check holds.
#[test]
fn a_version_does_not_name_a_sibling_before_storage_has_it() {
    let (mut host, mut other) = (Host::new(stored(edge("tokyo"))), Host::new(edge("paris")));
    let theirs = other.session();
    other.set(theirs, "k", "loses");
    host.at(START + 10);
    let own = host.session();
    host.set(own, "k", "wins");
    host.confirm_all();
    host.replica.link_up(LINK, host.now);
    let hello = host.exchange(&[]);
    let delta = other.exchange(&hello);
    host.try_exchange(&delta).unwrap();
    assert_eq!(host.replica.store().live(&host.space(), "k").unwrap().entries().len(), 2);
    assert_eq!(code(host.get(own, "k", SYNC)), ErrorCode::StaleReplica);
    assert!(matches!(host.read(own, "k", SYNC), Ok(Outcome::Behind(_))));
    host.confirm_all();
    assert_eq!(host.get(own, "k", THROW).unwrap().as_deref(), Some("wins"));
}

#[test]
fn an_exchange_that_broke_off_between_two_slices_goes_on_with_the_next_one() {
    let (mut giver, mut taker) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let session = giver.session();
    for number in 0..8 {
        let content = Content::Text("x".repeat(100 << 10).into());
        let mutation = Mutation { key: format!("k{number}").into(), content, expires_at: None };
        let written = giver.ask(session, batch([mutation]), SYNC).unwrap();
        assert!(matches!(written, Answer::Version(_)));
    }
    // The taker has heard the first slice, and asks for the second in a request that is lost.
    let hello = taker.exchange(&[]);
    let first = giver.exchange(&hello);
    taker.exchange(&first);
    assert_eq!(taker.holds(), "<>");
    let mut message = taker.exchange(&[]);
    for _ in 0..8 {
        message = giver.exchange(&message);
        message = taker.exchange(&message);
    }
    assert_eq!(taker.holds(), "<paris:8>");
}
