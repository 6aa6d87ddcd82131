//! Durability (invariant I5): no dot leaves a replica before storage has it, and none is ever used twice.
//!
//! The storage of these tests confirms when it is told to and forgets what it has not confirmed. Every way out of a
//! replica is tried meanwhile.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

mod common;

use common::host::{Host, PLAIN, SYNC, THROW, sync};
use common::{START, batch, code, edge, missing, put, stored, string, tab};
use edge_session::error::ErrorCode;
use edge_session::id::{Dot, ReplicaId};
use edge_session::io::{Answer, Event, LinkId, Operation, Range, Scope, Terms};
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
    host.replica.interest(true);
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

// ── Nothing escapes ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_writing_session_sees_its_write_at_once() {
    let (mut host, _) = edge_with_a_peer();
    let ann = host.session();
    host.wait(ann, batch([put("k", "v")]), PLAIN);
    assert_eq!(host.get(ann, "k", SYNC), Ok(Some("v".into())));
    assert_eq!(host.list(ann, Range::default()).len(), 1);
    assert_eq!(host.conflicts(ann, "k").len(), 1);
    assert!(host.replica.peek(ann, "k", START).unwrap().is_some());
    // And builds on it: the next write supersedes it under a check.
    let version = host.conflicts(ann, "k")[0].version.clone();
    let checks = vec![Check { key: "k".into(), version: Some(version) }];
    host.ask(ann, Operation::Write { batch: vec![put("k", "w")], checks }, SYNC).unwrap();
    assert_eq!(host.get(ann, "k", SYNC), Ok(Some("w".into())));
}

#[test]
fn no_message_holds_a_write_that_storage_does_not() {
    let (mut host, mut peer) = edge_with_a_peer();
    let (ann, id) = (host.session(), host.id());
    host.set(ann, "k", "v");
    for minute in 1..5 {
        host.at(START + minute * 60_000); // heartbeats and retries fall due
    }
    peer.replica.link_down(LINK, START);
    peer.replica.link_up(LINK, START);
    peer.drain();
    for (_, bytes) in std::mem::take(&mut peer.sent) {
        host.receive(LINK, &bytes).unwrap(); // a hello, which asks for an answer
    }
    let hello = peer.exchange(&[]);
    assert_eq!(host.try_exchange(&hello), Ok(None), "the reply waits too");
    assert!(host.sent.iter().all(|(_, bytes)| told(bytes, id) == 0), "{:?}", host.sent);

    host.confirm_all();
    assert!(host.sent.iter().any(|(_, bytes)| told(bytes, id) == 1));
    carry(&mut host, &mut peer);
    assert_eq!(peer.holds(), "<paris:1>");
}

#[test]
fn what_came_from_a_peer_is_acknowledged_only_once_storage_has_it() {
    let (mut host, mut peer) = edge_with_a_peer();
    let author = peer.session();
    peer.set(author, "k", "v");
    let deltas = std::mem::take(&mut peer.sent);
    deltas.iter().for_each(|(_, bytes)| host.receive(LINK, bytes).unwrap());
    assert_eq!(host.holds(), "<tokyo:1>");
    assert_eq!(host.sent, [], "no acknowledgement yet");
    let hello = peer.exchange(&[]);
    assert_eq!(host.try_exchange(&hello), Ok(None));

    // A crash now loses the delta; the peer was told nothing and sends it again.
    let reader = host.session();
    assert_eq!(code(host.get(reader, "k", THROW)), ErrorCode::StaleReplica);
    host.confirm_all();
    assert!(host.sent.iter().any(|(_, bytes)| told(bytes, peer.id()) == 1));
    assert_eq!(host.get(reader, "k", THROW), Ok(Some("v".into())));
}

#[test]
fn no_answer_to_another_session_rests_on_a_write_that_storage_does_not_have() {
    let (mut host, _) = edge_with_a_peer();
    let (ann, bob) = (host.session(), host.session());
    host.set(ann, "k", "old");
    host.confirm_all();
    assert_eq!(host.get(bob, "k", THROW), Ok(Some("old".into())));
    let old = host.conflicts(bob, "k")[0].version.clone();
    host.set(ann, "k", "new");

    let reads = [
        Operation::Get("k".into()),
        Operation::Read("k".into()),
        Operation::Conflicts("k".into()),
        Operation::List(Range::default()),
    ];
    let serve = Terms { on_stale: Some(edge_session::io::Policy::Serve), ..PLAIN };
    let mut waits = Vec::new();
    for read in &reads {
        if !matches!(read, Operation::Read(_)) {
            let error = host.begin(bob, read.clone(), THROW).unwrap_err();
            assert_eq!(missing(&error), ["paris: 1 → 2"], "{read:?}");
            assert_eq!(code(host.begin(bob, read.clone(), SYNC)), ErrorCode::StaleReplica, "{read:?}");
        }
        waits.push(host.wait(bob, read.clone(), PLAIN));
        waits.push(host.wait(bob, read.clone(), serve)); // serving what is stale is not serving what may yet vanish
    }
    assert_eq!(code(host.replica.peek(bob, "k", START)), ErrorCode::StaleReplica);
    // Neither a check that holds nor one that fails is answered: both would tell which version is current.
    for version in [Some(old), None] {
        let checks = vec![Check { key: "k".into(), version }];
        let write = Operation::Write { batch: vec![put("other", "v")], checks };
        assert_eq!(code(host.begin(bob, write, SYNC)), ErrorCode::StaleReplica);
    }
    assert_eq!(host.settled, []);
    assert_eq!(host.get(bob, "elsewhere", THROW), Ok(None), "what does not rest on it is answered");

    host.confirm_all();
    assert_eq!(host.settled, waits, "all are answered, in order");
    let Some(Ok(Answer::Item(Some(item)))) = host.taken(waits[0]) else { panic!("no item") };
    assert_eq!(string(&item.content), "new");
}

#[test]
fn no_subscription_and_no_event_tells_of_a_write_that_storage_does_not_have() {
    let (mut host, _) = edge_with_a_peer();
    let (ann, bob) = (host.session(), host.session());
    let watch = host.replica.watch(bob, Scope::Prefix(String::new()), PLAIN, START).unwrap();
    host.set(ann, "k", "v");
    host.events.clear();
    assert_eq!(host.watched, []);
    assert_eq!(host.next(watch), Ok(vec![]), "asked all the same");
    host.at(START + 500);
    assert_eq!((host.watched.len(), &host.events[..]), (0, &[][..]));

    host.confirm_all();
    assert!(!host.watched.is_empty());
    assert!(matches!(&host.events[..], [Event::Change { change, .. }] if &*change.key == "k"));
    let changes = host.next(watch).unwrap();
    assert_eq!(string(&changes[0].item.as_ref().unwrap().content), "v");
    assert_eq!(host.next(watch), Ok(vec![]), "told once");
}

#[test]
fn no_token_vector_or_snapshot_covers_a_write_that_storage_does_not_have() {
    let (mut host, _) = edge_with_a_peer();
    let (ann, id) = (host.session(), host.id());
    host.set(ann, "k", "v");
    host.confirm_all();
    host.set(ann, "k", "w");
    assert_eq!(host.get(ann, "k", SYNC), Ok(Some("w".into())));

    assert_eq!(depended(&host.token(ann), id), 1);
    let view = host.replica.session(ann).unwrap();
    assert!(view.vector.iter().all(|(_, own)| own.reads.get(id) <= 1 && own.writes.get(id) <= 1));
    assert_eq!(host.replica.durable(&host.space()).get(id), 1);
    assert!(!host.replica.is_settled());
    assert_eq!(code(host.replica.snapshot()), ErrorCode::StaleReplica);
    let sealing = host.wait(ann, Operation::Seal, PLAIN);
    let flushing = match host.replica.flush(None, START).unwrap() {
        edge_session::io::Progress::Waiting(wait) => wait,
        other => panic!("{other:?}"),
    };
    host.drain();
    assert_eq!(host.settled, []);

    host.confirm_all();
    let Some(Ok(Answer::Token(sealed))) = host.taken(sealing) else { panic!("not sealed") };
    assert_eq!(depended(&sealed, id), 2);
    assert_eq!(host.taken(flushing), Some(Ok(Answer::Done)));
    assert_eq!(host.replica.snapshot().map(|bytes| told(&bytes, id)), Ok(2));
}

#[test]
fn a_token_that_came_in_goes_out_with_all_that_it_brought() {
    let mut paris = Host::new(edge("paris"));
    let ann = paris.session();
    paris.set(ann, "k", "v");
    let mut tokyo = Host::new(stored(edge("tokyo")));
    let there = tokyo.resume(&paris.token(ann));
    assert_eq!(depended(&tokyo.token(there), paris.id()), 1, "tokyo lacks the write, and so does its storage");
}

// ── Release ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn confirmations_are_cumulative_and_release_in_order() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    let waits: Vec<_> = (0..5).map(|n| host.wait(ann, batch([put("k", &n.to_string())]), PLAIN)).collect();
    assert_eq!(host.records.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    host.confirm(3);
    assert_eq!(host.settled, waits[..3]);
    host.confirm(2);
    assert_eq!(host.settled, waits[..3], "an older confirmation says nothing new");
    host.confirm(99);
    assert_eq!(host.settled, waits);
    let late = host.wait(ann, batch([put("k", "late")]), PLAIN);
    assert_eq!(host.taken(late), None, "what is confirmed too soon is not confirmed");
    host.confirm_all();
    assert!(matches!(host.taken(late), Some(Ok(Answer::Version(_)))));
}

#[test]
fn writes_between_two_drains_share_one_record() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    for n in 0..3 {
        host.replica.begin(ann, batch([put(&format!("k{n}"), "v")]), SYNC, START).unwrap();
    }
    host.drain();
    assert!(host.records.len() <= 3);
    host.confirm_all();
    assert_eq!(host.replica.durable(&host.space()).get(host.id()), 3);
}

#[test]
fn storage_that_never_confirms_ends_the_wait_and_not_the_write() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    let wait = host.wait(ann, batch([put("k", "v")]), PLAIN);
    host.at(START + 1_000);
    assert_eq!(host.taken(wait).map(code), Some(ErrorCode::Timeout));
    assert_eq!(host.get(ann, "k", SYNC), Ok(Some("v".into())));
    host.confirm_all();
    let bob = host.session();
    assert_eq!(host.get(bob, "k", THROW), Ok(Some("v".into())));
}

#[test]
fn a_storage_that_hangs_does_not_make_the_queue_of_messages_grow() {
    let (mut host, _) = edge_with_a_peer();
    let ann = host.session();
    host.set(ann, "k", "v");
    for beat in 1..1_000 {
        host.at(START + beat * 2_000);
    }
    host.confirm_all();
    assert!(host.sent.len() < 4, "{} messages had queued up", host.sent.len());
    assert!(host.sent.iter().any(|(_, bytes)| told(bytes, host.id()) == 1), "and none was forgotten");
    host.sent.clear();
    host.at(START + 3_000_000);
    assert!(!host.sent.is_empty(), "the heartbeat goes on");
}

// ── Crashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_crash_between_any_two_records_leaves_a_prefix() {
    let mut tokyo = Host::new(edge("tokyo"));
    let author = tokyo.session();
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    let mut states = vec![host.snapshot()];
    for step in 0..12 {
        match step % 4 {
            0 => drop(host.set(ann, "k", &step.to_string())),
            1 => drop(host.ask(ann, batch([put("a", "1"), put("b", &step.to_string()), put("k", "x")]), SYNC).unwrap()),
            2 => {
                tokyo.set(author, "k", "elsewhere");
                tokyo.set(author, &format!("t{step}"), "v");
                let hello = host.try_exchange(&[]).unwrap().unwrap();
                let delta = tokyo.exchange(&hello);
                host.try_exchange(&delta).unwrap();
            }
            _ => host.delete(ann, "a"),
        }
        assert_eq!(host.records.len(), states.len(), "one record a step");
        host.confirm_all();
        host.sent.clear();
        states.push(host.snapshot());
    }
    let (id, records) = (host.id(), std::mem::take(&mut host.records));
    for kept in 0..=records.len() {
        host.disk = records[..kept].iter().map(|(_, bytes)| bytes.clone()).collect();
        host.reopen();
        if kept > 0 {
            assert_eq!(host.id(), id, "the id that wrote the last record");
            assert_eq!(host.snapshot(), states[kept], "after {kept} records");
        }
        assert!(host.replica.is_settled());
    }
    // A hole is not a prefix.
    let mut fresh = Host::new(stored(edge("paris")));
    fresh.replica.load(&records[0].1, START).unwrap();
    assert_eq!(code(fresh.replica.load(&records[2].1, START)), ErrorCode::StaleReplica);
}

#[test]
fn a_snapshot_stands_for_all_records_before_it() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    for n in 0..3 {
        host.set(ann, &format!("k{n}"), "v");
    }
    let (upto, snapshot) = host.replica.compaction();
    host.drain();
    host.set(ann, "k0", "w");
    let state = host.snapshot();
    let (id, later) = (host.id(), host.records.iter().filter(|(n, _)| *n > upto).map(|(_, bytes)| bytes.clone()));
    host.disk = [snapshot].into_iter().chain(later).collect();
    assert_eq!(host.disk.len(), 2);
    host.reopen();
    assert_eq!((host.id(), host.snapshot()), (id, state));
}

#[test]
fn a_write_that_was_lost_before_it_was_durable_leaves_no_trace_anywhere() {
    let (mut host, mut peer) = edge_with_a_peer();
    let ann = host.session();
    host.set(ann, "k", "durable");
    host.confirm_all();
    carry(&mut host, &mut peer);
    host.set(ann, "k", "lost");
    host.crash();
    host.replica.link_up(LINK, START);
    host.drain();
    let ann = host.session();
    assert_eq!(host.get(ann, "k", THROW), Ok(Some("durable".into())));
    // Its dot may be given again, because nobody has heard of it.
    host.set(ann, "k", "again");
    host.confirm_all();
    carry(&mut host, &mut peer);
    assert_eq!((host.holds().as_str(), peer.holds().as_str()), ("<paris:2>", "<paris:2>"));
    let reader = peer.session();
    assert_eq!(peer.get(reader, "k", THROW), Ok(Some("again".into())));
}

// ── Amnesia ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// An edge that has told of three writes, and was then set back by its storage to the first.
fn set_back(config: edge_session::replica::Config) -> Host {
    let mut host = Host::new(stored(config));
    let ann = host.session();
    for value in ["1", "2", "3"] {
        host.set(ann, "k", value);
    }
    host.confirm_all();
    host.crash_with(1);
    assert_eq!(host.vector().get(host.id()), 1);
    host
}

/// Writes, and tells whether the replica has taken a new id for it.
fn renames(host: &mut Host, old: ReplicaId) -> bool {
    let ann = host.session();
    host.set(ann, "probe", "v");
    host.confirm_all();
    let renamed = host.id() != old;
    let event = host.events.iter().any(|event| matches!(event, Event::Renamed { old: was, .. } if *was == old));
    assert_eq!(renamed, event, "a new id is announced");
    assert_eq!(host.id().label(), old.label());
    let winner = host.replica.store().live(&host.space(), "probe").unwrap().winner().unwrap().dot;
    assert_eq!(winner, Dot::new(host.id(), if renamed { 1 } else { winner.sequence }));
    renamed
}

#[test]
fn a_replica_that_sees_its_own_forgotten_writes_takes_a_new_id_before_it_writes() {
    let other = ReplicaId::new("tokyo", [9; 10]).unwrap();
    let space = Host::new(tab("x")).space();
    for own in [1, 3] {
        let vector = |id| VersionVector::from_iter([(id, own)]);
        let empty = VersionVector::new();
        let delta = |id: ReplicaId| edge_session::store::delta::Delta {
            space: space.clone(),
            from: vector(id),
            to: vector(id),
            hlc: edge_session::time::Hlc::new(START, 9),
            keys: Vec::new(),
        };
        let carriers: [(&str, Box<dyn Fn(ReplicaId) -> Message>); 6] = [
            ("hello", Box::new(|id| Message::hello(vec![(space.clone(), vector(id))], false))),
            ("ack", Box::new(|id| Message::Ack { space: space.clone(), vector: vector(id) })),
            ("behind", Box::new(|id| Message::Behind { space: space.clone(), vector: vector(id) })),
            ("delta", Box::new(|id| Message::Delta(delta(id)))),
            ("top-up", Box::new(|id| Message::TopUp { base: vector(id), delta: delta(id) })),
            (
                "want",
                Box::new(|id| Message::Want {
                    space: space.clone(),
                    from: empty.clone(),
                    base: vector(id),
                    after: None,
                }),
            ),
        ];
        for (name, carrier) in carriers {
            let mut host = set_back(edge("paris"));
            let old = host.id();
            let frame = Frame { from: other, to: Some(host.id()), messages: vec![carrier(host.id())] }.encode();
            host.replica.link_up(LINK, START);
            host.receive(LINK, &frame).unwrap();
            assert_eq!(renames(&mut host, old), own == 3, "{name} with {own}");

            let mut host = set_back(edge("paris"));
            let old = host.id();
            let frame = Frame { from: other, to: Some(host.id()), messages: vec![carrier(host.id())] }.encode();
            host.try_exchange(&frame).unwrap();
            assert_eq!(renames(&mut host, old), own == 3, "{name} with {own}, by exchange");
        }
    }
}

#[test]
fn a_forgotten_write_is_noticed_in_a_signed_token() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    for value in ["1", "2", "3"] {
        host.set(ann, "k", value);
    }
    host.confirm_all();
    let token = host.token(ann);
    for by_merge in [false, true] {
        let mut host = set_back(edge("paris"));
        let old = host.id();
        if by_merge {
            let bob = host.session();
            host.replica.merge(bob, &token, START).unwrap();
        } else {
            host.resume(&token);
        }
        assert!(renames(&mut host, old));
    }
}

/// A token of nobody that depends on what `id` has not written.
fn forged_suffix(id: ReplicaId) -> String {
    let mut seen = SessionVector::default();
    seen.record_read(&Host::new(tab("x")).space(), Dot::new(id, 1_000_000));
    SessionToken::anonymous().with_unsigned(&seen).to_text()
}

#[test]
fn a_forged_suffix_does_not_make_a_trusted_replica_change_its_id() {
    let mut host = Host::new(edge("paris"));
    let old = host.id();
    let forged = forged_suffix(old);
    let ann = host.session();
    host.replica.merge(ann, &forged, START).unwrap();
    let mallory = host.resume(&forged);
    assert!(!renames(&mut host, old));
    assert_eq!(code(host.get(mallory, "k", THROW)), ErrorCode::StaleReplica, "its bearer waits, nobody else does");

    // A tab verifies nothing, and a new id costs it nothing that it has a name for.
    let mut tab = Host::new(tab("tab"));
    let old = tab.id();
    tab.resume(&forged_suffix(old));
    assert!(renames(&mut tab, old));
}

#[test]
fn a_trusted_replica_does_not_sign_what_it_was_told_without_proof() {
    let mut host = Host::new(edge("paris"));
    let old = host.id();
    let forged = forged_suffix(old);
    let mallory = host.resume(&forged);
    let laundered = host.token(mallory);
    assert_eq!(depended(&laundered, host.id()), 1_000_000, "nothing that came in is lost");
    let token = Keyring::new([("k1", &common::KEY[..])]).unwrap().open(&laundered, START, "edge-session", 0).unwrap();
    assert!(token.signed().is_empty(), "but it is not vouched for either");
    host.resume(&laundered);
    assert!(!renames(&mut host, old), "or the second visit would do what the first could not");
}

#[test]
fn a_clone_of_the_storage_is_noticed_by_the_one_that_has_written_less() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    host.set(ann, "k", "v");
    host.confirm_all();
    let old = host.id();
    let mut clone = Host::new(stored(edge("paris")));
    clone.disk = host.records.iter().map(|(_, bytes)| bytes.clone()).collect();
    clone.reopen();
    assert_eq!(clone.id(), old);
    host.set(ann, "k", "w");
    host.confirm_all();
    let hello = host.exchange(&[]);
    clone.replica.link_up(LINK, START);
    clone.receive(LINK, &hello).unwrap();
    assert!(renames(&mut clone, old));
}

#[test]
fn an_id_that_was_given_up_stays_given_up_after_a_crash() {
    // The peer knows two of the three forgotten writes; somebody else may know the third.
    let mut host = set_back(edge("paris"));
    let old = host.id();
    let other = ReplicaId::new("tokyo", [9; 10]).unwrap();
    let hello = Message::hello(vec![(host.space(), VersionVector::from_iter([(old, 2)]))], false);
    let frame = Frame { from: other, to: Some(old), messages: vec![hello] }.encode();
    host.replica.link_up(LINK, START);
    host.receive(LINK, &frame).unwrap();
    host.confirm_all();
    host.crash();
    let ann = host.session();
    host.set(ann, "probe", "v");
    let dot = host.replica.store().live(&host.space(), "probe").unwrap().winner().unwrap().dot;
    assert_ne!(dot.replica, old, "{dot} may have been used before");
}

#[test]
fn no_dot_is_used_twice_when_a_replica_that_was_set_back_meets_those_who_remember() {
    let mut paris = Host::new(stored(edge("paris")));
    paris.prompt = true;
    let mut tokyo = Host::new(edge("tokyo"));
    let ann = paris.session();
    for value in ["1", "2", "3"] {
        paris.set(ann, "k", value);
    }
    sync(&mut paris, &mut tokyo);
    paris.crash_with(1);
    // Before it meets anybody it cannot know; whatever it reads, it writes nothing yet.
    let hello = tokyo.exchange(&[]);
    paris.exchange(&hello);
    let ann = paris.session();
    paris.set(ann, "k", "4");
    sync(&mut paris, &mut tokyo);
    assert_eq!(paris.vector().len(), 2, "{}", paris.holds());
    for host in [&mut paris, &mut tokyo] {
        let reader = host.session();
        let mut values: Vec<String> = host.conflicts(reader, "k").iter().map(|item| string(&item.content)).collect();
        values.sort();
        assert_eq!(values, ["3", "4"], "written without knowledge of 3, so beside it");
    }
}

// ── Restore ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn restoring_a_snapshot_joins_it_and_takes_a_new_id() {
    let mut paris = Host::new(edge("paris"));
    let ann = paris.session();
    paris.set(ann, "k", "v");
    let snapshot = paris.replica.snapshot().unwrap();
    paris.set(ann, "k", "w");

    let mut tokyo = Host::new(edge("tokyo"));
    let bob = tokyo.session();
    tokyo.set(bob, "own", "v");
    let old = tokyo.id();
    tokyo.replica.restore(&snapshot, START).unwrap();
    tokyo.drain();
    assert_ne!(tokyo.id(), old);
    assert_eq!(tokyo.get(bob, "k", THROW), Ok(Some("v".into())));
    assert_eq!(tokyo.get(bob, "own", THROW), Ok(Some("v".into())));
    tokyo.set(bob, "own", "w");
    sync(&mut paris, &mut tokyo);
    assert_eq!(paris.get(ann, "own", THROW), Ok(Some("w".into())));

    // Its own snapshot of an earlier time brings nothing back.
    let before = paris.id();
    paris.replica.restore(&snapshot, START).unwrap();
    paris.drain();
    assert_eq!(paris.get(ann, "k", THROW), Ok(Some("w".into())));
    assert_ne!(paris.id(), before);
}

#[test]
fn an_expiry_beyond_the_end_of_time_does_not_make_the_record_unreadable() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    let forever = Mutation { expires_at: Some(u64::MAX), ..put("k", "v") };
    host.ask(ann, batch([forever]), SYNC).unwrap();
    host.confirm_all();
    host.crash();
    let ann = host.session();
    assert_eq!(host.get(ann, "k", THROW), Ok(Some("v".into())));
}

#[test]
fn without_a_storage_everything_leaves_at_once() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    host.try_set(ann, "k", "v", PLAIN).unwrap();
    assert_eq!(depended(&host.token(ann), host.id()), 1);
    assert!(host.replica.snapshot().is_ok());
    assert!(host.records.is_empty());
}

// ── At random ───────────────────────────────────────────────────────────────────────────────────────────────────────

#[derive(Clone, Debug)]
enum Step {
    Write { host: usize, key: u8 },
    Batch { host: usize },
    Deliver { to: usize },
    Lose { to: usize },
    Confirm { host: usize, most: u64 },
    Crash { host: usize },
    Beat,
}

fn any_step() -> impl Strategy<Value = Step> {
    let host = 0..2usize;
    prop_oneof![
        4 => (host.clone(), 0..3u8).prop_map(|(host, key)| Step::Write { host, key }),
        1 => host.clone().prop_map(|host| Step::Batch { host }),
        6 => host.clone().prop_map(|to| Step::Deliver { to }),
        1 => host.clone().prop_map(|to| Step::Lose { to }),
        4 => (host.clone(), 1..4u64).prop_map(|(host, most)| Step::Confirm { host, most }),
        1 => host.prop_map(|host| Step::Crash { host }),
        2 => Just(Step::Beat),
    ]
}

/// Every message says at most what its sender's storage holds, whatever it is that the message says.
fn check_leaks(host: &Host) {
    let durable = host.replica.durable(&host.space());
    for (_, bytes) in &host.sent {
        for message in Frame::decode(bytes).unwrap().messages {
            // `Want` names the other's vector.
            if !matches!(message, Message::Want { .. }) {
                for (_, vector) in message.vectors() {
                    assert!(durable.dominates(vector), "{durable:?} does not cover {message:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn late_storage_crashes_and_loss_neither_leak_nor_fork(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut hosts = [Host::new(stored(edge("paris"))), Host::new(stored(edge("tokyo")))];
        let mut now = START;
        let mut writes = 0;
        for host in &mut hosts {
            host.replica.link_up(LINK, now);
            host.drain();
        }
        for step in steps {
            match step {
                Step::Write { host, key } => {
                    let host = &mut hosts[host];
                    let session = host.session();
                    writes += 1;
                    host.set(session, &format!("k{key}"), &writes.to_string());
                }
                Step::Batch { host } => {
                    let host = &mut hosts[host];
                    let session = host.session();
                    writes += 1;
                    let value = writes.to_string();
                    host.ask(session, batch([put("a", &value), put("b", &value)]), SYNC).unwrap();
                }
                Step::Deliver { to } => {
                    let sent = std::mem::take(&mut hosts[1 - to].sent);
                    sent.iter().for_each(|(_, bytes)| hosts[to].receive(LINK, bytes).unwrap());
                }
                Step::Lose { to } => hosts[1 - to].sent.clear(),
                Step::Confirm { host, most } => {
                    let upto = hosts[host].confirmed + most;
                    let last = hosts[host].records.last().map_or(0, |(n, _)| *n);
                    hosts[host].confirm(upto.min(last));
                }
                Step::Crash { host } => {
                    hosts[host].crash();
                    hosts[host].replica.link_up(LINK, now);
                    hosts[host].drain();
                }
                Step::Beat => {
                    now += 2_000;
                    hosts.iter_mut().for_each(|host| host.at(now));
                }
            }
            hosts.iter().for_each(check_leaks);
        }
        // Calm: storage confirms, messages arrive, and both hold the same.
        for _ in 0..40 {
            now += 1_000;
            for at in 0..2 {
                hosts[at].at(now);
                hosts[at].confirm_all();
                let sent = std::mem::take(&mut hosts[at].sent);
                sent.iter().for_each(|(_, bytes)| hosts[1 - at].receive(LINK, bytes).unwrap());
            }
        }
        hosts.iter().for_each(check_leaks);
        let space = hosts[0].space();
        prop_assert_eq!(hosts[0].vector(), hosts[1].vector());
        let [one, other] = &hosts;
        let live = |host: &Host| -> Vec<_> {
            let keys = host.replica.store().space(&space).into_iter().flat_map(|state| state.iter());
            keys.map(|(key, set)| (key.clone(), set.clone())).collect()
        };
        prop_assert_eq!(live(one), live(other));
        let reader = hosts[0].session();
        let (a, b) = (hosts[0].get(reader, "a", SYNC).unwrap(), hosts[0].get(reader, "b", SYNC).unwrap());
        prop_assert_eq!(a, b, "a batch is one");
    }
}
