//! `sealed()` and the getter: what each waits for, and what a folded token does where it arrives.

use super::*;

/// Begins to seal, which must have to wait.
fn seal(host: &mut Host, session: SessionHandle, timeout: u64) -> edge_session::io::WaitId {
    host.wait(session, Operation::Seal, Terms { timeout: Some(timeout), ..PLAIN })
}

#[test]
fn sealing_waits_until_storage_and_a_peer_have_what_it_folds_onto() {
    let (mut edge, mut tabs) = (Host::new(stored(edge("fra1"))), writers(MANY));
    let session = reader(&mut edge, &mut tabs);
    let wait = seal(&mut edge, session, 1_000);
    assert_eq!(own(&edge), 1);
    // Neither of the two alone is enough; and no message tells of the checkpoint before storage has it.
    let hello = tabs[0].exchange(&[]);
    assert_eq!(edge.try_exchange(&hello), Ok(None));
    assert!(edge.taken(wait).is_none());
    edge.confirm_all();
    assert!(edge.taken(wait).is_none(), "no peer has it");
    assert_eq!(code(edge.replica.token(session, START)), ErrorCode::TokenTooLarge);

    acknowledge(&mut edge, &mut tabs[0]);
    let Some(Ok(Answer::Token(text))) = edge.taken(wait) else { panic!("not sealed") };
    assert_eq!(asks(&text).reads, VersionVector::from_iter([(edge.id(), 1)]));
    assert_eq!(edge.token(session), text, "the getter has it too now");
}

#[test]
fn a_replica_without_peers_waits_for_none_but_for_its_storage() {
    let (mut edge, mut tabs) = (Host::new(stored(edge("fra1"))), writers(MANY));
    let session = reader(&mut edge, &mut tabs);
    // Who came by request and has stayed away for long is no peer any more.
    edge.at(START + 60_000);
    let wait = seal(&mut edge, session, 1_000);
    assert!(edge.taken(wait).is_none());
    edge.confirm_all();
    let Some(Ok(Answer::Token(text))) = edge.taken(wait) else { panic!("not sealed") };
    assert_eq!(asks(&text).reads, VersionVector::from_iter([(edge.id(), 1)]));
}

#[test]
fn a_lone_replica_in_memory_folds_at_once() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let session = reader(&mut edge, &mut tabs);
    edge.at(START + 60_000);
    assert_eq!(asks(&edge.token(session)).reads, VersionVector::from_iter([(edge.id(), 1)]));
}

#[test]
fn a_peer_on_a_link_is_waited_for_however_long_it_is_silent() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let session = reader(&mut edge, &mut tabs);
    edge.replica.link_up(edge_session::io::LinkId(1), START);
    edge.drain();
    let mut peer = Host::new(common::edge("bom1"));
    let hello = peer.exchange(&[]);
    edge.receive(edge_session::io::LinkId(1), &hello).unwrap();
    edge.at(START + 60_000);
    assert_eq!(code(edge.replica.token(session, edge.now)), ErrorCode::TokenTooLarge);
}

#[test]
fn what_no_peer_takes_in_time_can_be_sealed_later() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let session = reader(&mut edge, &mut tabs);
    let wait = seal(&mut edge, session, 800);
    edge.at(START + 799);
    assert!(edge.taken(wait).is_none());
    edge.at(START + 800);
    let error = edge.taken(wait).unwrap().unwrap_err();
    assert_eq!((error.code(), error.code().retryable()), (ErrorCode::Timeout, true));
    acknowledge(&mut edge, &mut tabs[0]);
    assert!(sealed(&mut edge, session).is_ok());
}

#[test]
fn a_session_that_goes_on_reading_is_sealed_with_its_next_checkpoint() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(2 * MANY));
    let (first, second) = tabs.split_at_mut(MANY);
    let session = reader(&mut edge, first);
    let one = seal(&mut edge, session, 1_000);
    reads(&mut edge, session, second);
    acknowledge(&mut edge, &mut first[0]);
    assert!(edge.taken(one).is_none(), "it covers what the session depends on when it is minted");
    edge.at(START + SYNC_INTERVAL);
    acknowledge(&mut edge, &mut first[0]);
    let Some(Ok(Answer::Token(text))) = edge.taken(one) else { panic!("not sealed") };
    assert_eq!(asks(&text).reads, VersionVector::from_iter([(edge.id(), 2)]));
}

#[test]
fn where_a_folded_token_arrives_its_bearer_waits_for_all_that_it_stands_for() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let session = reader(&mut edge, &mut tabs);
    edge.set(session, "answer", "v");
    acknowledge(&mut edge, &mut tabs[0]);
    let text = sealed(&mut edge, session).unwrap();

    let mut other = Host::new(common::edge("bom1"));
    let there = other.resume(&text);
    for at in (0..MANY).rev() {
        other.pull(&mut tabs[at]);
        // The first of them holds everything, the edge's write too.
        let served = other.get(there, "k00", THROW).is_ok();
        assert_eq!(served, at == 0, "after the tab number {at}");
    }
    assert_eq!(other.get(there, "answer", SYNC), Ok(Some("v".into())));
    assert_eq!(other.replica.missing(there, None, START), Ok(vec![]));
}

#[test]
fn a_session_of_one_guarantee_is_held_to_it_by_a_folded_token() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let own_writes = SessionInit { guarantees: Some(Guarantees::from_bits(1).unwrap()), ..SessionInit::default() };
    let session = edge.open(own_writes);
    // It writes at many places and reads nothing.
    for tab in &mut tabs {
        let there = tab.resume(&edge.token(session));
        tab.set(there, "own", "v");
        let token = tab.token(there);
        edge.pull(tab);
        edge.replica.merge(session, &token, edge.now).unwrap();
        acknowledge(&mut edge, tab);
        edge.at(edge.now + SYNC_INTERVAL);
    }
    let text = sealed(&mut edge, session).unwrap();
    let asked = asks(&text);
    assert!(asked.reads.is_empty(), "who has read nothing is not made to have read");
    assert!(asked.writes.get(edge.id()) > 0 && asked.writes.len() < MANY, "{:?}", asked.writes);

    let mut other = Host::new(common::edge("bom1"));
    let there = other.resume(&text);
    tabs[..MANY / 2].iter_mut().for_each(|tab| other.pull(tab));
    let lacks = !other.vector().dominates(&seen(&edge, session).writes);
    assert!(lacks && other.get(there, "own", THROW).is_err(), "a write of its own is not here");
    other.pull(&mut edge);
    assert!(other.get(there, "own", THROW).is_ok());
}

#[test]
fn folded_and_unfolded_tokens_of_one_session_join() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let session = reader(&mut edge, &mut tabs);
    edge.set(session, "answer", "v");
    acknowledge(&mut edge, &mut tabs[0]);
    let folded = sealed(&mut edge, session).unwrap();

    // A tab goes on from it, reads what the edge has not seen, and the two meet again at a third place.
    let tab = &mut tabs[0];
    let there = tab.resume(&folded);
    tab.set(there, "more", "v");
    let longer = tab.token(there);
    assert!(longer.starts_with(folded.trim_end_matches('~')) && longer.len() > folded.len());
    let mut other = Host::new(common::edge("bom1"));
    let joined = other.resume(&folded);
    other.replica.merge(joined, &longer, START).unwrap();
    let expected = VersionVector::from_iter([(edge.id(), 1), (tabs[0].id(), 2)]);
    assert_eq!(asks(&other.token(joined)).writes, expected);
    other.pull(&mut edge);
    assert!(other.get(joined, "answer", THROW).is_err(), "what was added is not here");
    other.pull(&mut tabs[0]);
    assert_eq!(other.get(joined, "more", THROW), Ok(Some("v".into())));
}

#[test]
fn who_holds_no_key_has_room_for_what_it_adds() {
    let (mut edge, mut tabs) = (Host::new(edge("fra1")), writers(MANY));
    let session = reader(&mut edge, &mut tabs[..9]);
    let mut peer = Host::new(common::edge("bom1"));
    let text = sealed(&mut edge, session).unwrap();
    assert!(text.len() > 512 && text.len() <= TOKEN_BYTES_MAX, "it fits as it is: nobody is made to wait");
    acknowledge(&mut edge, &mut peer);
    let text = sealed(&mut edge, session).unwrap();
    assert!(text.len() <= 512, "but is folded once that costs nothing: {} bytes", text.len());
}
