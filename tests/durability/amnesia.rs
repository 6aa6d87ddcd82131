//! A replica that has forgotten writes of its own, and everything that tells it so.

use super::*;

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
    let winner = host.replica.store().live(&host.space(), "probe").unwrap().winner().unwrap().dot();
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
            keys: edge_session::store::delta::Keys::new(),
        };
        type Carrier<'a> = Box<dyn Fn(ReplicaId) -> Message + 'a>;
        let carriers: [(&str, Carrier<'_>); 6] = [
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
    let dot = host.replica.store().live(&host.space(), "probe").unwrap().winner().unwrap().dot();
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
