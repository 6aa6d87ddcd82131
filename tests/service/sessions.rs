//! The sessions of a replica: cache, timers, limits, and the ends of a session.

use std::collections::VecDeque;

use edge_session::error::{Details, ErrorCode};
use edge_session::id::{ReplicaId, SessionId, Space};
use edge_session::io::{Event, Interest, Policy, Terms};
use edge_session::replica::{Config, Replica, SessionInit};
use edge_session::service::cache::SessionCache;
use edge_session::service::manager::{SessionLimits, SessionManager};
use edge_session::service::record::{SessionInfo, SessionStats, SessionStatus, Told};
use edge_session::service::role::RoleType;
use edge_session::service::system::shared;
use proptest::prelude::*;

use super::common::host::{Host, PLAIN};
use super::common::{START, edge, stored, tab};
use super::run;

/// Of a host that wants to hear which sessions end.
const SESSIONS: Interest = Interest { changes: false, conflicts: false, sessions: true };

fn info(number: u8, user: Option<&str>) -> SessionInfo {
    SessionInfo {
        id: SessionId::new(START, [number; 10]),
        user: user.map(shared),
        client: None,
        address: None,
        space: Space::first("default").unwrap(),
        home: ReplicaId::new("fra1", [1; 10]).unwrap(),
        created: START,
        active: START,
        expires: START + 100_000,
        stats: SessionStats::default(),
        queries: 0,
        handles: 0,
        told: Told::default(),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Touch(u8),
    Remove(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..40_u8).prop_map(Step::Insert),
        2 => (0..40_u8).prop_map(Step::Touch),
        1 => (0..40_u8).prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn the_cache_is_a_list_in_the_order_of_use(steps in steps()) {
        let mut cache = SessionCache::default();
        let mut model: VecDeque<u8> = VecDeque::new();
        for step in steps {
            match step {
                Step::Insert(n) if !model.contains(&n) => {
                    cache.insert(info(n, Some("ann")));
                    model.push_front(n);
                }
                Step::Touch(n) => {
                    let at = cache.find(&info(n, None).id);
                    prop_assert_eq!(at.is_some(), model.contains(&n));
                    if let Some(at) = at {
                        cache.touch(at);
                        model.retain(|held| *held != n);
                        model.push_front(n);
                    }
                }
                Step::Remove(n) => {
                    let gone = cache.find(&info(n, None).id).and_then(|at| cache.remove(at));
                    prop_assert_eq!(gone.is_some(), model.contains(&n));
                    model.retain(|held| *held != n);
                }
                Step::Insert(_) => {}
            }
            let ids: Vec<SessionId> = cache.iter().map(|held| held.id).collect();
            let expected: Vec<SessionId> = model.iter().map(|n| info(*n, None).id).collect();
            prop_assert_eq!(&ids, &expected);
            let mut oldest: Vec<SessionId> = cache.oldest().filter_map(|at| cache.get(at)).map(|held| held.id).collect();
            oldest.reverse();
            prop_assert_eq!(oldest, expected);
            prop_assert_eq!(cache.len(), model.len());
            prop_assert_eq!(cache.bytes() == 0, model.is_empty());
        }
    }
}

#[test]
fn who_was_not_used_for_longest_goes_first_and_who_is_in_use_stays() {
    let limits = SessionLimits { cached: 3, ..SessionLimits::default() };
    let mut manager = SessionManager::new(limits);
    for n in 1..=3 {
        manager.enter(info(n, None), START).unwrap();
    }
    // The first is in use; the second was used last.
    manager.leave(&info(2, None).id);
    manager.leave(&info(3, None).id);
    manager.touch(&info(2, None).id, START + 1).unwrap();
    manager.enter(info(4, None), START + 2).unwrap();
    let known = |n: u8| manager.get(&info(n, None).id).is_some();
    assert_eq!([1, 2, 3, 4].map(known), [true, true, false, true]);
    assert_eq!(manager.cache().0.evictions, 1);
}

#[test]
fn bytes_bound_the_cache_as_well() {
    let limits = SessionLimits { bytes: 20_000, ..SessionLimits::default() };
    let mut manager = SessionManager::new(limits);
    for n in 0..200 {
        manager.enter(info(n, Some(&"long".repeat(100))), START).unwrap();
        manager.leave(&info(n, None).id);
    }
    let (stats, bytes, capacity) = manager.cache();
    assert!(bytes <= capacity + 1_000, "{bytes}");
    assert!(stats.evictions > 100 && manager.len() as u64 == 200 - stats.evictions);
}

#[test]
fn an_evicted_session_goes_on_from_its_token_without_loss_of_guarantees() {
    let mut config = edge("fra1");
    config.sessions.cached = 1;
    let mut host = Host::new(config);
    let ann = host.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    host.set(ann, "k", "v");
    let token = host.token(ann);
    host.replica.close_session(ann);
    let others: Vec<_> = (0..5).map(|_| host.session()).collect();
    others.into_iter().for_each(|other| host.replica.close_session(other));
    let mut other = Host::new(edge("nrt1"));
    let there = other.resume(&token);
    assert_eq!(other.get(there, "k", super::common::host::THROW).unwrap_err().code(), ErrorCode::StaleReplica);
    let again = host.resume(&token);
    assert_eq!(host.get(again, "k", PLAIN), Ok(Some("v".into())));
    assert_eq!(host.replica.session(again).unwrap().user.as_deref(), Some("ann"));
}

#[test]
fn limits_hold_exactly_and_name_themselves() {
    let mut config = edge("fra1");
    config.sessions = SessionLimits { sessions: 5, user: 3, address: 2, idle: Some(1_000), ..config.sessions };
    let mut host = Host::new(config);
    let init = |user: &str, address: &str| SessionInit {
        user: Some(user.into()),
        address: Some(address.into()),
        ..SessionInit::default()
    };
    let mut refused = |user: &str, address: &str| {
        let session = host.open(init(user, address));
        let refused = host.replica.session(session).unwrap().refused?;
        assert_eq!(refused.code(), ErrorCode::MaxConnectionsExceeded);
        let Details::Crowded { limit, allowed, .. } = refused.details() else { panic!("{refused}") };
        Some((*limit, *allowed))
    };
    assert_eq!(refused("ann", "home"), None);
    assert_eq!(refused("ann", "home"), None);
    assert_eq!(refused("ann", "home"), Some(("sessionsPerAddress", 2)));
    assert_eq!(refused("ann", "train"), None);
    assert_eq!(refused("ann", "plane"), Some(("sessionsPerUser", 3)));
    assert_eq!(refused("bob", "home"), None);
    assert_eq!(refused("eve", "home"), None);
    assert_eq!(refused("eve", "train"), Some(("sessions", 5)));
    // Those that are over do not count, whatever the timers have done.
    host.now = START + 1_000;
    let late = host.open(init("ann", "home"));
    assert_eq!(host.replica.session(late).unwrap().refused, None);
}

#[test]
fn a_session_that_nobody_uses_is_over_at_its_next_use_and_is_told_of() {
    let mut config = edge("fra1");
    config.sessions.idle = Some(1_000);
    let mut host = Host::new(config);
    let session = host.session();
    let token = host.token(session);
    host.at(START + 999);
    assert!(host.get(session, "k", PLAIN).is_ok());
    host.at(START + 1_998);
    assert!(host.get(session, "k", PLAIN).is_ok(), "use makes it live on");
    // No timer has rung.
    host.now = START + 2_998;
    assert_eq!(host.get(session, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
    let again = host.resume(&token);
    assert_eq!(host.replica.session(again).unwrap().refused.unwrap().code(), ErrorCode::SessionExpired);

    let watched = host.session();
    host.replica.interest(SESSIONS);
    host.drain();
    let due = host.timeout.expect("a timer is asked for");
    host.at(due);
    assert_eq!(host.get(watched, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
    let over =
        host.events.iter().filter(|event| matches!(event, Event::Session { status: SessionStatus::IdleExpired, .. }));
    assert!(over.count() >= 1);
}

#[test]
fn nothing_extends_the_absolute_end() {
    let mut host = Host::new(edge("fra1"));
    let session = host.open(SessionInit { expires_in: Some(5_000), ..SessionInit::default() });
    for at in (0..5_000).step_by(500) {
        host.at(START + at);
        assert!(host.get(session, "k", PLAIN).is_ok());
    }
    host.at(START + 5_000);
    assert_eq!(host.get(session, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
    let shown = run(&mut host, None, "SHOW SESSIONS").unwrap();
    assert!(shown.rows.is_empty(), "{shown}");
}

#[test]
fn sessions_are_told_apart_however_fast_they_come() {
    let mut host = Host::new(tab("tab"));
    let sessions: Vec<_> = (0..1_000).map(|_| host.session()).collect();
    let ids: std::collections::BTreeSet<_> =
        sessions.iter().map(|session| host.replica.session(*session).unwrap().id).collect();
    assert_eq!(ids.len(), sessions.len());
    assert_eq!(host.replica.service().0.len(), sessions.len());
    assert!(ids.iter().all(|id| id.created() == START));
}

#[test]
fn two_handles_of_one_session_are_one_session() {
    let mut host = Host::new(Config { ..edge("fra1") });
    let first = host.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    let token = host.token(first);
    let second = host.resume(&token);
    assert_eq!(run(&mut host, None, "SHOW SESSIONS").unwrap().rows.len(), 1);
    host.replica.close_session(first);
    assert!(host.get(second, "k", PLAIN).is_ok());
    host.replica.end_session(second, START).unwrap();
    assert_eq!(host.replica.service().0.len(), 0);
}

/// Its old home remembers an earlier use, and no timer has rung there: the token tells of the later one.
#[test]
fn who_used_a_session_elsewhere_is_let_in_again_at_its_old_home() {
    let mut configs = ["fra1", "nrt1"].map(edge);
    configs.iter_mut().for_each(|config| config.sessions.idle = Some(3_000));
    let [mut fra, mut nrt] = configs.map(Host::new);
    let here = fra.session();
    let token = fra.token(here);
    fra.replica.close_session(here);
    nrt.at(START + 2_000);
    let there = nrt.resume(&token);
    let token = nrt.token(there);
    fra.now = START + 4_000;
    let again = fra.resume(&token);
    assert_eq!(fra.replica.session(again).unwrap().refused, None);
    assert!(fra.get(again, "k", PLAIN).is_ok());
}

#[test]
fn a_touch_writes_nothing_and_moves_no_timer() {
    let mut config = stored(edge("fra1"));
    (config.sessions.idle, config.publish) = (Some(60_000), Some(1_000));
    let mut host = Host::new(config);
    host.prompt = true;
    let session = host.session();
    host.drain();
    let seen = |host: &Host| {
        let spaces = host.replica.store().spaces().map(|(space, state)| format!("{space} {}", state.vector()));
        (host.records.len(), spaces.collect::<Vec<_>>(), host.timeout, host.sent.len())
    };
    let before = seen(&host);
    assert_eq!(before.2, Some(START + 60_000), "it would be over then");
    for _ in 0..1_000 {
        host.now += 10;
        host.get(session, "k", PLAIN).unwrap();
    }
    assert_eq!(seen(&host), before);
    let (manager, ..) = host.replica.service();
    assert_eq!(manager.iter().next().unwrap().active, host.now, "it is noted all the same");
}

#[test]
fn whoever_inspects_a_session_sees_its_role_its_counts_and_its_states() {
    let mut fra = Host::new(edge("fra"));
    let session = fra.session();
    let id = fra.replica.session(session).unwrap().id;
    fra.set(session, "a", "four");
    assert_eq!(fra.get(session, "a", PLAIN).unwrap().as_deref(), Some("four"));
    let profile = fra.replica.profile(session).unwrap();
    assert_eq!(profile.role, Some(RoleType::User), "without accounts, where it was begun");
    assert_eq!((profile.stats.reads, profile.stats.writes, profile.stats.stale), (1, 1, 0));
    assert_eq!(profile.stats.bytes, 8, "four written, four read");
    assert_eq!(profile.history.iter().map(|state| state.status).collect::<Vec<_>>(), [SessionStatus::Active]);

    // It has written where this replica is behind: what it is served is stale, and counted.
    let mut tok = Host::new(edge("tok"));
    let token = fra.token(session);
    let roamed = tok.resume(&token);
    let serve = Terms { on_stale: Some(Policy::Serve), ..PLAIN };
    assert_eq!(tok.get(roamed, "a", serve).unwrap(), None);
    assert_eq!(tok.replica.profile(roamed).unwrap().stats.stale, 1);

    fra.replica.kill_session(None, &id, Some("enough"), fra.now).unwrap();
    fra.drain();
    let history = fra.replica.profile(session).unwrap().history;
    let last = history.last().unwrap();
    assert_eq!((last.status, last.at, last.why.as_deref()), (SessionStatus::Killed, fra.now, Some("enough")));
    assert_eq!(history.len(), 2);
    // However many others are over by then.
    for _ in 0..300 {
        let other = fra.session();
        let id = fra.replica.session(other).unwrap().id;
        fra.replica.kill_session(None, &id, None, fra.now).unwrap();
    }
    assert_eq!(fra.replica.profile(session).unwrap().history, history);
}

/// A handle that was never let in, or was shut out, uses nothing: who lets go of it takes nobody else's place.
#[test]
fn letting_go_of_a_refused_handle_leaves_the_others_counted() {
    let one = |label: &str| {
        let mut config = edge(label);
        config.sessions.user = 1;
        Host::new(config)
    };
    let (mut fra, mut nrt) = (one("fra1"), one("nrt1"));
    let ann = || SessionInit { user: Some("ann".into()), ..SessionInit::default() };
    let (here, there) = (fra.open(ann()), nrt.open(ann()));
    let (token, id) = (nrt.token(there), nrt.replica.session(there).unwrap().id);
    let kept_out = fra.resume(&token);
    assert!(fra.replica.session(kept_out).unwrap().refused.is_some(), "ann has one session here already");
    fra.replica.end_session(here, fra.now).unwrap();
    fra.drain();
    let let_in = fra.resume(&token);
    assert_eq!(fra.replica.session(let_in).unwrap().refused, None);
    fra.replica.close_session(kept_out);
    fra.drain();
    assert_eq!(fra.replica.service().0.get(&id).unwrap().handles, 1, "it is in use");
    fra.replica.close_session(let_in);
    fra.drain();
    assert_eq!(fra.replica.service().0.get(&id).unwrap().handles, 0);
}

/// Whoever finds that a session's time is over ends it for all its handles.
#[test]
fn a_session_that_is_found_to_be_over_is_over_in_every_handle() {
    let mut config = edge("fra1");
    config.sessions.idle = Some(1_000);
    let mut host = Host::new(config);
    let session = host.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    let token = host.token(session);
    host.now += 5_000;
    let again = host.resume(&token);
    assert_eq!(host.get(again, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
    assert_eq!(host.get(session, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
}

/// A session that was idle here was used elsewhere, and comes back by the token of that: to whoever brings it. The handle that was
/// told that it is over stays over, as its subscriptions and queries do: what was said is not taken back.
#[test]
pub(super) fn a_handle_that_was_over_stays_over_when_its_session_comes_back() {
    let mut configs = ["fra1", "nrt1"].map(edge);
    configs.iter_mut().for_each(|config| config.sessions.idle = Some(3_000));
    let [mut fra, mut nrt] = configs.map(Host::new);
    fra.replica.interest(SESSIONS);
    let here = fra.session();
    let id = fra.replica.session(here).unwrap().id;
    let token = fra.token(here);
    nrt.at(START + 2_000);
    let there = nrt.resume(&token);
    let later = nrt.token(there);
    // The timer rings, and the host is told.
    fra.at(START + 3_000);
    assert!(fra.events.iter().any(|event| matches!(event, Event::Session { status: SessionStatus::IdleExpired, .. })));
    let again = fra.resume(&later);
    assert_eq!(fra.replica.session(again).unwrap().id, id);
    assert!(fra.get(again, "k", PLAIN).is_ok(), "it was used elsewhere since");
    let over = |fra: &mut Host| fra.get(here, "k", PLAIN).unwrap_err().code();
    assert_eq!(over(&mut fra), ErrorCode::SessionExpired);
    assert_eq!(fra.replica.merge(here, &later, fra.now).unwrap_err().code(), ErrorCode::SessionExpired);
    assert_eq!(over(&mut fra), ErrorCode::SessionExpired);
    // What is over is no handle in use, and whoever lets go of it takes nobody's place.
    assert_eq!(fra.replica.service().0.get(&id).unwrap().handles, 1);
    fra.replica.close_session(here);
    assert_eq!(fra.replica.service().0.get(&id).unwrap().handles, 1);
    assert!(fra.get(again, "k", PLAIN).is_ok());
}

/// Whoever begins where all places are taken ends those that are over: they are told of, and refused in every handle.
#[test]
fn who_made_place_because_its_time_was_over_is_told_so() {
    let mut config = edge("fra1");
    (config.sessions.sessions, config.sessions.idle) = (1, Some(1_000));
    let mut host = Host::new(config);
    host.replica.interest(SESSIONS);
    let ann = host.session();
    // No timer has rung.
    host.now = START + 1_000;
    let bob = host.session();
    assert_eq!(host.replica.session(bob).unwrap().refused, None);
    host.drain();
    assert_eq!(host.get(ann, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
    let told = |event: &&Event| matches!(event, Event::Session { status: SessionStatus::IdleExpired, .. });
    assert_eq!(host.events.iter().filter(told).count(), 1);
}

#[test]
fn who_does_not_ask_which_sessions_end_hears_of_none() {
    for (interest, told) in [(Interest::default(), 0), (SESSIONS, 1)] {
        let mut config = edge("fra1");
        config.sessions.idle = Some(1_000);
        let mut host = Host::new(config);
        host.replica.interest(interest);
        let ann = host.session();
        host.drain();
        host.at(START + 1_000);
        assert_eq!(host.get(ann, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
        assert_eq!(host.events.iter().filter(|event| matches!(event, Event::Session { .. })).count(), told);
    }
}

/// Thousands that are over at one time do not keep the others waiting: they end in several goes, and are over in between.
#[test]
fn a_crowd_ends_in_several_goes() {
    const CROWD: usize = 5_000;
    let mut config = edge("fra1");
    config.sessions.idle = Some(1_000);
    let mut host = Host::new(config);
    host.replica.interest(SESSIONS);
    let sessions: Vec<_> = (0..CROWD).map(|_| host.session()).collect();
    host.drain();
    let due = host.timeout.unwrap();
    assert_eq!(due, START + 1_000);
    host.at(due);
    let ended = |host: &Host| host.events.iter().filter(|event| matches!(event, Event::Session { .. })).count();
    let first = ended(&host);
    assert!(0 < first && first < CROWD, "{first}");
    assert_eq!(host.replica.service().0.len(), CROWD - first);
    assert!(host.timeout.is_some_and(|at| at <= host.now), "the others have their turn at once");
    for session in sessions.iter().step_by(500) {
        assert_eq!(host.get(*session, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
    }
    while host.timeout.is_some_and(|at| at <= host.now) {
        host.at(due);
    }
    assert_eq!((ended(&host), host.replica.service().0.len()), (CROWD, 0));
}

#[test]
fn no_replica_is_opened_whose_sessions_would_begin_in_a_space_of_the_fleets_own() {
    for space in ["$system", "$own"] {
        let refusal = Replica::open(Config { space: space.into(), ..edge("fra1") }, START).unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::ArgumentInvalid);
        assert!(refusal.to_string().contains('$'), "{refusal}");
    }
    assert!(Replica::open(Config { space: "own$".into(), ..edge("fra1") }, START).is_ok());
}
