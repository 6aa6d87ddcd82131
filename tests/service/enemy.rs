//! Revoke, and then write: no replica shows what was written after a revocation under the roles before it; and a session
//! that has seen a change of roles is not judged by the roles before it.

use edge_session::error::{Details, ErrorCode};
use edge_session::id::Space;
use edge_session::io::{Answer, Progress, SessionHandle};
use edge_session::replica::SessionInit;
use edge_session::sync::message::{Frame, Message};

use super::common::edge;
use super::common::host::{Host, PLAIN, THROW, sync};
use super::common::net::{Dice, Net};
use super::{column, run};

fn shop() -> Space {
    Space::first("shop").unwrap()
}

fn user(name: &str) -> SessionInit {
    SessionInit { user: Some(name.into()), space: Some(shop()), ..SessionInit::default() }
}

/// Two edges at which ann reads what bob writes.
fn pair() -> (Host, Host, SessionHandle, SessionHandle) {
    let (mut fra, mut nrt) = (Host::new(edge("fra1")), Host::new(edge("nrt1")));
    run(
        &mut fra,
        None,
        "CREATE SPACE shop; CREATE USER ann; CREATE USER bob; GRANT USER ON shop TO ann; GRANT USER ON shop TO bob",
    )
    .unwrap();
    sync(&mut fra, &mut nrt);
    let bob = fra.open(user("bob"));
    fra.set(bob, "k", "for all");
    meet(&mut fra, &mut nrt);
    let ann = nrt.open(user("ann"));
    assert_eq!(nrt.get(ann, "k", PLAIN), Ok(Some("for all".into())));
    (fra, nrt, ann, bob)
}

fn meet(a: &mut Host, b: &mut Host) {
    for _ in 0..4 {
        a.pull(b);
        b.pull(a);
    }
}

/// What `from` says to `to`, but for the deltas of the fleet's records: that message was lost.
fn without_records(from: &mut Host, to: &mut Host) -> Vec<u8> {
    let hello = to.exchange(&[]);
    let mut frame = Frame::decode(&from.exchange(&hello)).unwrap();
    frame.messages.retain(|message| !matches!(message, Message::Delta(delta) if delta.space.is_system()));
    frame.encode()
}

#[test]
pub(super) fn no_data_overtakes_the_revocation_that_protects_it() {
    let (mut fra, mut nrt, ann, bob) = pair();
    run(&mut fra, None, "REVOKE USER ON shop FROM ann").unwrap();
    fra.set(bob, "k", "not for ann");
    let early = without_records(&mut fra, &mut nrt);
    nrt.exchange(&early);
    assert_eq!(nrt.get(ann, "k", PLAIN), Ok(Some("for all".into())), "it is not there yet");
    assert_ne!(nrt.replica.store().vector(&shop()), fra.replica.store().vector(&shop()));
    meet(&mut fra, &mut nrt);
    assert_eq!(nrt.replica.store().vector(&shop()), fra.replica.store().vector(&shop()));
    assert_eq!(nrt.get(ann, "k", PLAIN).unwrap_err().code(), ErrorCode::PermissionDenied);
}

#[test]
fn whoever_wrote_elsewhere_after_the_revocation_had_come_is_not_ahead_of_it_either() {
    // The revocation at fra, the write at gru once it was known there, and nrt hears of gru alone.
    let (mut fra, mut nrt, ann, _) = pair();
    let mut gru = Host::new(edge("gru1"));
    run(&mut fra, None, "REVOKE USER ON shop FROM ann").unwrap();
    meet(&mut fra, &mut gru);
    let bob = gru.open(user("bob"));
    gru.set(bob, "k", "not for ann");
    let early = without_records(&mut gru, &mut nrt);
    nrt.exchange(&early);
    assert_eq!(nrt.get(ann, "k", PLAIN), Ok(Some("for all".into())));
    meet(&mut gru, &mut nrt);
    assert_eq!(nrt.get(ann, "k", PLAIN).unwrap_err().code(), ErrorCode::PermissionDenied);
}

#[test]
fn over_a_network_that_loses_half_of_all_messages_it_is_never_seen() {
    for seed in 0..8 {
        let (fra, nrt, ann, bob) = pair();
        let mut net = Net::new(vec![fra, nrt]);
        let mut dice = Dice(seed);
        net.fate = Box::new(
            move |flight| {
                if dice.percent(50) { Vec::new() } else { vec![(dice.below(3_000), flight.clone())] }
            },
        );
        net.connect(0, 1);
        net.run(500);
        net.with(0, |fra| {
            run(fra, None, "REVOKE USER ON shop FROM ann").unwrap();
            fra.set(bob, "k", "not for ann");
        });
        let mut denied = false;
        for _ in 0..600 {
            net.run(100);
            match net.with(1, |nrt| nrt.get(ann, "k", PLAIN)) {
                Ok(shown) => assert_eq!(shown.as_deref(), Some("for all"), "seed {seed}"),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::PermissionDenied);
                    denied = true;
                }
            }
        }
        assert!(denied, "seed {seed}");
    }
}

#[test]
pub(super) fn a_role_that_the_token_has_seen_is_waited_for() {
    let (mut fra, mut nrt, ..) = pair();
    run(&mut fra, None, "CREATE USER eve; GRANT USER ON shop TO eve").unwrap();
    let eve = fra.open(user("eve"));
    let token = fra.token(eve);
    let there = nrt.resume(&token);
    let stale = nrt.get(there, "k", THROW).unwrap_err();
    assert_eq!(stale.code(), ErrorCode::StaleReplica, "not denied: it is not known yet whether");
    let Details::Missing(missing) = stale.details() else { panic!("{stale:?}") };
    assert!(missing.iter().all(|missing| missing.space.is_system()));
    let wait = nrt.wait(there, edge_session::io::Operation::Get("k".into()), PLAIN);
    meet(&mut fra, &mut nrt);
    assert!(matches!(nrt.taken(wait), Some(Ok(Answer::Item(Some(_))))));
}

#[test]
fn statements_wait_for_what_their_session_has_changed_elsewhere() {
    let (mut fra, mut nrt, ..) = pair();
    let root = fra.open(SessionInit { user: Some("root".into()), ..SessionInit::default() });
    run(&mut fra, root, "REVOKE USER ON shop FROM ann").unwrap();
    let token = fra.token(root);
    let there = nrt.resume(&token);
    let begun = nrt.replica.run(Some(there), "SHOW ROLES IN shop", &[], PLAIN, nrt.now).unwrap();
    let Progress::Waiting(wait) = begun else { panic!("{begun:?}") };
    nrt.drain();
    meet(&mut fra, &mut nrt);
    let Some(Ok(Answer::Table(table))) = nrt.taken(wait) else { panic!("it has not settled") };
    assert_eq!(column(&table, "Account"), ["bob"]);
    // And no longer than the deadline.
    run(&mut fra, root, "GRANT USER ON shop TO ann").unwrap();
    let late = nrt.resume(&fra.token(root));
    let begun = nrt.replica.run(Some(late), "SHOW USERS", &[], PLAIN, nrt.now).unwrap();
    let Progress::Waiting(wait) = begun else { panic!("{begun:?}") };
    nrt.drain();
    nrt.at(nrt.now + 60_000);
    assert_eq!(nrt.taken(wait).unwrap().unwrap_err().code(), ErrorCode::StaleReplica);
}
