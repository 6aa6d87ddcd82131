//! The sessions of the fleet: lists on any replica, kills of sessions that were never there, hand-overs, and leases.

use std::cell::Cell;
use std::rc::Rc;

use edge_session::error::ErrorCode;
use edge_session::replica::SessionInit;
use edge_session::store::roster::LEASE;
use edge_session::sync::message::{Frame, Message};

use super::common::edge;
use super::common::host::{Host, PLAIN};
use super::common::net::Net;
use super::{column, count, run};

/// Edges in a row that tell each other of their sessions every second.
fn net(labels: &[&str]) -> Net {
    let tells = |label: &&str| {
        let mut config = edge(label);
        config.publish = Some(1_000);
        config.sessions.idle = Some(60_000);
        Host::new(config)
    };
    let mut net = Net::new(labels.iter().map(tells).collect());
    (1..labels.len()).for_each(|at| net.connect(at - 1, at));
    net.run(100);
    net
}

fn user(name: &str) -> SessionInit {
    SessionInit { user: Some(name.into()), ..SessionInit::default() }
}

fn homes(host: &mut Host, statement: &str) -> Vec<String> {
    let table = run(host, None, statement).unwrap();
    let users = column(&table, "UserName").into_iter().zip(column(&table, "GraphAddr"));
    let mut homes: Vec<String> =
        users.map(|(user, home)| format!("{user}@{}", home.split('~').next().unwrap())).collect();
    homes.sort();
    homes
}

#[test]
fn every_replica_lists_the_fleet_and_says_how_old_each_row_is() {
    let mut net = net(&["fra1", "nrt1", "gru1"]);
    net.with(0, |fra| fra.open(user("ann")));
    net.with(2, |gru| gru.open(user("bob")));
    net.run(3_000);
    for at in 0..3 {
        assert_eq!(net.with(at, |host| homes(host, "SHOW SESSIONS")), ["ann@fra1", "bob@gru1"], "host {at}");
    }
    assert!(net.with(1, |nrt| homes(nrt, "SHOW LOCAL SESSIONS")).is_empty());
    let ages = net.with(0, |fra| column(&run(fra, None, "SHOW SESSIONS | ORDER BY $-.UserName").unwrap(), "AgeInMs"));
    assert_eq!(ages[0], "0", "its own it knows");
    let age: u64 = ages[1].parse().unwrap();
    assert!((1_000..=3_000).contains(&age), "{age}");
    // Page by page, by the id of the last row.
    let all = net.with(1, |nrt| column(&run(nrt, None, "SHOW SESSIONS").unwrap(), "SessionId"));
    let text = format!(
        "SHOW SESSIONS | YIELD $-.SessionId AS id WHERE $-.SessionId > '{}' | ORDER BY $-.id | LIMIT 1",
        all[0]
    );
    assert_eq!(net.with(1, |nrt| column(&run(nrt, None, &text).unwrap(), "id")), [all[1].clone()]);
}

#[test]
fn a_kill_reaches_a_session_that_was_never_here_and_its_fence_ends_with_it() {
    let mut net = net(&["fra1", "nrt1"]);
    let ann = net.with(0, |fra| fra.open(user("ann")));
    net.run(3_000);
    let view = net.hosts[0].replica.session(ann).unwrap();
    let killed = net.with(1, |nrt| count(&run(nrt, None, &format!("KILL SESSIONS '{}'", view.id)).unwrap()));
    assert_eq!(killed, 1);
    assert!(net.with(1, |nrt| homes(nrt, "SHOW SESSIONS")).is_empty());
    let until = net.hosts[1].replica.store().fences().get(&view.id).unwrap().until;
    assert!(until < view.expires_at + 3_600_000, "it is known when the session would have ended");
    net.run(1_000);
    assert_eq!(net.with(0, |fra| fra.get(ann, "k", PLAIN)).unwrap_err().code(), ErrorCode::SessionKilled);
    assert!(net.with(0, |fra| homes(fra, "SHOW SESSIONS")).is_empty());
}

#[test]
fn an_ordinary_user_sees_and_kills_their_own_everywhere_and_nobody_elses() {
    let mut net = net(&["fra1", "nrt1"]);
    net.with(0, |fra| run(fra, None, "CREATE USER ann; CREATE USER bob; GRANT USER ON default TO ann").unwrap());
    net.run(3_000);
    let [ann, bob] = ["ann", "bob"].map(|name| net.with(0, |fra| fra.open(user(name))));
    let here = net.with(1, |nrt| nrt.open(user("ann")));
    net.run(3_000);
    let [ann, bob] = [ann, bob].map(|session| net.hosts[0].replica.session(session).unwrap().id);
    let seen = net.with(1, |nrt| column(&run(nrt, here, "SHOW SESSIONS").unwrap(), "UserName"));
    assert_eq!(seen, ["ann", "ann"]);
    let denied = net.with(1, |nrt| run(nrt, here, &format!("KILL SESSION '{bob}'"))).unwrap_err();
    assert_eq!(denied.code(), ErrorCode::PermissionDenied);
    assert_eq!(net.with(1, |nrt| count(&run(nrt, here, &format!("KILL SESSION '{ann}'")).unwrap())), 1);
}

/// Counts what is sent from now on: words about sessions, and messages.
fn listen(net: &mut Net) -> Rc<Cell<(usize, usize)>> {
    let said = Rc::new(Cell::new((0, 0)));
    let counter = Rc::clone(&said);
    net.fate = Box::new(move |flight| {
        let messages = Frame::decode(&flight.bytes).unwrap().messages;
        let told = messages.iter().filter(|message| matches!(message, Message::Roster { told: 1.., .. })).count();
        let (words, all) = counter.get();
        counter.set((words + told, all + 1));
        vec![(5, flight.clone())]
    });
    said
}

#[test]
fn what_changes_of_a_session_is_told_once_an_interval_and_that_it_is_used_in_time_for_its_idle_end() {
    let mut net = net(&["fra1", "nrt1"]);
    let session = net.with(0, Host::session);
    net.run(1_100);
    let id = net.hosts[0].replica.session(session).unwrap().id;
    let row = |net: &Net| net.hosts[1].replica.store().roster().get(&id).cloned().unwrap();
    let last = |net: &Net| net.hosts[0].replica.store().roster().last();
    let mut before = last(&net);
    // For a minute without a pause: told in each third of the minute after which it would be over.
    for second in 0..60 {
        net.with(0, |fra| fra.get(session, "k", PLAIN).unwrap());
        net.run(1_000);
        let late = net.hosts[1].now - row(&net).active;
        assert!(late <= 23_000, "after {second} s the last use that is known is {late} ms ago");
    }
    assert!((2..=3).contains(&(last(&net) - before)), "{} rows in a minute", last(&net) - before);
    // Queries that are over before anybody could be told of them change nothing.
    before = last(&net);
    for _ in 0..100 {
        net.with(0, |fra| {
            let plan = fra.replica.begin_query(session, "work", PLAIN, fra.now).unwrap().0;
            fra.replica.end_query(plan, Ok(1), fra.now).unwrap();
        });
        net.run(50);
    }
    assert!(last(&net) - before <= 1, "{} rows in five seconds", last(&net) - before);
    // What changes all the time is told once a second.
    before = last(&net);
    for _ in 0..100 {
        net.with(0, |fra| fra.replica.begin_query(session, "work", PLAIN, fra.now).unwrap());
        net.run(50);
    }
    assert!((4..=7).contains(&(last(&net) - before)), "{} rows in five seconds", last(&net) - before);
}

#[test]
fn an_idle_fleet_says_nothing_and_sleeps_until_a_third_of_the_lease_is_over() {
    let tells = |label: &&str| {
        let mut config = edge(label);
        // Links as those of Durable Objects: nobody is asked for news before long.
        (config.publish, config.timing.heartbeat) = (Some(1_000), 24 * 3_600_000);
        Host::new(config)
    };
    let mut net = Net::new(["fra1", "nrt1", "gru1"].iter().map(tells).collect());
    (1..3).for_each(|at| net.connect(at - 1, at));
    let sessions = [net.with(0, |fra| fra.open(user("ann"))), net.with(0, |fra| fra.open(user("bob")))];
    net.run(10_000);
    let said = listen(&mut net);
    let slept = |net: &Net, at: usize| net.hosts[at].timeout.map_or(u64::MAX, |until| until - net.hosts[at].now);
    assert!(
        [1, 2].iter().all(|at| slept(&net, *at) > 23 * 3_600_000),
        "whoever has no session waits for the heartbeat"
    );
    assert!(slept(&net, 0) >= LEASE / 3 - 11_000, "{}", slept(&net, 0));
    // One of them is used all the time: that sets no timer, and is told to nobody before.
    for _ in 0..180 {
        net.with(0, |fra| fra.get(sessions[0], "k", PLAIN).unwrap());
        net.run(1_000);
    }
    assert_eq!(said.get(), (0, 0), "nothing is said, of sessions or else");
    // The rows stand: in an hour of nothing one word over each link, in each third of the lease.
    net.run(3_600_000);
    assert!((30..=38).contains(&said.get().0), "{:?}", said.get());
    assert_eq!(net.with(2, |gru| homes(gru, "SHOW SESSIONS")), ["ann@fra1", "bob@fra1"]);
}

/// A network that repeats messages repeats answers as well. Were each of them taken for the answer to what was told after it, each
/// would call forth one more word, each of those more answers, and so on without end.
#[test]
fn answers_that_arrive_twice_call_forth_no_more_words() {
    let tells = |label: &str| {
        let mut config = edge(label);
        config.publish = Some(100);
        Host::new(config)
    };
    let mut net = Net::new(vec![tells("fra1"), tells("nrt1")]);
    let said = Rc::new(Cell::new(0));
    let counter = Rc::clone(&said);
    net.fate = Box::new(move |flight| {
        let messages = Frame::decode(&flight.bytes).unwrap().messages;
        let told = |message: &&Message| {
            matches!(message, Message::Roster { told: 1.., .. } | Message::Fence { told: 1.., .. })
        };
        counter.set(counter.get() + messages.iter().filter(told).count());
        vec![(300, flight.clone()), (350, flight.clone())]
    });
    net.connect(0, 1);
    let session = net.with(0, |fra| fra.open(user("ann")));
    for _ in 0..80 {
        net.with(0, |fra| fra.get(session, "k", PLAIN).unwrap());
        let killed = net.with(0, |fra| fra.open(user("bob")));
        let killed = net.hosts[0].replica.session(killed).unwrap().id;
        net.with(0, |fra| run(fra, None, &format!("KILL SESSION '{killed}'")).unwrap());
        net.run(50);
    }
    // Of each, one in every 600 milliseconds, and the other side passes on what it has heard.
    assert!(said.get() <= 4 * (4_000 / 600 + 1), "{} words in four seconds", said.get());
    net.run(10_000);
    let [fra, nrt] = [0, 1].map(|at| net.hosts[at].replica.store());
    assert_eq!(fra.fences().digest(), nrt.fences().digest(), "all were heard");
    let view = net.hosts[0].replica.session(session).unwrap();
    let [fra, nrt] = [fra, nrt].map(|store| store.roster().get(&view.id).cloned().unwrap());
    assert_eq!(fra, nrt);
}

#[test]
fn a_session_that_was_handed_over_is_ended_by_no_timer_of_its_old_home() {
    let mut net = net(&["fra1", "nrt1"]);
    let here = net.with(0, |fra| fra.open(user("ann")));
    let token = net.with(0, |fra| fra.token(here));
    net.with(0, |fra| fra.replica.close_session(here));
    net.run(3_000);
    let there = net.with(1, |nrt| nrt.resume(&token));
    net.run(30_000);
    assert!(net.with(1, |nrt| nrt.get(there, "k", PLAIN)).is_ok());
    net.run(3_000);
    assert_eq!(net.hosts[0].replica.service().0.len(), 0, "it is the other's now");
    // Its old home would have ended it a minute after it was used there.
    net.run(40_000);
    assert_eq!(net.with(0, |fra| homes(fra, "SHOW SESSIONS")), ["ann@nrt1"]);
    assert!(net.with(1, |nrt| nrt.get(there, "k", PLAIN)).is_ok());
    let back = net.with(0, |fra| fra.resume(&token));
    assert!(net.with(0, |fra| fra.get(back, "k", PLAIN)).is_ok(), "what was told counts as use: its token is too old");
}

#[test]
fn sessions_of_a_replica_that_never_returns_are_swept_after_a_lease() {
    let mut net = net(&["fra1", "nrt1"]);
    let busy = |host: &mut Host, session| assert!(host.get(session, "k", PLAIN).is_ok());
    let [ann, _] = ["ann", "bob"].map(|name| net.with(0, |fra| fra.open(user(name))));
    net.run(3_000);
    assert_eq!(net.with(1, |nrt| homes(nrt, "SHOW SESSIONS")).len(), 2);
    // As long as it is there they stay, used or not; idle ones are seen to be over everywhere.
    for _ in 0..2 * LEASE / 30_000 {
        net.with(0, |fra| busy(fra, ann));
        net.run(30_000);
    }
    assert_eq!(net.with(1, |nrt| homes(nrt, "SHOW SESSIONS")), ["ann@fra1"]);
    net.disconnect(0, 1);
    net.run(20_000);
    assert_eq!(net.with(1, |nrt| homes(nrt, "SHOW SESSIONS")), ["ann@fra1"], "not heard of for a while");
    net.run(LEASE);
    assert!(net.with(1, |nrt| homes(nrt, "SHOW SESSIONS")).is_empty());
    net.with(1, |nrt| nrt.session());
    net.run(120_000);
    assert_eq!(net.hosts[1].replica.store().roster().iter().count(), 0, "and not kept either");
}
