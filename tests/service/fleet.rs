//! What the whole fleet knows: kills that nobody undoes, and changes of two replicas at once, decided restrictively.

use std::cell::Cell;
use std::rc::Rc;

use edge_session::error::{Details, ErrorCode};
use edge_session::id::Space;
use edge_session::io::Scope;
use edge_session::replica::{Config, SessionInit};
use edge_session::sync::message::{Frame, Message};

use super::common::host::{Host, PLAIN, sync};
use super::common::net::{Net, down};
use super::common::{edge, stored, tab};
use super::{column, run, run_with};

/// Two edges, with accounts that both know.
fn pair() -> (Host, Host) {
    let (mut fra, mut nrt) = (Host::new(edge("fra1")), Host::new(edge("nrt1")));
    run(&mut fra, None, "CREATE SPACE shop; CREATE USER ann; CREATE USER bob; GRANT DBA ON shop TO ann").unwrap();
    sync(&mut fra, &mut nrt);
    (fra, nrt)
}

fn roles(host: &mut Host) -> Vec<String> {
    let table = run(host, None, "SHOW ROLES IN shop").unwrap();
    table.rows.iter().map(|row| format!("{} {}", row[0], row[1])).collect()
}

fn users(host: &mut Host) -> Vec<String> {
    column(&run(host, None, "SHOW USERS").unwrap(), "Account")
}

fn ann(host: &mut Host) -> SessionInit {
    let _ = host;
    SessionInit { user: Some("ann".into()), space: Space::first("shop").ok(), ..SessionInit::default() }
}

#[test]
pub(super) fn a_killed_session_is_refused_wherever_its_kill_is_known() {
    let (mut fra, mut nrt) = pair();
    let init = ann(&mut fra);
    let here = fra.open(init);
    let token = fra.token(here);
    let there = nrt.resume(&token);
    nrt.set(there, "k", "v");
    let id = fra.replica.session(here).unwrap().id;
    assert_eq!(super::count(&run(&mut fra, None, &format!("KILL SESSION '{id}'")).unwrap()), 1);
    let killed = fra.get(here, "k", PLAIN).unwrap_err();
    assert_eq!(killed.code(), ErrorCode::SessionKilled);
    assert_eq!(killed.details(), &Details::Killed { by: None, why: None });
    assert!(nrt.get(there, "k", PLAIN).is_ok(), "the kill is not known there yet");
    sync(&mut fra, &mut nrt);
    assert_eq!(nrt.get(there, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionKilled, "in use");
    let again = nrt.resume(&token);
    assert_eq!(nrt.get(again, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionKilled, "coming again");
    let fresh = nrt.open(SessionInit { token: Some(token), anonymous_if_refused: true, ..SessionInit::default() });
    assert!(nrt.replica.session(fresh).unwrap().refused.is_none(), "who asked for it gets an anonymous one");
    assert_ne!(nrt.replica.session(fresh).unwrap().id, id);
    assert_eq!(super::count(&run(&mut nrt, None, &format!("KILL SESSION '{id}'")).unwrap()), 0, "it is dead already");
}

#[test]
fn two_kills_at_once_are_one_and_the_earlier_tells_why() {
    let (mut fra, mut nrt) = pair();
    let init = ann(&mut fra);
    let here = fra.open(init);
    let token = fra.token(here);
    let there = nrt.resume(&token);
    let id = fra.replica.session(here).unwrap().id;
    let root = fra.open(SessionInit { user: Some("root".into()), ..SessionInit::default() });
    run(&mut fra, root, &format!("KILL SESSION '{id}'")).unwrap();
    nrt.at(nrt.now + 10);
    nrt.replica.end_session(there, nrt.now).unwrap();
    nrt.drain();
    sync(&mut fra, &mut nrt);
    for host in [&mut fra, &mut nrt] {
        let again = host.resume(&token);
        let error = host.get(again, "k", PLAIN).unwrap_err();
        assert_eq!(error.code(), ErrorCode::SessionKilled);
        assert_eq!(error.details(), &Details::Killed { by: Some("root".into()), why: None });
    }
}

#[test]
fn a_logout_acts_everywhere_and_is_no_kill() {
    let (mut fra, mut nrt) = pair();
    let init = ann(&mut fra);
    let here = fra.open(init);
    let token = fra.token(here);
    fra.replica.end_session(here, fra.now).unwrap();
    fra.drain();
    assert_eq!(fra.get(here, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
    sync(&mut fra, &mut nrt);
    let there = nrt.resume(&token);
    assert_eq!(nrt.get(there, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
}

#[test]
fn what_was_killed_stays_so_after_a_restart() {
    let mut host = Host::new(stored(edge("fra1")));
    let session = host.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    let token = host.token(session);
    let id = host.replica.session(session).unwrap().id;
    let begun = host.replica.run(None, &format!("KILL SESSION '{id}'"), &[], PLAIN, host.now).unwrap();
    assert!(matches!(begun, edge_session::io::Progress::Waiting(_)), "success is not told before storage has it");
    assert_eq!(host.get(session, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionKilled, "but it acts at once");
    host.drain();
    host.confirm_all();
    host.crash();
    let again = host.resume(&token);
    assert_eq!(host.get(again, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionKilled);
}

#[test]
pub(super) fn a_grant_and_a_demotion_at_once_leave_the_lower_role() {
    let (mut fra, mut nrt) = pair();
    run(&mut fra, None, "GRANT GUEST ON shop TO ann").unwrap();
    // Later, and so the winner if the last writer won.
    nrt.at(nrt.now + 1_000);
    run(&mut nrt, None, "GRANT ADMIN ON shop TO ann").unwrap();
    sync(&mut fra, &mut nrt);
    assert_eq!((roles(&mut fra), roles(&mut nrt)), (vec!["ann GUEST".into()], vec!["ann GUEST".into()]));

    let (mut fra, mut nrt) = pair();
    run(&mut fra, None, "REVOKE DBA ON shop FROM ann").unwrap();
    nrt.at(nrt.now + 1_000);
    run(&mut nrt, None, "GRANT ADMIN ON shop TO ann").unwrap();
    sync(&mut fra, &mut nrt);
    assert_eq!((roles(&mut fra), roles(&mut nrt)), (vec![], vec![]), "a revocation is the lowest of all");
    run(&mut nrt, None, "GRANT USER ON shop TO ann").unwrap();
    sync(&mut fra, &mut nrt);
    assert_eq!(roles(&mut fra), ["ann USER"], "who has seen both decides");
}

#[test]
pub(super) fn a_drop_beats_what_was_done_beside_it() {
    let (mut fra, mut nrt) = pair();
    run(&mut fra, None, "DROP USER ann").unwrap();
    nrt.at(nrt.now + 1_000);
    run(&mut nrt, None, "ALTER USER ann WITH PASSWORD 'x'; GRANT ADMIN ON shop TO ann").unwrap();
    sync(&mut fra, &mut nrt);
    for host in [&mut fra, &mut nrt] {
        assert_eq!(users(host), ["bob", "root"]);
        assert!(roles(host).is_empty());
    }
    run(&mut fra, None, "CREATE USER ann").unwrap();
    sync(&mut fra, &mut nrt);
    assert_eq!(users(&mut nrt), ["ann", "bob", "root"]);
    assert!(roles(&mut nrt).is_empty(), "another of the same name has none of its roles");
}

#[test]
pub(super) fn an_account_that_was_created_twice_is_nobodys_until_god_decides() {
    let (mut fra, mut nrt) = pair();
    run_with(&mut fra, None, "CREATE USER eve WITH PASSWORD 'a'; GRANT USER ON shop TO eve", &["one"]).unwrap();
    run_with(&mut nrt, None, "CREATE USER eve WITH PASSWORD 'b'; GRANT USER ON shop TO eve", &["two"]).unwrap();
    sync(&mut fra, &mut nrt);
    for host in [&mut fra, &mut nrt] {
        assert_eq!(users(host), ["ann", "bob", "eve", "root"]);
        assert_eq!(roles(host), ["ann DBA"]);
        let secrets = host.replica.secrets(None, "CHANGE PASSWORD eve FROM 'a' TO 'c'").unwrap();
        assert!(matches!(&secrets[0], edge_session::replica::Hashing::Check(_, None)), "no password opens it");
    }
    run_with(&mut nrt, None, "ALTER USER eve WITH PASSWORD 'c'; GRANT USER ON shop TO eve", &["three"]).unwrap();
    sync(&mut fra, &mut nrt);
    assert_eq!(roles(&mut fra), ["ann DBA", "eve USER"]);
}

#[test]
fn an_account_of_which_another_replica_knows_an_older_one_is_nobodys_from_then_on() {
    let (mut fra, mut nrt) = pair();
    run_with(&mut nrt, None, "CREATE USER eve WITH PASSWORD 'b'", &["two"]).unwrap();
    fra.at(fra.now + 10);
    run_with(&mut fra, None, "CREATE USER eve WITH PASSWORD 'a'; GRANT USER ON shop TO eve", &["one"]).unwrap();
    fra.at(fra.now + 10);
    let eve = SessionInit { user: Some("eve".into()), space: Space::first("shop").ok(), ..SessionInit::default() };
    let session = fra.open(eve);
    fra.set(session, "k", "v");
    // A login that began before compares its password with the hash of the one that wins.
    assert_eq!(fra.replica.login_hash("eve", fra.now), Ok(Some("one".into())));
    sync(&mut fra, &mut nrt);
    assert_eq!(roles(&mut fra), ["ann DBA"]);
    assert_eq!(fra.get(session, "k", PLAIN).unwrap_err().code(), ErrorCode::PermissionDenied);
    let login = |host: &mut Host, user| host.replica.login(user, true, SessionInit::default(), host.now);
    assert_eq!(login(&mut fra, "eve").unwrap_err().code(), ErrorCode::BadCredentials);
    // Nor is there a password that is the right one where there is none.
    assert_eq!(login(&mut fra, "bob").unwrap_err().code(), ErrorCode::BadCredentials);
}

#[test]
fn a_space_that_was_dropped_and_created_again_is_another() {
    let (mut fra, mut nrt) = pair();
    let init = ann(&mut fra);
    let session = fra.open(init);
    fra.set(session, "k", "v");
    run(&mut nrt, None, "DROP SPACE shop; CREATE SPACE shop").unwrap();
    sync(&mut fra, &mut nrt);
    assert_eq!(fra.get(session, "k", PLAIN).unwrap_err().code(), ErrorCode::SpaceNotFound);
    assert!(roles(&mut fra).is_empty(), "its roles were those of the one before");
    run(&mut fra, None, "GRANT USER ON shop TO ann").unwrap();
    run(&mut fra, session, "USE shop").unwrap();
    assert_eq!(fra.get(session, "k", PLAIN), Ok(None));
}

/// Nothing will ever change there, and by nothing else would who follows it hear.
#[test]
fn who_follows_keys_of_a_space_is_told_that_it_was_dropped() {
    let (mut fra, mut nrt) = pair();
    let init = ann(&mut fra);
    let (here, elsewhere) = (fra.open(init.clone()), fra.open(SessionInit { space: None, ..init }));
    run(&mut fra, None, "GRANT USER ON default TO ann").unwrap();
    let watch =
        |host: &mut Host, session| host.replica.watch(session, Scope::Prefix(String::new()), PLAIN, host.now).unwrap();
    let (dropped, other) = (watch(&mut fra, here), watch(&mut fra, elsewhere));
    fra.watched.clear();
    run(&mut nrt, None, "DROP SPACE shop; CREATE SPACE shop").unwrap();
    sync(&mut fra, &mut nrt);
    assert_eq!(fra.watched, [dropped]);
    assert_eq!(fra.next(dropped).unwrap_err().code(), ErrorCode::SpaceNotFound);
    assert_eq!(fra.next(other), Ok(vec![]));
    fra.watched.clear();
    fra.at(fra.now + 10_000);
    assert!(fra.watched.is_empty());
}

/// Whoever begins a session there names the space, as all do: not which generation of it is open.
#[test]
fn a_session_begins_in_the_generation_of_its_space_that_is_open() {
    let (mut fra, mut nrt) = pair();
    let (init, shop) = (ann(&mut fra), Space::first("shop").unwrap());
    let old = fra.open(SessionInit { space: Some(shop.clone()), ..init.clone() });
    let token = fra.token(old);
    run(&mut fra, None, "DROP SPACE shop; CREATE SPACE shop; GRANT USER ON shop TO ann").unwrap();
    sync(&mut fra, &mut nrt);
    for host in [&mut fra, &mut nrt] {
        for given in [
            SessionInit { space: Some(shop.clone()), ..init.clone() },
            SessionInit { visit: Some(shop.clone()), ..init.clone() },
        ] {
            let session = host.open(given);
            host.set(session, "k", "v");
            assert_eq!(host.get(session, "k", PLAIN), Ok(Some("v".into())));
        }
        let resumed = host.resume(&token);
        assert_eq!(
            host.get(resumed, "k", PLAIN).unwrap_err().code(),
            ErrorCode::SpaceNotFound,
            "a token names its generation"
        );
    }
    run(&mut fra, None, "DROP SPACE shop").unwrap();
    let late = fra.open(SessionInit { space: Some(shop), ..init });
    assert_eq!(fra.get(late, "k", PLAIN).unwrap_err().code(), ErrorCode::SpaceNotFound);
}

/// A tab has no records: it goes by the token that it is given, and by what it has received.
#[test]
fn a_tab_begins_in_the_generation_of_which_it_has_heard() {
    let (mut fra, mut nrt) = pair();
    let init = ann(&mut fra);
    run(&mut fra, None, "DROP SPACE shop; CREATE SPACE shop; GRANT USER ON shop TO ann").unwrap();
    let session = fra.open(init.clone());
    fra.set(session, "k", "v");
    let token = fra.token(session);
    let named = |host: &mut Host, token: Option<&String>| {
        let init = SessionInit { token: token.cloned(), user: None, ..init.clone() };
        let session = host.open(init);
        host.replica.session(session).unwrap().space.generation()
    };
    let mut tab = Host::new(tab("tab"));
    assert_eq!((named(&mut tab, Some(&token)), named(&mut tab, None)), (2, 1));
    // Nor does an edge take who comes with it for one of the generation before, which it has not heard the end of.
    assert_eq!(named(&mut nrt, Some(&token)), 2);
    let held = fra.replica.snapshot().unwrap();
    tab.replica.restore(&held, tab.now).unwrap();
    assert_eq!(named(&mut tab, None), 2);
}

/// Another edge, whose sessions begin elsewhere, may drop the space in which they begin here.
#[test]
fn a_default_space_that_was_dropped_elsewhere_can_be_created_again() {
    let (mut fra, mut nrt) = (Host::new(Config { space: "shop".into(), ..edge("fra1") }), Host::new(edge("nrt1")));
    run(&mut nrt, None, "CREATE SPACE shop; CREATE USER ann; DROP SPACE shop").unwrap();
    sync(&mut fra, &mut nrt);
    assert_eq!(column(&run(&mut fra, None, "SHOW SPACES").unwrap(), "Name"), [""; 0]);
    assert_eq!(run(&mut fra, None, "GRANT USER ON shop TO ann").unwrap_err().code(), ErrorCode::SpaceNotFound);
    run(&mut fra, None, "CREATE SPACE shop; GRANT USER ON shop TO ann").unwrap();
    assert_eq!(column(&run(&mut fra, None, "SHOW SPACES").unwrap(), "Name"), ["shop"]);
    let session = fra.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    fra.set(session, "k", "v");
    assert_eq!(run(&mut fra, None, "DROP SPACE shop").unwrap_err().code(), ErrorCode::PermissionDenied);
}

#[test]
fn a_new_password_ends_the_sessions_that_came_with_the_old_one() {
    let (mut fra, mut nrt) = pair();
    let init = ann(&mut fra);
    let (before, other) =
        (fra.open(init.clone()), fra.open(SessionInit { user: Some("bob".into()), ..SessionInit::default() }));
    let token = fra.token(before);
    fra.at(fra.now + 5);
    nrt.at(nrt.now + 5);
    run_with(&mut nrt, None, "ALTER USER ann WITH PASSWORD 'x'", &["hash"]).unwrap();
    sync(&mut fra, &mut nrt);
    assert_eq!(fra.get(before, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionKilled);
    let again = nrt.resume(&token);
    assert_eq!(nrt.get(again, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionKilled);
    assert_eq!(fra.replica.session(other).unwrap().refused, None);
    fra.at(fra.now + 5);
    let after = fra.open(init);
    assert!(fra.get(after, "k", PLAIN).is_ok());
}

#[test]
fn a_replica_without_the_secret_keeps_no_accounts_and_kills_only_its_own_sessions() {
    let mut host = Host::new(tab("tab"));
    assert_eq!(run(&mut host, None, "CREATE USER ann").unwrap_err().code(), ErrorCode::PermissionDenied);
    let session = host.session();
    let id = host.replica.session(session).unwrap().id;
    assert_eq!(super::count(&run(&mut host, session, &format!("KILL SESSION '{id}'")).unwrap()), 1);
    assert_eq!(host.get(session, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionKilled);
    assert!(host.replica.store().spaces().next().is_none(), "nothing is written that nobody would believe");
}

/// A peer that has not heard of a drop tells of what the space held, and so does a token: no replica takes that for its own past,
/// which it has lost.
#[test]
fn a_dropped_space_makes_nobody_think_that_it_has_lost_its_state() {
    let (mut fra, mut nrt) = pair();
    let init = ann(&mut fra);
    let session = fra.open(init);
    fra.set(session, "k", "v");
    let token = fra.token(session);
    sync(&mut fra, &mut nrt);
    let id = fra.id();
    run(&mut fra, None, "DROP SPACE shop").unwrap();
    let hello = nrt.exchange(&[]);
    fra.exchange(&hello);
    fra.resume(&token);
    assert_eq!(fra.id(), id, "it has lost nothing");
    sync(&mut fra, &mut nrt);
    assert_eq!(fra.id(), id);
}

/// Nor does it come back with the snapshot of a replica that has not heard, which would be offered to everybody again and again.
#[test]
fn a_dropped_space_does_not_come_back_with_a_snapshot() {
    type Take = fn(&mut Host, &[u8]);
    let takes: [Take; 2] = [
        |fra, bytes| fra.replica.restore(bytes, fra.now).unwrap(),
        |fra, bytes| fra.replica.absorb(bytes, fra.now).unwrap(),
    ];
    for take in takes {
        let (mut fra, mut nrt) = pair();
        let init = ann(&mut fra);
        let session = fra.open(init.clone());
        fra.set(session, "k", "v");
        sync(&mut fra, &mut nrt);
        run(&mut fra, None, "DROP SPACE shop").unwrap();
        let shop = Space::first("shop").unwrap();
        let held = |host: &Host| host.replica.store().space(&shop).is_some();
        assert_eq!((held(&fra), held(&nrt)), (false, true));
        // As a snapshot of several spaces, and as one record.
        let snapshot = nrt.replica.snapshot().unwrap();
        let Frame { from, messages, .. } = Frame::decode(&snapshot).unwrap();
        let of_shop = |message: &Message| matches!(message, Message::Delta(delta) if delta.space == shop);
        let alone = Frame { from, to: None, messages: messages.into_iter().filter(of_shop).collect() }.encode();
        for bytes in [snapshot, alone] {
            take(&mut fra, &bytes);
            fra.drain();
            assert!(!held(&fra));
        }
        sync(&mut fra, &mut nrt);
        assert!(!held(&nrt), "it has heard by now");
    }
}

/// What is under way of a space when the space is dropped is asked for, and waited for, no more: nobody is woken for it again and
/// again.
#[test]
fn a_delta_under_way_when_its_space_is_dropped_wakes_nobody() {
    let (fra, nrt) = pair();
    let mut net = Net::new(vec![fra, nrt]);
    net.connect(0, 1);
    net.run(1_000);
    net.fate = down();
    let init = ann(&mut net.hosts[0]);
    net.with(0, |fra| {
        let session = fra.open(init);
        fra.set(session, "k", "v");
    });
    net.run(10);
    net.with(0, |fra| run(fra, None, "DROP SPACE shop").unwrap());
    net.run(60_000);
    let (now, timeout) = (net.hosts[0].now, net.hosts[0].timeout);
    assert!(timeout.is_none_or(|at| at > now), "{timeout:?} at {now}");
}

/// The same at the other end: of a large delta that comes in slices no further one is asked for.
#[test]
fn slices_of_a_dropped_space_are_asked_for_no_more() {
    let (mut fra, nrt) = pair();
    let init = ann(&mut fra);
    let mut net = Net::new(vec![fra, nrt]);
    net.connect(0, 1);
    net.run(1_000);
    // The first slice comes, no other one does, and each that is asked for is counted.
    let asked = Rc::new(Cell::new(0));
    let (counter, mut slices) = (Rc::clone(&asked), 0);
    net.fate = Box::new(move |flight| {
        let messages = Frame::decode(&flight.bytes).unwrap().messages;
        let has = |is: fn(&Message) -> bool| messages.iter().any(is);
        counter.set(counter.get() + usize::from(has(|message| matches!(message, Message::Want { .. }))));
        slices += usize::from(has(|message| matches!(message, Message::Slice(_))));
        if slices > 1 && has(|message| matches!(message, Message::Slice(_))) {
            vec![]
        } else {
            vec![(5, flight.clone())]
        }
    });
    net.with(0, |fra| {
        let session = fra.open(init);
        (0..100).for_each(|n| drop(fra.set(session, &format!("k{n}"), &"v".repeat(40_000))));
    });
    net.run(20_000);
    assert!(asked.get() >= 2, "it is asked for again and again: {}", asked.get());
    net.with(1, |nrt| run(nrt, None, "DROP SPACE shop").unwrap());
    net.run(100);
    asked.set(0);
    net.run(120_000);
    assert_eq!(asked.get(), 0);
}
