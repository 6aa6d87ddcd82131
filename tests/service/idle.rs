//! Sessions that nobody uses: what is use, what is known of it, and that it is asked for at every use, whatever timers have done.

use edge_session::error::ErrorCode;
use edge_session::id::Space;
use edge_session::io::{Event, Interest, LinkId, Operation, Progress, Scope, SessionHandle, Terms};
use edge_session::replica::{Config, Pass, SessionInit};
use edge_session::service::record::SessionStatus;

use super::common::host::{Host, PLAIN, SYNC, sync};
use super::common::net::Net;
use super::common::{START, edge, tab};

/// Tokens count seconds.
const SECOND: u64 = 1_000;
const IDLE: u64 = 10 * SECOND;
/// Of a host that wants to hear which sessions end.
const SESSIONS: Interest = Interest { changes: false, conflicts: false, sessions: true };

fn host_of(mut config: Config, idle: u64) -> Host {
    config.sessions.idle = Some(idle);
    Host::new(config)
}

fn host() -> Host {
    let mut host = host_of(edge("fra1"), IDLE);
    host.replica.interest(SESSIONS);
    host
}

fn ended(host: &Host) -> usize {
    let over = |event: &&Event| matches!(event, Event::Session { status: SessionStatus::IdleExpired, .. });
    host.events.iter().filter(over).count()
}

/// A session of `fra` that somebody has used elsewhere a second before its time was over, which it is by what is known here. No timer
/// has rung. Its token, and the one of that use.
fn used_elsewhere(mut fra: Host) -> (Host, SessionHandle, String, String) {
    let mut nrt = host_of(edge("nrt1"), IDLE);
    let here = fra.session();
    let token = fra.token(here);
    nrt.at(START + IDLE - SECOND);
    let there = nrt.resume(&token);
    let later = nrt.token(there);
    fra.now = START + IDLE + 1;
    (fra, here, token, later)
}

fn refusal(host: &Host, session: SessionHandle) -> Option<ErrorCode> {
    Some(host.replica.session(session)?.refused?.code())
}

/// No timer has rung: the first call of each kind that comes too late is refused, and tells nothing.
#[test]
fn every_call_of_a_session_asks_whether_its_time_is_over() {
    type Call = fn(&mut Host, SessionHandle) -> Option<ErrorCode>;
    let calls: [(&str, Call); 8] = [
        ("token", |host, ann| host.replica.token(ann, host.now).err().map(|error| error.code())),
        ("seal", |host, ann| host.replica.begin(ann, Operation::Seal, PLAIN, host.now).err().map(|error| error.code())),
        ("peek", |host, ann| host.replica.peek(ann, "k", host.now).err().map(|error| error.code())),
        ("missing", |host, ann| host.replica.missing(ann, None, host.now).err().map(|error| error.code())),
        ("watch", |host, ann| {
            host.replica.watch(ann, Scope::Key("k".into()), PLAIN, host.now).err().map(|error| error.code())
        }),
        ("run", |host, ann| {
            host.replica.run(Some(ann), "SHOW SPACES", &[], SYNC, host.now).err().map(|error| error.code())
        }),
        ("note_use", |host, ann| host.replica.note_use(ann, host.now).err().map(|error| error.code())),
        ("begin_query", |host, ann| {
            host.replica.begin_query(ann, "work", Terms::default(), host.now).err().map(|error| error.code())
        }),
    ];
    for (name, call) in calls {
        for (late, refused) in [(IDLE - 1, None), (IDLE, Some(ErrorCode::SessionExpired))] {
            let mut host = host();
            let ann = host.session();
            host.set(ann, "k", "v");
            host.now = START + late;
            assert_eq!(call(&mut host, ann), refused, "{name} after {late} ms");
        }
    }
    // The token of another one is merged, and what a subscription has to tell is fetched.
    let mut host = host();
    let (ann, bob) = (host.session(), host.session());
    let watch = host.replica.watch(ann, Scope::Key("k".into()), PLAIN, host.now).unwrap();
    let token = host.token(bob);
    host.set(bob, "k", "v");
    host.now = START + IDLE;
    assert_eq!(host.replica.next(watch, host.now).unwrap_err().code(), ErrorCode::SessionExpired);
    assert_eq!(host.replica.merge(ann, &token, host.now).unwrap_err().code(), ErrorCode::SessionExpired);
}

/// What somebody finds out who asks is told as what a timer finds out is: once, and to every handle.
#[test]
fn an_end_that_is_found_at_use_is_told_of_once() {
    type Find = fn(&mut Host, SessionHandle, &str);
    let finds: [(&str, Find); 3] = [
        ("token", |host, ann, _| drop(host.replica.token(ann, host.now))),
        ("return", |host, _, token| {
            let init = SessionInit { token: Some(token.into()), ..SessionInit::default() };
            host.replica.open_session(init, host.now);
        }),
        ("use", |host, ann, _| drop(host.replica.note_use(ann, host.now))),
    ];
    for (name, find) in finds {
        let mut host = host();
        let ann = host.session();
        let token = host.token(ann);
        let other = host.resume(&token);
        host.now = START + IDLE;
        find(&mut host, ann, &token);
        host.drain();
        assert_eq!(ended(&host), 1, "{name}");
        assert_eq!([ann, other].map(|handle| refusal(&host, handle)), [Some(ErrorCode::SessionExpired); 2], "{name}");
        host.at(START + 10 * IDLE);
        assert_eq!(ended(&host), 1, "{name}");
    }
}

/// What the host has read from copies is told late, and perhaps too late: the session is over then, and not merely forgotten.
#[test]
fn reads_that_are_told_too_late_leave_no_session_that_nothing_ends() {
    let mut host = host();
    let ann = host.session();
    host.set(ann, "k", "v");
    let bob = host.open(SessionInit { user: Some("bob".into()), ..SessionInit::default() });
    // Somebody else's token is asked for, by which the replica learns the time, and does nothing else.
    host.now = START + IDLE;
    let _ = host.replica.token(bob, host.now);
    let _ = host.replica.record_reads(ann, &[]);
    assert_eq!(host.get(ann, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
    assert_eq!(refusal(&host, ann), Some(ErrorCode::SessionExpired));
    assert_eq!(host.replica.service().0.len(), 0);
}

/// A token says when its session was used, to everybody: also to who has minted it.
#[test]
fn who_asks_an_edge_for_a_token_uses_the_session() {
    let mut host = host();
    let ann = host.session();
    host.now = START + IDLE - 1;
    host.token(ann);
    let wait = host.replica.begin(ann, Operation::Seal, PLAIN, host.now);
    assert!(matches!(wait, Ok(Progress::Done(_))), "{wait:?}");
    host.at(START + 2 * IDLE - 2);
    assert_eq!(refusal(&host, ann), None);
    host.at(START + 2 * IDLE - 1);
    assert_eq!(refusal(&host, ann), Some(ErrorCode::SessionExpired));
}

/// A replica without a key mints nothing. What its transports ask it for is no use.
#[test]
fn who_shows_a_token_elsewhere_does_not_use_the_session() {
    let mut tab = host_of(tab("tab"), IDLE);
    let ann = tab.session();
    tab.at(START + IDLE - 1);
    tab.token(ann);
    tab.at(START + IDLE);
    assert_eq!(refusal(&tab, ann), Some(ErrorCode::SessionExpired));
}

/// A session that is over by what is known here joins all the same if its token tells of a later use.
#[test]
fn a_token_that_tells_of_a_later_use_is_believed_by_links_and_calls_as_well() {
    let (mut fra, _, token, later) = used_elsewhere(host());
    let pass = |token: &str| Pass { token: token.into(), spaces: Vec::new() };
    let refused = fra.replica.link_admit(LinkId(1), &pass(&token), fra.now).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::SessionExpired);
    assert_eq!(fra.replica.admits(&later, fra.now), Some(true));
    fra.replica.link_admit(LinkId(1), &pass(&later), fra.now).unwrap();
    fra.drain();
    fra.at(fra.now);
    assert_eq!(fra.closed.len(), 0, "the old home has learned of it");
    fra.at(START + 2 * IDLE - SECOND);
    assert_eq!(fra.closed.len(), 1);
}

/// A later token of the same session that is merged tells of its use, as one with which somebody returns does.
#[test]
fn a_later_token_that_is_merged_tells_of_the_use_elsewhere() {
    let (mut fra, here, _, later) = used_elsewhere(host());
    fra.replica.merge(here, &later, fra.now).unwrap();
    assert!(fra.get(here, "k", PLAIN).is_ok());
    // Who merges uses the session.
    fra.at(START + 2 * IDLE);
    assert_eq!(refusal(&fra, here), None);
    fra.at(START + 2 * IDLE + 1);
    assert_eq!(refusal(&fra, here), Some(ErrorCode::SessionExpired));
}

/// Of several tokens the latest of the session tells of its use; one of another session tells nothing of it.
#[test]
fn the_latest_token_of_a_listing_tells_of_the_use_elsewhere() {
    let (_, _, token, later) = used_elsewhere(host());
    let listing = format!("{token},{later}");
    let pass = Pass { token: listing.clone(), spaces: Vec::new() };
    let (mut fra, ..) = used_elsewhere(host());
    let again = fra.resume(&listing);
    assert_eq!(refusal(&fra, again), None);
    let (mut fra, here, ..) = used_elsewhere(host());
    assert_eq!(fra.replica.admits(&listing, fra.now), Some(true));
    fra.replica.link_admit(LinkId(1), &pass, fra.now).unwrap();
    assert!(fra.get(here, "k", PLAIN).is_ok(), "it has learned of it");
    let (mut fra, here, ..) = used_elsewhere(host());
    fra.replica.merge(here, &listing, fra.now).unwrap();
    assert!(fra.get(here, "k", PLAIN).is_ok());

    let (mut fra, _, token, _) = used_elsewhere(host());
    let other = fra.session();
    let listing = format!("{token},{}", fra.token(other));
    let again = fra.resume(&listing);
    assert_eq!(refusal(&fra, again), Some(ErrorCode::SessionExpired));
}

/// A clock that is an hour ahead elsewhere does not keep a session alive here for an hour.
#[test]
fn a_use_in_the_future_is_none_later_than_now() {
    const HOUR: u64 = 3_600_000;
    let (mut fra, mut nrt) = (host(), host_of(edge("nrt1"), 2 * HOUR));
    let here = fra.session();
    let token = fra.token(here);
    fra.replica.close_session(here);
    nrt.at(START + HOUR);
    let there = nrt.resume(&token);
    let later = nrt.token(there);
    let again = fra.resume(&later);
    assert_eq!(refusal(&fra, again), None);
    fra.at(START + IDLE);
    assert_eq!(refusal(&fra, again), Some(ErrorCode::SessionExpired));
}

/// Where the clock is set back, who was idle for so long still is: no session lives for an hour because a clock was wrong by it.
#[test]
fn a_clock_that_is_set_back_leaves_the_time_that_a_session_has() {
    const HOUR: u64 = 3_600_000;
    let mut host = host_of(edge("fra1"), 10_000);
    host.now = START + HOUR;
    let ann = host.session();
    host.replica.tick(START + HOUR + 4_000);
    host.drain();
    host.replica.tick(START);
    host.now = START;
    host.drain();
    assert!(host.timeout.is_some_and(|at| at <= START + 6_000), "called at {:?}", host.timeout);
    host.at(START + 5_999);
    assert_eq!(refusal(&host, ann), None);
    host.at(START + 6_000);
    assert_eq!(refusal(&host, ann), Some(ErrorCode::SessionExpired));
}

/// Ann logs in over the edge, and writes in her tab: what arrives is use, though nobody calls the edge.
#[test]
fn what_a_tab_writes_is_use_at_the_edge_that_takes_it() {
    let mut net = Net::new(vec![host(), Host::new(tab("tab"))]);
    let init = SessionInit { user: Some("ann".into()), space: Space::first("default").ok(), ..SessionInit::default() };
    let there = net.hosts[0].open(init);
    let token = net.hosts[0].token(there);
    net.hosts[0].replica.close_session(there);
    let here = net.hosts[1].resume(&token);
    net.join(1, 0, &Pass { token, spaces: Vec::new() });
    net.run(100);
    for n in 0..6 {
        net.with(1, |tab| tab.set(here, "k", &n.to_string()));
        net.run(IDLE / 2);
        assert_eq!(net.hosts[0].closed.len(), 0, "after {n}");
    }
    net.run(IDLE);
    let closed: Vec<ErrorCode> = net.hosts[0].closed.iter().map(|(_, error)| error.code()).collect();
    assert_eq!(closed, [ErrorCode::SessionExpired], "nobody has written");
}

/// Whoever comes back where all places are taken tells of the use elsewhere first: his other handle is not ended by the way.
#[test]
fn who_returns_to_a_full_replica_ends_no_handle_of_his_own() {
    let mut config = edge("fra1");
    config.sessions.sessions = 1;
    let (mut fra, here, _, later) = used_elsewhere(host_of(config, IDLE));
    let again = fra.resume(&later);
    assert_eq!([here, again].map(|handle| refusal(&fra, handle)), [None; 2]);
}

/// What a session runs stops when its time is over, though nobody calls and nobody asked for idle ends.
#[test]
fn a_query_stops_with_the_absolute_end_of_its_session() {
    let mut host = Host::new(edge("fra1"));
    let ann = host.open(SessionInit { expires_in: Some(5_000), ..SessionInit::default() });
    let (plan, _) = host.replica.begin_query(ann, "work", Terms::default(), host.now).unwrap();
    host.drain();
    assert_eq!(host.timeout, Some(START + 5_000));
    host.at(START + 5_000);
    assert_eq!(host.aborted, [(plan, ErrorCode::QueryKilled)]);
}

/// A query that runs at another edge is use, and its home says so.
#[test]
fn a_query_elsewhere_is_use_as_far_as_its_home_has_told() {
    let mut configs = ["fra1", "nrt1"].map(edge);
    configs.iter_mut().for_each(|config| config.publish = Some(100));
    let [fra, nrt] = configs.map(|config| host_of(config, 300_000));
    let mut net = Net::new(vec![fra, nrt]);
    net.connect(0, 1);
    net.run(1_000);
    let here = net.with(0, |fra| fra.session());
    let token = net.with(0, |fra| fra.token(here));
    net.with(0, |fra| _ = fra.replica.begin_query(here, "work", Terms::default(), fra.now).unwrap());
    net.run(450_000);
    // Her token is older than that.
    let there = net.with(1, |nrt| nrt.resume(&token));
    assert_eq!(refusal(&net.hosts[1], there), None);
}

/// A home whose clock is set back is heard all the same, and so is whoever takes its sessions over.
#[test]
fn a_home_whose_clock_was_set_back_is_heard() {
    let mut configs = ["fra1", "nrt1"].map(edge);
    configs.iter_mut().for_each(|config| config.publish = Some(100));
    let [mut fra, mut nrt] = configs.map(Host::new);
    const HOUR: u64 = 3_600_000;
    let told = |fra: &mut Host, nrt: &mut Host| {
        for _ in 0..2 {
            fra.at(fra.now + 200);
            nrt.at(nrt.now + 200);
            sync(fra, nrt);
        }
    };
    let queries = |nrt: &Host| nrt.replica.sessions_elsewhere().map(|(session, _)| session.queries).collect::<Vec<_>>();
    fra.at(START + HOUR);
    let ann = fra.session();
    told(&mut fra, &mut nrt);
    assert_eq!(queries(&nrt), [0]);
    fra.replica.tick(START + 2_000);
    fra.now = START + 2_000;
    fra.drain();
    fra.replica.begin_query(ann, "work", Terms::default(), fra.now).unwrap();
    fra.drain();
    told(&mut fra, &mut nrt);
    assert_eq!(queries(&nrt), [1]);
}
