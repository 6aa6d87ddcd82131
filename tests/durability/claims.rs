//! A replica whose claim to its state is in doubt, and one that takes over what another has left: no dot twice, no
//! write lost.

use super::*;

/// The dot of the entry that a key shows.
fn dot(host: &Host, key: &str) -> Dot {
    host.replica.store().live(&host.space(), key).unwrap().winner().unwrap().dot()
}

#[test]
fn while_the_claim_is_in_doubt_the_next_write_takes_a_new_id_and_without_one_nothing_changes() {
    let mut host = Host::new(stored(edge("paris")));
    host.prompt = true;
    let ann = host.session();
    host.set(ann, "a", "1");
    let first = host.id();
    host.replica.suspect(true);
    host.drain();
    assert_eq!(host.id(), first);
    host.replica.suspect(false);
    host.set(ann, "b", "1");
    assert_eq!(dot(&host, "b"), Dot::new(first, 2), "the claim was kept");

    host.replica.suspect(true);
    host.set(ann, "c", "1");
    let second = host.id();
    assert_ne!(second, first);
    assert_eq!(dot(&host, "c"), Dot::new(second, 1));
    assert!(host.events.contains(&Event::Renamed { old: first, new: second }));
    host.set(ann, "d", "1");
    assert_eq!(dot(&host, "d"), Dot::new(second, 2), "one new id is enough");
    host.crash();
    assert_eq!(host.id(), second);
}

#[test]
fn a_renewed_replica_keeps_its_data_and_its_new_id_survives_a_crash() {
    let mut host = Host::new(stored(edge("paris")));
    host.prompt = true;
    let ann = host.session();
    host.set(ann, "a", "1");
    let old = host.id();
    host.replica.renew(START);
    host.drain();
    let new = host.id();
    assert_ne!(new, old);
    host.crash();
    assert_eq!(host.id(), new);
    let ann = host.session();
    assert_eq!(host.get(ann, "a", THROW), Ok(Some("1".into())));
}

#[test]
fn what_another_left_behind_is_joined_stored_and_sent_on_under_the_own_id() {
    let mut left = Host::new(stored(edge("left")));
    left.prompt = true;
    let ann = left.session();
    left.set(ann, "common", "old");
    let mut host = Host::new(stored(edge("host")));
    host.prompt = true;
    sync(&mut left, &mut host);
    left.set(ann, "common", "new");
    left.set(ann, "unsent", "1");
    let orphan = left.id();

    let bob = host.session();
    host.set(bob, "own", "1");
    let id = host.id();
    for (_, record) in &left.records {
        host.replica.absorb(record, START).unwrap();
    }
    host.drain();
    assert_eq!(host.id(), id);
    assert_eq!(dot(&host, "unsent").replica, orphan);

    host.crash();
    assert_eq!(host.id(), id, "the record of what was absorbed is the own one");
    let mut peer = Host::new(edge("peer"));
    sync(&mut host, &mut peer);
    let carol = peer.session();
    for (key, value) in [("common", "new"), ("unsent", "1"), ("own", "1")] {
        assert_eq!(peer.get(carol, key, THROW), Ok(Some(value.into())), "{key}");
    }
}

#[test]
fn what_another_left_behind_tells_of_forgotten_writes_too() {
    let mut host = Host::new(stored(edge("host")));
    host.prompt = true;
    let ann = host.session();
    host.set(ann, "a", "1");
    let mut left = Host::new(stored(edge("left")));
    left.prompt = true;
    host.set(ann, "a", "2");
    sync(&mut host, &mut left);
    host.crash_with(1);
    let old = host.id();
    for (_, record) in &left.records {
        host.replica.absorb(record, START).unwrap();
    }
    host.drain();
    assert_ne!(host.id(), old);
}
