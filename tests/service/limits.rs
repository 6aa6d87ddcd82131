//! Limits of sessions: over the fleet, across a partition and its heal, and what a refusal tells of whom.

use edge_session::error::{Details, ErrorCode, SessionError};
use edge_session::id::SessionId;
use edge_session::io::SessionHandle;
use edge_session::replica::SessionInit;
use edge_session::service::record::SessionStatus;

use super::common::edge;
use super::common::host::{Host, PLAIN};
use super::common::net::Net;

fn edges(sessions: &[u64], labels: &[&str]) -> Net {
    let host = |label: &&str| {
        let mut config = edge(label);
        config.publish = Some(1_000);
        let [user, address, ..] = *sessions else { panic!("two limits") };
        (config.sessions.user, config.sessions.address) = (user, address);
        Host::new(config)
    };
    let mut net = Net::new(labels.iter().map(host).collect());
    (1..labels.len()).for_each(|at| net.connect(at - 1, at));
    net.run(100);
    net
}

fn begin(net: &mut Net, at: usize, user: &str, address: &str) -> SessionHandle {
    let init = SessionInit { user: Some(user.into()), address: Some(address.into()), ..SessionInit::default() };
    // So that no two sessions were used at the same moment.
    net.run(7);
    net.with(at, |host| host.open(init))
}

fn refusal(net: &Net, at: usize, session: SessionHandle) -> Option<SessionError> {
    net.hosts[at].replica.session(session).unwrap().refused
}

fn id(net: &Net, at: usize, session: SessionHandle) -> SessionId {
    net.hosts[at].replica.session(session).unwrap().id
}

const MANY: u64 = u64::MAX;

#[test]
pub(super) fn what_others_have_told_of_a_user_counts() {
    let mut net = edges(&[2, MANY], &["fra1", "nrt1"]);
    begin(&mut net, 0, "ann", "home");
    begin(&mut net, 0, "ann", "home");
    begin(&mut net, 0, "bob", "home");
    net.run(3_000);
    let more = begin(&mut net, 1, "ann", "train");
    let refused = refusal(&net, 1, more).expect("two are known to be there");
    assert_eq!(refused.code(), ErrorCode::MaxConnectionsExceeded);
    assert!(matches!(refused.details(), Details::Crowded { limit: "sessionsPerUser", allowed: 2, .. }), "{refused}");
    let one = begin(&mut net, 1, "bob", "home");
    assert_eq!(refusal(&net, 1, one), None, "bob has one elsewhere, and may have two");
    // A session that comes over is none more.
    let token = net.with(0, |fra| {
        let session = fra.replica.sessions().next().unwrap();
        fra.token(session)
    });
    let come = net.with(1, |nrt| nrt.resume(&token));
    assert_eq!(refusal(&net, 1, come), None);
    // One that is ended makes room.
    net.with(1, |nrt| nrt.replica.end_session(come, nrt.now).unwrap());
    let more = begin(&mut net, 1, "ann", "train");
    assert_eq!(refusal(&net, 1, more), None);
}

/// Two sides of a partition let in what the limit allows, each; which sessions live on after the heal, by their place.
fn heal(labels: &[&str], cut: usize, uses: &[(usize, usize)]) -> (Net, Vec<(usize, SessionHandle)>, Vec<bool>) {
    let mut net = edges(&[2, MANY], labels);
    net.disconnect(cut - 1, cut);
    let last = labels.len() - 1;
    let sessions: Vec<(usize, SessionHandle)> =
        [0, last, 0, last].into_iter().map(|at| (at, begin(&mut net, at, "ann", "home"))).collect();
    assert!(
        sessions.iter().all(|(at, session)| refusal(&net, *at, *session).is_none()),
        "each side may exceed it once"
    );
    for (at, place) in uses {
        net.run(500);
        net.with(*at, |host| host.get(sessions[*place].1, "k", PLAIN)).unwrap();
    }
    net.run(5_000);
    net.connect(cut - 1, cut);
    net.run(15_000);
    let live = sessions.iter().map(|(at, session)| refusal(&net, *at, *session).is_none()).collect();
    (net, sessions, live)
}

#[test]
pub(super) fn after_a_heal_those_end_that_were_idle_for_longest() {
    // Used last: the first one at fra1, then the first one at nrt1.
    let (net, sessions, live) = heal(&["fra1", "nrt1"], 1, &[(0, 0), (1, 1)]);
    assert_eq!(live, [true, true, false, false]);
    for place in [2, 3] {
        let (at, session) = sessions[place];
        let refused = refusal(&net, at, session).unwrap();
        assert_eq!(refused.code(), ErrorCode::SessionKilled);
        let Details::Killed { by: None, why: Some(why) } = refused.details() else { panic!("{refused:?}") };
        assert!(why.contains("sessionsPerUser allows 2"), "{why}");
        // Its home has ended it, and its history says how.
        let ended = id(&net, at, session);
        let (manager, ..) = net.hosts[at].replica.service();
        let over = manager.over().find(|over| over.session.id == ended).expect("remembered at its home");
        assert_eq!((over.status, over.why.as_deref()), (SessionStatus::Killed, Some(why.as_str())));
        assert!(net.hosts.iter().all(|host| host.replica.store().fences().get(&ended).is_some()), "known everywhere");
    }
    let known = |host: &Host| host.replica.service().0.len() + host.replica.sessions_elsewhere().count();
    assert!(net.hosts.iter().all(|host| known(host) == 2));
}

#[test]
fn one_side_alone_may_lose_all_of_its_own() {
    let (_, _, live) = heal(&["fra1", "nrt1"], 1, &[(1, 1), (1, 3)]);
    assert_eq!(live, [false, true, false, true]);
}

#[test]
fn who_is_between_two_sides_ends_none_of_theirs() {
    let (net, sessions, live) = heal(&["fra1", "gru1", "nrt1"], 2, &[(2, 3), (0, 2)]);
    assert_eq!(live, [false, false, true, true]);
    assert_eq!(net.hosts[1].replica.service().0.over().count(), 0);
    assert_eq!(sessions.len(), 4);
}

#[test]
fn a_running_query_is_use_and_other_addresses_are_counted_by_themselves() {
    let mut net = edges(&[MANY, 1], &["fra1", "nrt1"]);
    net.disconnect(0, 1);
    let old = begin(&mut net, 0, "ann", "home");
    net.with(0, |fra| fra.replica.begin_query(old, "work", PLAIN, fra.now).unwrap());
    let train = begin(&mut net, 0, "ann", "train");
    let new = begin(&mut net, 1, "ann", "home");
    net.run(2_000);
    net.connect(0, 1);
    net.run(15_000);
    assert_eq!(refusal(&net, 0, old), None, "it runs a query");
    assert_eq!(refusal(&net, 0, train), None);
    assert_eq!(refusal(&net, 1, new).map(|error| error.code()), Some(ErrorCode::SessionKilled));
}

#[test]
pub(super) fn a_refusal_names_no_session_of_others() {
    let mut config = edge("fra1");
    config.sessions.sessions = 1;
    let mut host = Host::new(config);
    let ann = host.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    let theirs = host.replica.session(ann).unwrap().id;
    host.at(host.now + 2_500);
    let mut refused = |user: Option<&str>| {
        let session = host.open(SessionInit { user: user.map(String::from), ..SessionInit::default() });
        host.replica.session(session).unwrap().refused.unwrap()
    };
    for user in [Some("bob"), None] {
        let error = refused(user);
        assert!(!error.cause().contains(&theirs.to_string()), "{error}");
        assert!(error.cause().contains("sessions allows 1") && error.cause().contains("idle for 2500 ms"), "{error}");
        let expected = Details::Crowded { limit: "sessions", allowed: 1, idle: Some(2_500), oldest: None };
        assert_eq!(*error.details(), expected);
    }
    for user in [Some("ann"), Some("root")] {
        let error = refused(user);
        assert!(error.cause().contains(&theirs.to_string()), "one's own, and God's: {error}");
        assert!(matches!(error.details(), Details::Crowded { oldest: Some(id), .. } if *id == theirs));
    }
}
