//! Entries that did not see each other: who shows, who is masked, and how they come together again.

use crate::common::host::{Host, SYNC, THROW, sync};
use crate::common::{START, batch, edge, put, strings, tab};
use edge_session::io::{Event, Interest, Outcome};
use edge_session::replica::Config;
use edge_session::store::Mutation;
use edge_session::store::entry::LiveSet;
use edge_session::store::limits::Limits;

/// Hosts that wrote `k` without knowledge of each other, the first at the earliest time, and what each wrote.
fn crowd(size: usize) -> Vec<Host> {
    let host = |at: usize| {
        let mut host = Host::new(tab(&format!("tab{at:02}")));
        host.now = START + at as u64;
        let session = host.session();
        host.set(session, "k", &format!("{at:02}"));
        host
    };
    (0..size).map(host).collect()
}

/// The keys and values of all that shows, at `now`.
fn conflicts(host: &mut Host) -> Vec<String> {
    let session = host.session();
    strings(&host.conflicts(session, "k")).into_iter().map(|(_, value)| value).collect()
}

fn entries(host: &Host) -> usize {
    host.replica.store().live(&host.space(), "k").map_or(0, |set: &LiveSet| set.entries().len())
}

#[test]
fn the_latest_shows_all_are_told_and_the_next_write_resolves() {
    let mut hosts = crowd(3);
    let mut edge = Host::new(edge("fra1"));
    edge.replica.interest(Interest { conflicts: true, ..Interest::default() });
    for host in &mut hosts {
        edge.pull(host);
    }
    let ann = edge.session();
    assert_eq!(edge.get(ann, "k", THROW), Ok(Some("02".into())));
    assert_eq!(conflicts(&mut edge), ["02", "01", "00"]);
    let outcome = edge.read(ann, "k", THROW).unwrap();
    assert!(matches!(outcome, Outcome::Value { conflicts: 2, .. }), "{outcome:?}");
    let told = edge.events.iter().filter(|event| matches!(event, Event::Conflict { key, .. } if &**key == "k")).count();
    assert_eq!(told, 2, "the second and the third met somebody");

    edge.set(ann, "k", "resolved");
    assert_eq!(entries(&edge), 1);
    for host in &mut hosts {
        sync(&mut edge, host);
        assert_eq!(conflicts(host), ["resolved"]);
    }
}

#[test]
fn who_does_not_ask_for_conflicts_hears_of_none() {
    let mut hosts = crowd(3);
    let mut edge = Host::new(edge("fra1"));
    for host in &mut hosts {
        edge.pull(host);
    }
    let ann = edge.session();
    assert_eq!(conflicts(&mut edge).len(), 3);
    assert_eq!(edge.get(ann, "k", THROW), Ok(Some("02".into())));
    assert!(!edge.events.iter().any(|event| matches!(event, Event::Conflict { .. })));
}

#[test]
fn a_deletion_that_wins_masks_its_siblings_and_one_that_loses_does_not_show() {
    for (delay, shows) in [(1_000, None), (0, Some("00"))] {
        let mut hosts = crowd(1);
        hosts[0].now = START + 500;
        let ann = hosts[0].session();
        hosts[0].set(ann, "k", "00");
        let mut other = Host::new(tab("other"));
        other.now = START + delay;
        let bob = other.session();
        other.delete(bob, "k");
        sync(&mut other, &mut hosts[0]);
        assert_eq!(entries(&other), 2);
        assert_eq!(other.get(bob, "k", THROW), Ok(shows.map(Into::into)));
        assert_eq!(conflicts(&mut other), shows.into_iter().collect::<Vec<_>>(), "a tombstone is no value");
        let item = other.replica.peek(bob, "k", other.now).unwrap();
        assert_eq!(item.is_some(), shows.is_some());
    }
}

#[test]
fn an_expired_winner_masks_its_siblings() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    paris.set(ann, "k", "older, without end");
    tokyo.now = START + 10;
    let brief = Mutation { expires_at: Some(START + 1_000), ..put("k", "brief") };
    tokyo.ask(bob, batch([brief]), SYNC).unwrap();
    sync(&mut paris, &mut tokyo);

    paris.now = START + 999;
    assert_eq!(paris.get(ann, "k", THROW), Ok(Some("brief".into())));
    assert_eq!(paris.conflicts(ann, "k").len(), 2);
    paris.now = START + 1_000;
    assert_eq!(paris.get(ann, "k", THROW), Ok(None), "the older one does not come back");
    assert_eq!(paris.conflicts(ann, "k"), []);
    assert_eq!(paris.read(ann, "k", THROW), Ok(Outcome::Absent { stale: false }));
    assert_eq!(entries(&paris), 2, "an expired entry keeps its dot and clock");
}

#[test]
fn an_expired_sibling_does_not_count() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    let brief = Mutation { expires_at: Some(START + 1_000), ..put("k", "brief") };
    tokyo.ask(bob, batch([brief]), SYNC).unwrap();
    paris.now = START + 10;
    paris.set(ann, "k", "later");
    sync(&mut paris, &mut tokyo);
    assert_eq!(paris.conflicts(ann, "k").len(), 2);
    paris.now = START + 1_000;
    assert_eq!(conflicts(&mut paris), ["later"]);
}

#[test]
fn expiry_is_judged_no_earlier_than_the_sessions_token_was_minted() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let ann = paris.session();
    let brief = Mutation { expires_at: Some(START + 60_000), ..put("k", "brief") };
    paris.ask(ann, batch([brief]), SYNC).unwrap();
    sync(&mut paris, &mut tokyo);
    paris.now = START + 120_000;
    let token = paris.token(ann);
    // Tokyo's clock is two minutes slow: what ann knows to be over stays over.
    let ann = tokyo.resume(&token);
    assert_eq!(tokyo.get(ann, "k", THROW), Ok(None));
    let bob = tokyo.session();
    assert_eq!(tokyo.get(bob, "k", THROW), Ok(Some("brief".into())));
}

#[test]
fn tombstones_are_kept() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let ann = paris.session();
    paris.set(ann, "k", "v");
    paris.delete(ann, "k");
    sync(&mut paris, &mut tokyo);
    assert_eq!((entries(&paris), entries(&tokyo)), (1, 1));
    assert_eq!(tokyo.replica.store().len(), 1);
}

#[test]
fn a_trusted_replica_rewrites_a_key_with_too_many_siblings() {
    let limits = Limits { siblings: 4, ..Limits::default() };
    let mut hosts = crowd(8);
    let mut fra1 = Host::new(Config { limits, ..edge("fra1") });
    let mut plain = Host::new(Config { limits, ..tab("tab") });
    for (at, host) in hosts.iter_mut().enumerate() {
        plain.pull(host);
        assert_eq!(entries(&plain), at + 1, "a client only takes note");
        fra1.pull(host);
        assert!(entries(&fra1) <= 4, "{}", entries(&fra1));
    }
    let reader = fra1.session();
    assert_eq!(fra1.get(reader, "k", THROW), Ok(Some("07".into())), "the winner stays the winner");
    sync(&mut fra1, &mut plain);
    assert!(entries(&plain) <= 4);
    assert_eq!(conflicts(&mut plain)[0], "07");
}

#[test]
fn a_rewritten_deletion_stays_a_deletion() {
    let limits = Limits { siblings: 2, ..Limits::default() };
    let mut hosts = crowd(3);
    hosts[2].now = START + 1_000;
    let session = hosts[2].session();
    hosts[2].delete(session, "k");
    let mut fra1 = Host::new(Config { limits, ..edge("fra1") });
    hosts.iter_mut().for_each(|host| fra1.pull(host));
    assert_eq!(entries(&fra1), 1);
    let reader = fra1.session();
    assert_eq!(fra1.get(reader, "k", THROW), Ok(None));
}
