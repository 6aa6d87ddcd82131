//! Fences: kills and logouts that nobody undoes, told first, to every replica with the key and to nobody else.

use edge_session::error::ErrorCode;
use edge_session::id::{SessionId, Space};
use edge_session::io::{LinkId, SessionHandle};
use edge_session::replica::SessionInit;
use edge_session::store::fence::{Fence, Fences};
use edge_session::store::numbered::TOLD_MAX;
use edge_session::sync::message::{Frame, Message};
use proptest::prelude::*;

use super::common::host::{Host, PLAIN, sync};
use super::common::net::{Dice, Net, reliable};
use super::common::{START, edge, stored, tab};
use super::{count, run};

fn id(number: u8) -> SessionId {
    SessionId::new(START, [number; 10])
}

fn any_fence() -> impl Strategy<Value = (SessionId, Fence)> {
    let name = || prop::option::of("[ab]").prop_map(|name| name.map(Into::into));
    ((0..4_u8).prop_map(id), any::<bool>(), 0..4_u64, 0..9_u64, name(), name())
        .prop_map(|(id, ended, at, until, by, why)| (id, Fence { ended, at, by, why, until }))
}

fn joined(fences: &[(SessionId, Fence)]) -> Fences {
    let mut all = Fences::new(true);
    fences.iter().for_each(|(id, fence)| _ = all.join(*id, fence.clone()));
    all
}

fn shown(fences: &Fences) -> Vec<Option<Fence>> {
    (0..4).map(|number| fences.get(&id(number)).cloned()).collect()
}

proptest! {
    #[test]
    fn fences_are_the_same_in_whatever_order_they_come(
        (fences, mixed) in prop::collection::vec(any_fence(), 0..12)
            .prop_flat_map(|fences| (Just(fences.clone()), Just(fences).prop_shuffle())),
    ) {
        let (one, mut other) = (joined(&fences), joined(&mixed));
        prop_assert_eq!(shown(&one), shown(&other));
        prop_assert_eq!(one.digest(), other.digest());
        // Once more changes nothing, and nothing is taken back.
        for (id, fence) in &fences {
            prop_assert!(!other.join(*id, fence.clone()));
            let held = other.get(id).unwrap();
            prop_assert!(held.until >= fence.until && (held.ended, held.at) <= (fence.ended, fence.at));
        }
        // A peer that has heard up to any number gets the rest.
        for heard in 0..=one.last() {
            let mut peer = Fences::new(true);
            for number in 0..heard {
                let (told, upto) = one.since(number);
                let _ = upto;
                told.into_iter().take(1).for_each(|(id, fence)| _ = peer.join(id, fence));
            }
            one.since(heard).0.into_iter().for_each(|(id, fence)| _ = peer.join(id, fence));
            prop_assert_eq!(shown(&peer), shown(&one));
            prop_assert_eq!(peer.digest(), one.digest());
        }
    }
}

fn killed(host: &mut Host, session: SessionHandle) -> bool {
    host.get(session, "k", PLAIN).is_err_and(|error| error.code() == ErrorCode::SessionKilled)
}

fn kill(host: &mut Host, id: SessionId) {
    let _ = run(host, None, &format!("KILL SESSION '{id}'")).unwrap();
}

#[test]
fn a_kill_reaches_everybody_over_a_network_that_loses_half_of_all_messages() {
    let hosts = ["fra1", "nrt1", "gru1"].map(|label| Host::new(edge(label)));
    let mut net = Net::new(hosts.into());
    let mut dice = Dice(7);
    net.fate = Box::new(move |flight| if dice.percent(50) { Vec::new() } else { vec![(5, flight.clone())] });
    net.connect(0, 1);
    net.connect(1, 2);
    let session = net.with(2, Host::session);
    let victim = net.hosts[2].replica.session(session).unwrap().id;
    // More than are told at once.
    net.with(0, |host| {
        for number in 0..TOLD_MAX as u64 + 9 {
            kill(host, SessionId::new(START + number, [1; 10]));
        }
        kill(host, victim);
    });
    net.run(120_000);
    assert!(net.with(2, |host| killed(host, session)));
    let all = net.hosts[0].replica.store().fences();
    assert_eq!(all.len(), TOLD_MAX + 10);
    for host in &net.hosts[1..] {
        let fences = host.replica.store().fences();
        assert_eq!((fences.len(), fences.digest()), (all.len(), all.digest()));
    }
    // Whoever has heard everything is told nothing more, and nobody is asked for ever.
    net.fate = reliable(5);
    net.run(60_000);
    let before = net.sent;
    net.run(2_000);
    assert!(net.sent - before <= 12, "{} messages in an idle second", net.sent - before);
}

fn said(host: &mut Host) -> Vec<Message> {
    host.sent.drain(..).flat_map(|(_, bytes)| Frame::decode(&bytes).unwrap().messages).collect()
}

#[test]
fn a_kill_is_told_before_everything_else_and_only_once() {
    let (mut fra, mut nrt) = (Host::new(edge("fra1")), Host::new(edge("nrt1")));
    sync(&mut fra, &mut nrt);
    fra.replica.link_up(LinkId(1), fra.now);
    fra.drain();
    let hello = Frame { from: nrt.id(), to: None, messages: vec![Message::hello(vec![], false)] }.encode();
    fra.receive(LinkId(1), &hello).unwrap();
    said(&mut fra);
    let session = fra.session();
    fra.set(session, "k", "v");
    run(&mut fra, None, "CREATE USER ann").unwrap();
    fra.replica.link_up(LinkId(2), fra.now);
    fra.drain();
    fra.replica.run(None, &format!("KILL SESSION '{}'", id(1)), &[], PLAIN, fra.now).unwrap();
    fra.sent.clear();
    fra.receive(LinkId(2), &hello).unwrap();
    let said = said(&mut fra);
    let fence = said.iter().position(|message| matches!(message, Message::Fence { fences, .. } if !fences.is_empty()));
    let delta = said.iter().position(|message| matches!(message, Message::Delta(_)));
    assert!(fence.is_some(), "{said:?}");
    assert!(delta.is_none_or(|delta| fence < Some(delta)), "{said:?}");
}

#[test]
fn a_link_that_comes_back_costs_no_fence_that_is_known() {
    let mut net = Net::new(["fra1", "nrt1"].map(|label| Host::new(edge(label))).into());
    net.connect(0, 1);
    net.with(0, |host| (0..200).for_each(|number| kill(host, SessionId::new(START + number, [1; 10]))));
    net.run(5_000);
    assert_eq!(net.hosts[1].replica.store().fences().len(), 200);
    net.disconnect(0, 1);
    let before = net.bytes;
    net.connect(0, 1);
    net.run(1_000);
    assert!(net.bytes - before < 2_000, "{} bytes", net.bytes - before);
}

#[test]
pub(super) fn no_later_word_undoes_a_kill() {
    let (mut fra, mut nrt) = (Host::new(edge("fra1")), Host::new(edge("nrt1")));
    let session = fra.session();
    let (token, id) = (fra.token(session), fra.replica.session(session).unwrap().id);
    let there = nrt.resume(&token);
    run(&mut fra, None, &format!("KILL SESSION '{id}'")).unwrap();
    // Elsewhere its user logs out, later, and a year passes: a fence says so as well.
    nrt.at(nrt.now + 10);
    nrt.replica.end_session(there, nrt.now).unwrap();
    nrt.drain();
    sync(&mut fra, &mut nrt);
    for host in [&mut fra, &mut nrt] {
        let again = host.resume(&token);
        assert!(killed(host, again));
    }
}

#[test]
fn a_kill_outlives_its_replica() {
    let (mut fra, mut nrt) = (Host::new(edge("fra1")), Host::new(edge("nrt1")));
    run(&mut fra, None, "CREATE USER ann").unwrap();
    sync(&mut fra, &mut nrt);
    let session = nrt.session();
    let id = nrt.replica.session(session).unwrap().id;
    // The others have given it up; what it says of spaces from now on is refused. It lives, and kills.
    let system = Space::first("$system").unwrap();
    let last = nrt.replica.store().vector(&system).get(fra.id());
    nrt.replica.retire(&system, fra.id(), last, nrt.now);
    kill(&mut fra, id);
    run(&mut fra, None, "CREATE USER bob").unwrap();
    nrt.pull(&mut fra);
    assert!(killed(&mut nrt, session));
    assert_eq!(super::column(&run(&mut nrt, None, "SHOW USERS").unwrap(), "Account"), ["ann", "root"]);
}

#[test]
fn a_fence_stands_until_its_session_would_have_ended_and_no_longer() {
    let mut host = Host::new(edge("fra1"));
    let session = host.open(SessionInit { expires_in: Some(3_600_000), ..SessionInit::default() });
    let (token, id) = (host.token(session), host.replica.session(session).unwrap().id);
    kill(&mut host, id);
    kill(&mut host, self::id(9));
    host.at(host.now + 3_599_999);
    let again = host.resume(&token);
    assert!(killed(&mut host, again));
    host.at(host.now + 3_600_000);
    host.replica.tick(host.now);
    host.drain();
    let fences = host.replica.store().fences();
    assert!(fences.get(&id).is_none());
    assert!(fences.get(&self::id(9)).is_some(), "of a session that nobody knew none can say when it ends");
    let again = host.resume(&token);
    assert_eq!(host.get(again, "k", PLAIN).unwrap_err().code(), ErrorCode::TokenExpired);
}

#[test]
fn snapshots_and_records_hold_every_fence() {
    let mut host = Host::new(stored(edge("fra1")));
    for number in 0..1_500 {
        kill_later(&mut host, SessionId::new(START + number, [1; 10]));
    }
    host.confirm_all();
    let digest = host.replica.store().fences().digest();
    let snapshot = host.snapshot();
    host.crash();
    assert_eq!(host.replica.store().fences().digest(), digest);
    let mut other = Host::new(edge("nrt1"));
    other.replica.restore(&snapshot, other.now).unwrap();
    other.drain();
    assert_eq!((other.replica.store().fences().len(), other.replica.store().fences().digest()), (1_500, digest));
}

/// A kill whose durability nobody waits for.
fn kill_later(host: &mut Host, id: SessionId) {
    host.replica.run(None, &format!("KILL SESSION '{id}'"), &[], PLAIN, host.now).unwrap();
    host.drain();
}

#[test]
fn without_a_key_a_logout_is_remembered_here_and_told_nobody() {
    let (mut one, mut other) = (Host::new(stored(tab("one"))), Host::new(tab("other")));
    let session = one.session();
    let token = one.token(session);
    let id = one.replica.session(session).unwrap().id;
    assert_eq!(count(&run_later(&mut one, session, id)), 1);
    one.confirm_all();
    one.crash();
    let there = other.resume(&token);
    sync(&mut one, &mut other);
    assert!(other.get(there, "k", PLAIN).is_ok());
    // Whoever says so to a replica without a key is not believed.
    let fence = Fence { at: 1, until: u64::MAX >> 16, ..Fence::default() };
    let says = Message::Fence { told: 1, heard: 0, digest: 1, fences: vec![(id, fence)] };
    let from = one.id();
    other.exchange(&Frame { from, to: None, messages: vec![says] }.encode());
    assert!(other.get(there, "k", PLAIN).is_ok());
    assert_eq!(one.replica.store().fences().len(), 1);
}

fn run_later(host: &mut Host, session: SessionHandle, id: SessionId) -> edge_session::service::table::Table {
    let begun = host.replica.run(Some(session), &format!("KILL SESSION '{id}'"), &[], PLAIN, host.now).unwrap();
    host.drain();
    host.confirm_all();
    let answer = match begun {
        edge_session::io::Progress::Done(answer) => answer,
        edge_session::io::Progress::Waiting(wait) => host.taken(wait).unwrap().unwrap(),
    };
    let edge_session::io::Answer::Table(table) = answer else { panic!("{answer:?}") };
    table
}
