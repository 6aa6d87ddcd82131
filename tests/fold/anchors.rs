//! What a replica folds onto: own writes whose past it knows, checkpoints, and when it may.

use super::*;

#[test]
fn a_token_of_few_dependencies_is_left_as_it_is() {
    let mut edge = Host::new(edge("fra1"));
    let session = reader(&mut edge, &mut writers(3));
    let text = sealed(&mut edge, session).unwrap();
    assert_eq!(asks(&text), seen(&edge, session));
    assert_eq!(own(&edge), 0, "and nothing was written for its sake");
}

#[test]
fn what_sixteen_replicas_of_one_label_wrote_needs_no_fold_and_leaves_room_for_twenty_more() {
    let writer = |number: u8| {
        let mut host = Host::new(Config { seed: [number; 32], ..tab("tab") });
        let session = host.session();
        host.set(session, &format!("k{number:02}"), "v");
        host
    };
    let mut edge = Host::new(edge("fra1"));
    let session = reader(&mut edge, &mut (0..16).map(writer).collect::<Vec<_>>());
    let text = sealed(&mut edge, session).unwrap();
    assert_eq!((asks(&text).reads.len(), asks(&text)), (16, seen(&edge, session)));
    assert_eq!(own(&edge), 0, "and nothing was written for its sake");

    let mut more = SessionVector::default();
    (100..120)
        .for_each(|random| more.record_read(&space(), Dot::new(ReplicaId::new("tab", [random; 10]).unwrap(), 70)));
    let text = SessionToken::open_unverified(&text).unwrap().with_unsigned(&more).to_text();
    assert!(text.len() <= TOKEN_BYTES_MAX, "{} bytes", text.len());
    assert_eq!(asks(&text).reads.len(), 36);
}

#[test]
fn the_last_own_write_will_do_where_it_has_seen_everything() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let session = reader(&mut edge, &mut tabs);
    edge.set(session, "answer", "v");
    acknowledge(&mut edge, &mut tabs[0]);
    let text = sealed(&mut edge, session).unwrap();
    let only = VersionVector::from_iter([(edge.id(), 1)]);
    assert_eq!(asks(&text), Dependencies { reads: only.clone(), writes: only });
    assert!(text.len() < 400, "{} bytes", text.len());
    assert_eq!(own(&edge), 1, "no checkpoint was needed");
}

#[test]
fn the_last_own_write_keeps_its_past_when_more_arrives() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY + 1));
    let session = reader(&mut edge, &mut tabs[..MANY]);
    edge.set(session, "answer", "v");
    reads(&mut edge, session, &mut tabs[MANY..]);
    let late = tabs[MANY].id();
    acknowledge(&mut edge, &mut tabs[0]);
    let text = edge.token(session);
    // What came after the write stays beside it; that it is in the past of nothing of the edge's is known.
    assert_eq!(asks(&text).reads, VersionVector::from_iter([(edge.id(), 1), (late, 1)]));
}

#[test]
fn a_write_that_has_not_seen_what_was_read_is_not_folded_onto() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let session = edge.session();
    edge.set(session, "question", "v");
    reads(&mut edge, session, &mut tabs);
    assert_eq!(code(edge.replica.token(session, START)), ErrorCode::TokenTooLarge, "nobody has acknowledged anything");
    edge.drain();
    assert_eq!(own(&edge), 2, "a checkpoint is on its way");
    acknowledge(&mut edge, &mut tabs[0]);
    let asked = asks(&edge.token(session));
    assert_eq!(asked.reads, VersionVector::from_iter([(edge.id(), 2)]));
    assert_eq!(asked.writes, VersionVector::from_iter([(edge.id(), 1)]), "the write is in no need of a fold");
}

#[test]
fn a_checkpoint_touches_no_key_and_travels_like_any_write() {
    let (mut edge, mut tabs) = (Host::new(stored(edge("fra1"))), writers(MANY));
    edge.replica.interest(edge_session::io::Interest { changes: true, conflicts: true, sessions: false });
    let session = reader(&mut edge, &mut tabs);
    let keys = edge.replica.store().len();
    assert_eq!(code(edge.replica.token(session, START)), ErrorCode::TokenTooLarge);
    edge.drain();
    edge.confirm_all();
    assert_eq!((edge.replica.store().len(), own(&edge)), (keys, 1));
    assert!(edge.events.iter().all(|event| !matches!(event, edge_session::io::Event::Conflict { .. })));

    let mut other = Host::new(common::edge("bom1"));
    sync(&mut edge, &mut other);
    assert_eq!(other.vector().get(edge.id()), 1);
    let listed = |host: &mut Host| {
        let session = host.session();
        common::strings(&host.list(session, Range::default()))
    };
    assert_eq!(listed(&mut other), listed(&mut edge));

    // Storage gives it back, and the next dot is another one.
    edge.crash();
    assert_eq!((edge.replica.store().len(), own(&edge)), (keys, 1));
    let ann = edge.session();
    edge.set(ann, "k", "v");
    assert_eq!(own(&edge), 2);
}

#[test]
fn at_most_one_checkpoint_is_made_in_a_sync_interval() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(2 * MANY));
    let (first, second) = tabs.split_at_mut(MANY);
    let session = reader(&mut edge, first);
    assert_eq!(code(edge.replica.token(session, START)), ErrorCode::TokenTooLarge);
    edge.drain();
    acknowledge(&mut edge, &mut first[0]);
    assert_eq!((own(&edge), asks(&edge.token(session)).reads.len()), (1, 1));

    reads(&mut edge, session, second);
    for _ in 0..10 {
        assert_eq!(code(edge.replica.token(session, edge.now)), ErrorCode::TokenTooLarge);
        edge.drain();
        edge.at(edge.now + SYNC_INTERVAL / 11);
        assert_eq!(own(&edge), 1);
    }
    assert!(edge.timeout.is_some_and(|at| at <= START + SYNC_INTERVAL), "it asks to be called when the time has come");
    edge.at(START + SYNC_INTERVAL);
    assert_eq!(own(&edge), 2);
    edge.at(START + 100 * SYNC_INTERVAL);
    assert_eq!(own(&edge), 2, "and only if somebody wants one");
}

#[test]
fn a_clock_that_is_set_back_does_not_put_off_the_next_checkpoint() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(2 * MANY));
    let (first, second) = tabs.split_at_mut(MANY);
    let session = reader(&mut edge, first);
    assert_eq!(code(edge.replica.token(session, START)), ErrorCode::TokenTooLarge);
    edge.drain();
    acknowledge(&mut edge, &mut first[0]);
    reads(&mut edge, session, second);
    let earlier = START - 3_600_000;
    assert_eq!(code(edge.replica.token(session, earlier)), ErrorCode::TokenTooLarge);
    edge.now = earlier;
    edge.drain();
    edge.at(earlier + SYNC_INTERVAL);
    assert_eq!(own(&edge), 2);
}

#[test]
fn a_new_id_folds_onto_nothing_of_the_old_one() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let session = reader(&mut edge, &mut tabs);
    edge.set(session, "answer", "v");
    acknowledge(&mut edge, &mut tabs[0]);
    let old = edge.id();
    assert!(asks(&edge.token(session)).reads.get(old) == 1);
    let snapshot = edge.snapshot();
    edge.replica.restore(&snapshot, START).unwrap();
    edge.drain();
    assert_ne!(edge.id(), old);
    assert_eq!(
        code(edge.replica.token(session, START)),
        ErrorCode::TokenTooLarge,
        "whose life the old id leads is not known"
    );
    edge.drain();
    acknowledge(&mut edge, &mut tabs[0]);
    assert_eq!(asks(&edge.token(session)).reads, VersionVector::from_iter([(edge.id(), 1)]));
}

/// A session at an edge that nobody visits, which has read what many others have left behind.
fn heir(edge: &mut Host) -> SessionHandle {
    for writer in &mut writers(MANY) {
        edge.replica.absorb(&writer.snapshot(), START).unwrap();
    }
    edge.drain();
    let session = edge.session();
    assert!(edge.list(session, Range::default()).len() >= MANY);
    session
}

#[test]
fn the_last_own_write_keeps_its_past_when_what_another_left_behind_is_joined() {
    let mut edge = Host::new(edge("fra1"));
    let author = edge.session();
    edge.set(author, "answer", "v");
    let before = edge.vector();
    let session = heir(&mut edge);
    let text = sealed(&mut edge, session).unwrap();
    assert!(!before.dominates(&asks(&text).reads), "who has only the write has nothing of what was read");
}

#[test]
fn while_the_claim_to_the_id_is_in_doubt_a_checkpoint_takes_a_new_one() {
    let mut edge = Host::new(edge("fra1"));
    let session = heir(&mut edge);
    let (old, taken) = (edge.id(), own(&edge));
    edge.replica.suspect(true);
    let text = sealed(&mut edge, session).unwrap();
    assert_eq!(edge.vector().get(old), taken, "somebody else may take that dot");
    assert_eq!(asks(&text).reads, VersionVector::from_iter([(edge.id(), 1)]));
}
