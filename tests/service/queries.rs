//! Queries: kill, deadline and the end of a session stop them; late results are nobody's.

use edge_session::error::ErrorCode;
use edge_session::io::{Event, SessionHandle, Terms};
use edge_session::replica::{Config, SessionInit};
use edge_session::service::query::QueryStatus;

use super::common::host::{Host, PLAIN};
use super::common::{START, edge};
use super::{column, run};

fn begin(host: &mut Host, session: SessionHandle, terms: Terms) -> u64 {
    let plan = host.replica.begin_query(session, "work", terms, host.now).unwrap().0;
    host.drain();
    plan
}

fn within(timeout: u64) -> Terms {
    Terms { timeout: Some(timeout), ..PLAIN }
}

fn end(host: &mut Host, plan: u64, result: Result<u64, String>) -> Result<(), ErrorCode> {
    let ended = host.replica.end_query(plan, result, host.now);
    host.drain();
    ended.map_err(|error| error.code())
}

fn last(host: &Host) -> (QueryStatus, u64) {
    let over = host.replica.service().1.history().next_back().unwrap();
    (over.status.clone(), over.duration(host.now))
}

#[test]
fn a_query_ends_once_and_is_remembered_as_it_ended() {
    let mut host = Host::new(edge("fra1"));
    let session = host.session();
    let (good, bad) = (begin(&mut host, session, PLAIN), begin(&mut host, session, PLAIN));
    host.at(START + 7);
    assert_eq!(end(&mut host, good, Ok(3)), Ok(()));
    assert_eq!(last(&host), (QueryStatus::Completed, 7));
    assert_eq!(end(&mut host, bad, Err("no disk".into())), Ok(()));
    assert_eq!(last(&host).0, QueryStatus::Failed("no disk".into()));
    assert_eq!(end(&mut host, bad, Ok(1)), Err(ErrorCode::QueryNotFound), "a failed query does not keep running");
    assert_eq!(host.replica.service().1.running().count(), 0);
}

#[test]
fn a_killed_query_is_over_at_once_and_its_late_result_is_dropped() {
    let mut host = Host::new(edge("fra1"));
    let session = host.session();
    let plan = begin(&mut host, session, PLAIN);
    run(&mut host, session, &format!("KILL QUERY (PLAN = {plan})")).unwrap();
    assert_eq!(host.aborted, [(plan, ErrorCode::QueryKilled)]);
    assert_eq!(end(&mut host, plan, Ok(3)), Err(ErrorCode::QueryKilled));
    let over = host.replica.service().1.history().find(|over| over.plan == plan).unwrap();
    assert_eq!((&over.status, over.rows), (&QueryStatus::Killed, 0));
}

#[test]
fn a_query_whose_deadline_passes_is_stopped_then_and_not_before() {
    let mut host = Host::new(Config { query_timeout: Some(500), ..edge("fra1") });
    let session = host.session();
    let (own, given) = (begin(&mut host, session, PLAIN), begin(&mut host, session, within(100)));
    host.at(START + 99);
    assert!(host.aborted.is_empty());
    host.at(START + 100);
    assert_eq!(host.aborted, [(given, ErrorCode::QueryTimeout)]);
    assert_eq!(end(&mut host, given, Ok(1)), Err(ErrorCode::QueryTimeout));
    host.at(START + 500);
    assert_eq!(host.aborted[1..], [(own, ErrorCode::QueryTimeout)]);
    assert_eq!(last(&host).0, QueryStatus::Timeout);
}

#[test]
fn a_query_is_stopped_at_once_though_storage_never_answers() {
    let mut host = Host::new(Config { storage: true, ..edge("fra1") });
    let session = host.session();
    let [late, killed, of_killed] = [within(100), PLAIN, PLAIN].map(|terms| begin(&mut host, session, terms));
    let say = |host: &mut Host, session, text: &str| {
        drop(host.replica.run(session, text, &[], PLAIN, host.now).unwrap());
        host.drain();
    };
    // What is told of this waits for storage, and for nothing else what is told after it.
    say(&mut host, None, "CREATE SPACE shop");
    host.at(START + 100);
    assert_eq!(host.aborted, [(late, ErrorCode::QueryTimeout)]);
    say(&mut host, Some(session), &format!("KILL QUERY (PLAN = {killed})"));
    assert_eq!(host.aborted[1..], [(killed, ErrorCode::QueryKilled)]);
    host.replica.end_session(session, host.now).unwrap();
    host.drain();
    assert_eq!(host.aborted[2..], [(of_killed, ErrorCode::QueryKilled)]);
    assert!(!host.replica.is_settled(), "storage has said nothing");
}

#[test]
fn a_result_that_comes_after_the_deadline_is_late_even_if_no_timer_rang() {
    let mut host = Host::new(edge("fra1"));
    let session = host.session();
    let plan = begin(&mut host, session, within(100));
    host.now = START + 150;
    assert_eq!(end(&mut host, plan, Ok(1)), Err(ErrorCode::QueryTimeout));
}

#[test]
fn the_end_of_a_session_stops_what_it_runs() {
    let mut host = Host::new(edge("fra1"));
    let (ann, bob) = (host.session(), host.session());
    let (one, other) = (begin(&mut host, ann, PLAIN), begin(&mut host, bob, PLAIN));
    host.replica.end_session(ann, START).unwrap();
    host.drain();
    assert_eq!(host.aborted, [(one, ErrorCode::QueryKilled)]);
    assert_eq!(end(&mut host, other, Ok(0)), Ok(()), "and nobody else's");
    assert!(host.replica.begin_query(ann, "more", PLAIN, START).is_err());
}

#[test]
fn slow_queries_are_told_of_and_quick_ones_are_not() {
    let mut host = Host::new(Config { slow: 50, ..edge("fra1") });
    let session = host.session();
    let (quick, slow) = (begin(&mut host, session, PLAIN), begin(&mut host, session, PLAIN));
    host.at(START + 49);
    end(&mut host, quick, Ok(1)).unwrap();
    host.at(START + 50);
    end(&mut host, slow, Ok(1)).unwrap();
    let told: Vec<u64> = host
        .events
        .iter()
        .filter_map(|event| if let Event::Slow(query) = event { Some(query.plan) } else { None })
        .collect();
    assert_eq!(told, [slow]);
}

#[test]
fn history_is_bounded_and_counts_add_up() {
    let mut host = Host::new(edge("fra1"));
    let session = host.session();
    for round in 0..1_000_u64 {
        let plan = begin(&mut host, session, PLAIN);
        let result = if round % 2 == 0 { Ok(round) } else { Err("x".repeat(100_000)) };
        end(&mut host, plan, result).unwrap();
    }
    let queries = host.replica.service().1;
    assert!(queries.history().count() < 1_000);
    let longest =
        queries.history().map(|over| if let QueryStatus::Failed(text) = &over.status { text.len() } else { 0 }).max();
    assert!(longest < Some(3_000), "{longest:?}");
    let stats = queries.stats;
    assert_eq!((stats.begun, stats.completed, stats.failed, stats.killed + stats.timeout), (1_000, 500, 500, 0));
}

#[test]
fn a_running_query_is_activity() {
    let mut config = edge("fra1");
    config.sessions.idle = Some(1_000);
    let mut host = Host::new(config);
    let session = host.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    let plan = begin(&mut host, session, PLAIN);
    host.at(START + 10_000);
    let shown = run(&mut host, None, "SHOW SESSIONS").unwrap();
    assert_eq!(column(&shown, "ActiveQueries"), ["1"]);
    end(&mut host, plan, Ok(1)).unwrap();
    host.at(START + 10_999);
    assert!(host.get(session, "k", PLAIN).is_ok(), "its end was activity too");
    host.at(START + 12_000);
    assert_eq!(host.get(session, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionExpired);
}
