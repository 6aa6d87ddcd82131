//! A glance has a way of its own through the core: it is refused, answered, recorded and counted as the read is that waits for nothing.

use edge_session::error::SessionError;
use edge_session::guarantee::Guarantees;
use edge_session::io::{Answer, Operation, Policy, SessionHandle, Terms};
use edge_session::replica::{Config, SessionInit};
use edge_session::store::entry::Content;

use super::common::host::{Host, PLAIN, SYNC, sync};
use super::common::{START, batch, edge, put};
use super::run;

const SECOND: u64 = 1_000;

/// Both on one of two hosts that have done the same.
#[track_caller]
fn are_alike(
    prepared: impl Fn() -> (Host, SessionHandle),
    key: &str,
    terms: Terms,
) -> Result<Option<Content>, SessionError> {
    let [(mut one, ann), (mut other, same)] = [prepared(), prepared()];
    assert_eq!(ann, same);
    let glanced = one.replica.glance(ann, key, terms, one.now).map(|seen| seen.content);
    one.drain();
    let read = other.ask(ann, Operation::Get(key.into()), Terms { sync: true, ..terms });
    let read = read.map(|answer| match answer {
        Answer::Item(item) => item.map(|item| item.content),
        answer => panic!("{answer:?}"),
    });
    assert_eq!(format!("{glanced:?}"), format!("{read:?}"), "{key} {terms:?}");
    let [glancing, reading] = [&one, &other].map(|host| {
        let vector = host.replica.session(ann).map(|session| session.vector);
        format!("{vector:?} {:?}", host.replica.profile(ann))
    });
    assert_eq!(glancing, reading, "{key} {terms:?}");
    glanced
}

/// A host with one key of each kind, and others read before.
fn furnished() -> (Host, SessionHandle) {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    let mut ends = put("ends", "soon");
    ends.expires_at = Some(START + 2 * SECOND);
    paris.ask(ann, batch([put("k", "value"), ends, put("gone", "v"), put("both", "one")]), SYNC).unwrap();
    paris.delete(ann, "gone");
    tokyo.set(bob, "both", "two");
    sync(&mut paris, &mut tokyo);
    let zoe = paris.session();
    paris.at(START + SECOND);
    (paris, zoe)
}

#[test]
fn a_glance_tells_and_records_what_a_read_does() {
    for key in ["k", "ends", "gone", "both", "nothing", "", &"long".repeat(10_000)] {
        let seen = are_alike(furnished, key, SYNC);
        assert_eq!(seen.is_err(), key.is_empty() || key.len() > 100, "{key}");
        assert_eq!(seen.is_ok_and(|seen| seen.is_some()), ["k", "ends", "both"].contains(&key), "{key}");
        let later = || {
            let (mut host, zoe) = furnished();
            host.now += SECOND;
            (host, zoe)
        };
        assert_eq!(are_alike(later, key, SYNC).is_ok_and(|seen| seen.is_some()), ["k", "both"].contains(&key), "{key}");
    }
}

#[test]
fn a_glance_waits_for_nothing_and_is_served_as_its_terms_say() {
    let policies = [None, Some(Policy::Throw), Some(Policy::Wait), Some(Policy::Serve)];
    for (of_session, on_stale) in policies.into_iter().flat_map(|one| policies.map(|other| (one, other))) {
        for guarantees in [None, Some(Guarantees::NONE), Some(Guarantees::ALL)] {
            let behind = || {
                let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
                let (ann, bob) = (paris.session(), tokyo.session());
                paris.set(ann, "other", "v");
                tokyo.set(bob, "k", "v");
                let token = Some(paris.token(ann));
                let ann = tokyo.open(SessionInit { token, on_stale: of_session, ..SessionInit::default() });
                (tokyo, ann)
            };
            let told = are_alike(behind, "k", Terms { guarantees, on_stale, ..PLAIN });
            let served = on_stale.or(of_session) == Some(Policy::Serve) || guarantees == Some(Guarantees::NONE);
            assert_eq!(told.is_ok(), served, "{of_session:?} {on_stale:?} {guarantees:?}");
        }
    }
}

/// What a session may not read it may not glance at either, and who glances uses his session.
#[test]
fn a_glance_is_of_a_session_that_may_read() {
    let killed = || {
        let (mut host, zoe) = furnished();
        let id = host.replica.session(zoe).unwrap().id;
        let _ = run(&mut host, None, &format!("KILL SESSION '{id}'")).unwrap();
        (host, zoe)
    };
    let closed = || {
        let (mut host, zoe) = furnished();
        host.replica.close_session(zoe);
        (host, zoe)
    };
    let over = || {
        let (mut host, _) = furnished();
        let zoe = host.open(SessionInit { expires_in: Some(10 * SECOND), ..SessionInit::default() });
        host.now += 1_000 * SECOND;
        (host, zoe)
    };
    // No timer has rung.
    let idle = |after: u64| {
        let mut config = edge("fra1");
        config.sessions.idle = Some(10 * SECOND);
        let mut host = Host::new(config);
        let zoe = host.session();
        host.set(zoe, "k", "v");
        host.now += after;
        (host, zoe)
    };
    let nobody = || {
        let mut host = Host::new(Config { host_roles: true, ..edge("fra1") });
        let zoe = host.session();
        (host, zoe)
    };
    assert!(are_alike(killed, "k", SYNC).is_err());
    assert!(are_alike(closed, "k", SYNC).is_err());
    assert!(are_alike(over, "k", SYNC).is_err());
    assert!(are_alike(nobody, "k", SYNC).is_err());
    assert!(are_alike(|| idle(11 * SECOND), "k", SYNC).is_err());
    assert!(are_alike(|| idle(9 * SECOND), "k", SYNC).is_ok());
}

/// A write that waited for what has come is made before anybody is shown its key.
#[test]
fn a_glance_overtakes_nothing_that_began_before_it() {
    let due = || {
        let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
        let ann = paris.session();
        paris.set(ann, "other", "v");
        let ann = tokyo.resume(&paris.token(ann));
        let zoe = tokyo.session();
        let _ = tokyo.wait(ann, batch([put("k", "late")]), Terms { on_stale: Some(Policy::Wait), ..PLAIN });
        let snapshot = paris.replica.snapshot().unwrap();
        tokyo.replica.restore(&snapshot, tokyo.now).unwrap();
        (tokyo, zoe)
    };
    assert!(are_alike(due, "k", SYNC).is_ok_and(|seen| seen.is_some()));
}
