//! Nothing escapes: every way out of a replica is tried while storage is late.

use super::*;

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

/// Two requests of one session at once: each has a handle of its own.
#[test]
fn what_a_session_was_shown_of_its_own_it_is_shown_again_at_its_other_handle() {
    let mut host = Host::new(stored(edge("paris")));
    let writer = host.session();
    let token = host.token(writer);
    let reader = host.resume(&token);
    host.set(writer, "cart", "book");
    for _ in 0..2 {
        assert_eq!(host.get(reader, "cart", THROW).unwrap().as_deref(), Some("book"), "it is the session's own");
    }
    // What follows from it is the session's own as well, and none of it leaves.
    host.set(reader, "order", "one book");
    assert_eq!(host.get(writer, "order", THROW).unwrap().as_deref(), Some("one book"));
    assert_eq!(host.get(reader, "order", THROW).unwrap().as_deref(), Some("one book"));
    let stranger = host.session();
    assert_eq!(code(host.get(stranger, "cart", THROW)), ErrorCode::StaleReplica);
    let id = host.id();
    for handle in [writer, reader] {
        assert_eq!(depended(&host.token(handle), id), 0, "nothing of it is durable");
    }
}
