//! The queries of the fleet: every edge lists them, and a kill reaches one wherever it runs.

use edge_session::error::ErrorCode;
use edge_session::io::SessionHandle;
use edge_session::replica::SessionInit;
use edge_session::service::query::QueryStatus;

use super::common::edge;
use super::common::host::{Host, PLAIN};
use super::common::net::Net;
use super::{column, run};

fn edges(labels: &[&str]) -> Net {
    let host = |label: &&str| {
        let mut config = edge(label);
        config.publish = Some(1_000);
        Host::new(config)
    };
    let mut net = Net::new(labels.iter().map(host).collect());
    (1..labels.len()).for_each(|at| net.connect(at - 1, at));
    net.run(100);
    net
}

fn begin(net: &mut Net, at: usize, user: &str, statement: &str) -> (SessionHandle, u64) {
    net.with(at, |host| {
        let session = host.open(SessionInit { user: Some(user.into()), ..SessionInit::default() });
        (session, host.replica.begin_query(session, statement, PLAIN, host.now).unwrap().0)
    })
}

fn listed(net: &mut Net, at: usize, statement: &str) -> Vec<String> {
    let table = net.with(at, |host| run(host, None, statement)).unwrap();
    let rows = column(&table, "User").into_iter().zip(column(&table, "Host")).zip(column(&table, "Query"));
    let mut rows: Vec<String> =
        rows.map(|((user, home), query)| format!("{user}@{} {query}", home.split('~').next().unwrap())).collect();
    rows.sort();
    rows
}

fn kill(net: &mut Net, at: usize, of: (usize, SessionHandle), plan: u64) -> Result<(), ErrorCode> {
    let id = net.hosts[of.0].replica.session(of.1).unwrap().id;
    let text = format!("KILL QUERY (SESSION = '{id}', PLAN = {plan})");
    net.with(at, |host| run(host, None, &text)).map(drop).map_err(|error| error.code())
}

#[test]
fn every_edge_lists_what_runs_in_the_fleet_and_how_old_the_word_is() {
    let mut net = edges(&["fra1", "gru1", "nrt1"]);
    begin(&mut net, 0, "ann", "report");
    let (session, plan) = begin(&mut net, 2, "bob", &"wörter ".repeat(60));
    net.run(4_000);
    for at in 0..3 {
        let rows = listed(&mut net, at, "SHOW QUERIES");
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert_eq!(rows[0], "ann@fra1 report");
        assert!(rows[1].starts_with("bob@nrt1 wörter wörter"), "{}", rows[1]);
    }
    assert_eq!(listed(&mut net, 0, "SHOW LOCAL QUERIES"), ["ann@fra1 report"]);
    let table = net.with(0, |fra| run(fra, None, "SHOW QUERIES | ORDER BY $-.User")).unwrap();
    let ages: Vec<u64> = column(&table, "AgeInMs").iter().map(|age| age.parse().unwrap()).collect();
    assert!(ages[0] == 0 && (1_000..=4_000).contains(&ages[1]), "{ages:?}");
    let lasted: u64 = column(&table, "DurationInUSec")[1].parse().unwrap();
    assert!(lasted >= 4_000_000, "counted from its beginning: {lasted}");
    // What has ended is listed nowhere any more, once that was told.
    net.with(2, |nrt| nrt.replica.end_query(plan, Ok(1), nrt.now).unwrap());
    net.run(4_000);
    assert_eq!(listed(&mut net, 0, "SHOW QUERIES"), ["ann@fra1 report"]);
    assert_eq!(kill(&mut net, 0, (2, session), plan), Err(ErrorCode::QueryNotFound));
}

#[test]
pub(super) fn a_kill_reaches_a_query_that_runs_two_edges_away_whatever_its_home_says_meanwhile() {
    let mut net = edges(&["fra1", "gru1", "nrt1"]);
    let (session, plan) = begin(&mut net, 2, "bob", "report");
    net.run(4_000);
    // The order waits at the edge that was asked, while the home goes on telling of the session, later and later.
    net.disconnect(0, 1);
    assert_eq!(kill(&mut net, 0, (2, session), plan), Ok(()));
    assert_eq!(kill(&mut net, 0, (2, session), plan + 1), Err(ErrorCode::QueryNotFound));
    for _ in 0..3 {
        net.with(2, |nrt| nrt.get(session, "k", PLAIN)).unwrap();
        net.run(2_000);
    }
    assert!(net.hosts[2].aborted.is_empty());
    net.connect(0, 1);
    net.run(15_000);
    assert_eq!(net.hosts[2].aborted, [(plan, ErrorCode::QueryKilled)]);
    let (_, queries, _) = net.hosts[2].replica.service();
    assert_eq!(queries.history().next_back().unwrap().status, QueryStatus::Killed);
    assert!(listed(&mut net, 0, "SHOW QUERIES").is_empty());
    // What runs after it in the same session goes on.
    let next = net.with(2, |nrt| nrt.replica.begin_query(session, "report", PLAIN, nrt.now).unwrap().0);
    net.run(5_000);
    assert_eq!(net.hosts[2].aborted.len(), 1);
    assert!(net.hosts[2].replica.service().1.get(next).is_some());
}

#[test]
fn rights_are_asked_for_where_the_kill_is_said() {
    let mut net = edges(&["fra1", "nrt1"]);
    let setup = "CREATE USER ann; CREATE USER bob; CREATE USER eve; GRANT USER ON default TO bob; GRANT ADMIN ON default TO eve";
    net.with(0, |fra| run(fra, None, setup)).unwrap();
    net.run(3_000);
    let (session, plan) = begin(&mut net, 1, "bob", "report");
    net.run(4_000);
    let id = net.hosts[1].replica.session(session).unwrap().id;
    let text = format!("KILL QUERY (SESSION = '{id}', PLAN = {plan})");
    let mut try_as = |user: &str| {
        let asker = net.with(0, |fra| fra.open(SessionInit { user: Some(user.into()), ..SessionInit::default() }));
        let seen = net.with(0, |fra| run(fra, asker, "SHOW QUERIES")).unwrap();
        let seen = column(&seen, "Query").iter().filter(|query| *query == "report").count();
        (seen, net.with(0, |fra| run(fra, asker, &text)).err().map(|error| error.code()))
    };
    assert_eq!(try_as("ann"), (0, Some(ErrorCode::PermissionDenied)));
    assert_eq!(try_as("eve"), (1, None), "an Admin of its space");
    assert_eq!(try_as("bob"), (1, None), "one's own");
    net.run(10_000);
    assert_eq!(net.hosts[1].aborted, [(plan, ErrorCode::QueryKilled)]);
}

#[test]
pub(super) fn a_console_that_refreshes_its_lists_does_not_wash_out_what_has_ended() {
    let mut host = Host::new(edge("fra1"));
    let session = host.session();
    let (plan, _) = host.replica.begin_query(session, "report", PLAIN, host.now).unwrap();
    host.replica.end_query(plan, Ok(3), host.now).unwrap();
    for _ in 0..400 {
        run(&mut host, session, "SHOW SESSIONS").unwrap();
    }
    run(&mut host, session, "SHOW USERS").unwrap_err();
    let (_, queries, _) = host.replica.service();
    let ended: Vec<_> = queries.history().map(|query| query.statement.clone()).collect();
    assert_eq!(ended, ["report", "SHOW USERS"], "what was refused is worth a line");
    assert_eq!((queries.stats.begun, queries.stats.completed), (402, 401), "they were counted");
}
