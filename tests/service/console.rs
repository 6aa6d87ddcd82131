//! Statements run: the whole matrix by role and statement on a real replica, and what the tables show.

use edge_session::error::{ErrorCode, SessionError};
use edge_session::id::Space;
use edge_session::io::{Scope, SessionHandle};
use edge_session::replica::{Hashing, SessionInit};
use edge_session::service::table::Table;

use super::common::host::{Host, PLAIN};
use super::common::{edge, stored};
use super::{column, count, rows, run, run_with};

/// The state in which each row of the matrix begins.
struct World {
    host: Host,
    me: &'static str,
    mine: SessionHandle,
    theirs: SessionHandle,
    elsewhere: SessionHandle,
}

fn session(host: &mut Host, user: &str, space: &str) -> SessionHandle {
    let space = Space::first(space).ok();
    host.open(SessionInit { user: Some(user.into()), space, ..SessionInit::default() })
}

fn world(role: &str) -> World {
    let mut host = Host::new(edge("fra1"));
    let setup = "CREATE SPACE shop; CREATE SPACE blog; CREATE USER me; CREATE USER admin; CREATE USER dba;
        CREATE USER nobody; CREATE USER writer; GRANT ADMIN ON shop TO admin; GRANT DBA ON shop TO dba;
        GRANT USER ON blog TO writer";
    run(&mut host, None, setup).unwrap();
    if !["God", "none"].contains(&role) {
        run(&mut host, None, &format!("GRANT ROLE {role} ON shop TO me")).unwrap();
    }
    let me = if role == "God" { "root" } else { "me" };
    let mine = session(&mut host, me, "shop");
    let theirs = session(&mut host, "dba", "shop");
    let elsewhere = session(&mut host, "writer", "blog");
    for (of, plan) in [(theirs, 1), (elsewhere, 2)] {
        assert_eq!(host.replica.begin_query(of, "work", PLAIN, host.now).unwrap().0, plan);
    }
    World { host, me, mine, theirs, elsewhere }
}

impl World {
    fn id(&self, session: SessionHandle) -> String {
        self.host.replica.session(session).unwrap().id.to_string()
    }

    /// The text with the names of this world.
    fn text(&self, text: &str) -> String {
        let text = text.replace("<mine>", &self.id(self.mine)).replace("<theirs>", &self.id(self.theirs));
        let text = text.replace("<elsewhere>", &self.id(self.elsewhere));
        let mut words: Vec<&str> = text.split(' ').collect();
        words.iter_mut().filter(|word| **word == "me").for_each(|word| *word = self.me);
        words.join(" ")
    }
}

/// As a host runs them, which hashes what it is asked for. No password is the right one, and none is hashed in vain.
fn hashed(host: &mut Host, session: SessionHandle, text: &str) -> Result<Table, SessionError> {
    let secrets = host.replica.secrets(Some(session), text)?;
    let said = |secret: &Hashing| match secret {
        Hashing::Hash(_) => "hash".to_string(),
        Hashing::Check(_, hash) => format!("!{}", hash.as_deref().unwrap_or_default()),
    };
    let hashes: Vec<String> = secrets.iter().map(said).collect();
    let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
    let answered = run_with(host, Some(session), text, &hashes);
    let denied = answered.as_ref().is_err_and(|error| error.code() == ErrorCode::PermissionDenied);
    assert!(!denied || hashes.is_empty(), "{text}");
    answered
}

#[test]
fn each_role_is_answered_as_the_table_says() {
    let table = rows(include_str!("../data/service/statements.txt"));
    let roles = &table[0][1..];
    assert_eq!(roles.len(), 6);
    for row in &table[1..] {
        for (role, expected) in roles.iter().zip(&row[1..]) {
            let mut world = world(role);
            let text = world.text(&row[0]);
            let session = world.mine;
            let answered = hashed(&mut world.host, session, &text);
            assert_eq!(answered.map_or_else(|error| error.code().as_str(), |_| "OK"), expected, "{text}, as {role}");
        }
    }
}

/// What the call of the host answers that says the same as a statement: nothing where it has no call of its own.
fn called(world: &mut World, call: &str) -> Option<Result<Vec<String>, SessionError>> {
    let (handle, now) = (Some(world.mine), world.host.now);
    let (name, argument) = call.split_once(' ').unwrap_or((call, ""));
    let argument = world.text(argument);
    let replica = &mut world.host.replica;
    Some(match name {
        "sessions" => replica.sessions_of(handle).map(|all| all.iter().map(|(one, ..)| one.id.to_string()).collect()),
        "queries" => {
            replica.queries_of(handle, false).map(|all| all.iter().map(|(query, ..)| query.plan.to_string()).collect())
        }
        "killSession" => replica.kill_session(handle, &argument.parse().unwrap(), None, now).map(|_| vec![]),
        "log" => replica.log_of(handle).map(|_| vec![]),
        "cache" => replica.cache_of(handle).map(|_| vec![]),
        _ => return None,
    })
}

#[test]
fn calls_and_statements_are_two_faces_of_one_answer() {
    let table = rows(include_str!("../data/service/faces.txt"));
    let mut both = 0;
    for row in &table[1..] {
        for (role, expected) in table[0][2..].iter().zip(&row[2..]) {
            let code = |error: SessionError| error.code().as_str();
            let mut world = world(role);
            let by_call = called(&mut world, &row[0]);
            if let Some(answer) = &by_call {
                let outcome = answer.as_ref().map_or_else(|error| error.code().as_str(), |_| "OK");
                assert_eq!(outcome, expected, "{}, as {role}", row[0]);
            }
            if row[1] == "-" {
                continue;
            }
            // The call may have changed something: the statement begins where it did.
            let mut world = self::world(role);
            let (text, session) = (world.text(&row[1]), world.mine);
            let answer = run(&mut world.host, session, &text);
            assert_eq!(
                answer.as_ref().map_or_else(|error| error.code().as_str(), |_| "OK"),
                expected,
                "{text}, as {role}"
            );
            let shown = answer.map_err(code).ok().filter(|_| ["sessions", "queries"].contains(&row[0].as_str()));
            let (Some(Ok(mut listed)), Some(table)) = (by_call, shown) else { continue };
            let name = if row[0] == "sessions" { "SessionId" } else { "ExecutionPlanID" };
            // The statement is itself a query that runs.
            let mut rows = column(&table, name);
            rows.retain(|row| name == "SessionId" || row != "3");
            listed.sort();
            rows.sort();
            assert_eq!(listed.len(), rows.len(), "{text}, as {role}");
            assert!(name == "SessionId" || listed == rows, "{text}, as {role}: {listed:?} {rows:?}");
            both += 1;
        }
    }
    assert_eq!(both, 12);
}

#[test]
fn what_is_not_permitted_changes_nothing() {
    let table = rows(include_str!("../data/service/statements.txt"));
    for row in table[1..].iter().filter(|row| row[6] == "PERMISSION_DENIED") {
        let mut world = world("none");
        let before = world.host.replica.store().clone();
        let text = world.text(&row[0]);
        let session = world.mine;
        run(&mut world.host, session, &text).unwrap_err();
        for (space, state) in world.host.replica.store().spaces() {
            assert_eq!(before.vector(space), state.vector(), "{text}");
        }
    }
}

#[test]
fn lists_show_what_a_role_may_see() {
    let seen = |role: &str, text: &str, name: &str| {
        let mut world = world(role);
        let session = world.mine;
        let table = run(&mut world.host, session, text).unwrap();
        let mut found = column(&table, name);
        found.sort();
        found
    };
    assert_eq!(seen("God", "SHOW SESSIONS", "UserName"), ["dba", "root", "writer"]);
    assert_eq!(seen("Admin", "SHOW SESSIONS", "UserName"), ["dba", "me"]);
    assert_eq!(seen("DBA", "SHOW SESSIONS", "UserName"), ["me"]);
    assert_eq!(seen("none", "SHOW LOCAL SESSIONS", "UserName"), ["me"]);
    // The statement itself is a query that runs.
    assert_eq!(seen("God", "SHOW QUERIES", "Query"), ["SHOW QUERIES", "work", "work"]);
    assert_eq!(seen("Admin", "SHOW QUERIES", "User"), ["dba", "me"]);
    assert_eq!(seen("Guest", "SHOW QUERIES", "User"), ["me"]);
    assert_eq!(seen("God", "SHOW SPACES", "Name"), ["blog", "default", "shop"]);
    assert_eq!(seen("Guest", "SHOW SPACES", "Name"), ["shop"]);
    assert_eq!(seen("none", "SHOW SPACES", "Name"), Vec::<String>::new());
    assert_eq!(seen("God", "SHOW USERS", "Account"), ["admin", "dba", "me", "nobody", "root", "writer"]);
    assert_eq!(seen("Guest", "SHOW ROLES IN shop", "Role Type"), ["ADMIN", "DBA", "GUEST"]);
    assert_eq!(seen("User", "SHOW GRANTS", "role"), ["USER"]);
    assert_eq!(seen("God", "DESCRIBE USER writer", "space"), ["blog"]);
}

#[test]
fn data_is_read_and_written_as_the_role_allows_and_a_change_of_role_acts_on_the_next_operation() {
    for (role, reads, writes) in [
        ("God", true, true),
        ("Admin", true, true),
        ("User", true, true),
        ("Guest", true, false),
        ("none", false, false),
    ] {
        let mut world = world(role);
        let session = world.mine;
        assert_eq!(world.host.get(session, "k", PLAIN).is_ok(), reads, "{role}");
        assert_eq!(world.host.try_set(session, "k", "v", PLAIN).is_ok(), writes, "{role}");
    }
    let mut world = world("User");
    let session = world.mine;
    world.host.set(session, "k", "v");
    run(&mut world.host, None, "REVOKE USER ON shop FROM me; GRANT GUEST ON shop TO me").unwrap();
    let refused = world.host.try_set(session, "k", "w", PLAIN).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::PermissionDenied);
    assert_eq!(world.host.get(session, "k", PLAIN), Ok(Some("v".into())));
    let watch = world.host.replica.watch(session, Scope::Prefix(String::new()), PLAIN, world.host.now).unwrap();
    run(&mut world.host, None, "REVOKE GUEST ON shop FROM me").unwrap();
    let again = world.host.replica.watch(session, Scope::Prefix(String::new()), PLAIN, world.host.now);
    assert_eq!(again.unwrap_err().code(), ErrorCode::PermissionDenied);
    assert_eq!(world.host.replica.peek(session, "k", world.host.now).unwrap_err().code(), ErrorCode::PermissionDenied);
    assert_eq!(world.host.next(watch).unwrap_err().code(), ErrorCode::PermissionDenied);
    run(&mut world.host, None, "DROP SPACE shop").unwrap();
    assert_eq!(world.host.get(session, "k", PLAIN).unwrap_err().code(), ErrorCode::SpaceNotFound);
}

#[test]
fn what_follows_keys_of_a_space_is_judged_there_wherever_its_session_is_by_now() {
    let mut world = world("User");
    let session = world.mine;
    run(&mut world.host, None, "GRANT USER ON blog TO me").unwrap();
    let watch = world.host.replica.watch(session, Scope::Prefix(String::new()), PLAIN, world.host.now).unwrap();
    run(&mut world.host, session, "USE blog").unwrap();
    assert_eq!(world.host.next(watch).unwrap(), []);
    run(&mut world.host, None, "REVOKE USER ON shop FROM me").unwrap();
    assert!(world.host.get(session, "k", PLAIN).is_ok());
    assert_eq!(world.host.next(watch).unwrap_err().code(), ErrorCode::PermissionDenied);
}

#[test]
fn a_pipe_kills_what_it_has_chosen_or_nothing() {
    let mut world = world("Admin");
    let session = world.mine;
    let text = "SHOW SESSIONS | YIELD $-.SessionId AS sid, $-.UserName AS user | KILL SESSION $-.sid";
    let chosen = text.replace(" | KILL", " WHERE $-.UserName == 'dba' | KILL");
    assert_eq!(count(&run(&mut world.host, session, &chosen).unwrap()), 1);
    assert_eq!(world.host.get(world.theirs, "k", PLAIN).unwrap_err().code(), ErrorCode::SessionKilled);

    // Several kills are all permitted, or none is done.
    let mut world = self::world("User");
    let (session, theirs) = (world.mine, world.id(world.theirs));
    world.host.replica.begin_query(session, "mine", PLAIN, world.host.now).unwrap();
    let mine = world.id(session);
    let both = format!("KILL QUERY (SESSION = '{mine}', PLAN = 3); KILL QUERY (SESSION = '{theirs}', PLAN = 1)");
    assert_eq!(run(&mut world.host, session, &both).unwrap_err().code(), ErrorCode::PermissionDenied);
    let left = |world: &World| world.host.replica.service().1.running().count();
    assert_eq!(left(&world), 2, "the first statement had run");
    let rows = "SHOW QUERIES | YIELD $-.SessionID AS s, $-.ExecutionPlanID AS p WHERE $-.Query == 'work' | KILL QUERY (SESSION = $-.s, PLAN = $-.p)";
    run(&mut world.host, None, rows).unwrap();
    assert_eq!(left(&world), 0);
}

#[test]
fn a_query_is_of_the_space_in_which_it_began_wherever_its_session_is_by_now() {
    let mut world = world("Admin");
    run(&mut world.host, None, "CREATE USER boss; GRANT ADMIN ON blog TO boss; GRANT DBA ON blog TO dba").unwrap();
    let (theirs, boss) = (world.theirs, session(&mut world.host, "boss", "blog"));
    run(&mut world.host, theirs, "USE blog").unwrap();
    let seen = |world: &World, by| world.host.replica.queries_of(Some(by), false).unwrap().len();
    let kill = format!("KILL QUERY (SESSION = '{}', PLAN = 1)", world.id(theirs));
    // Who may not see it may not kill it either.
    assert_eq!(seen(&world, boss), 1, "the one of the writer in the blog");
    assert_eq!(run(&mut world.host, boss, &kill).unwrap_err().code(), ErrorCode::PermissionDenied);
    assert_eq!(seen(&world, world.mine), 1);
    run(&mut world.host, world.mine, &kill).unwrap();
    assert_eq!(seen(&world, world.mine), 0);
}

#[test]
fn a_plan_without_a_session_is_one_of_the_own_session_whoever_asks() {
    for role in ["God", "Admin", "User"] {
        let mut world = world(role);
        let (mine, theirs) = (world.mine, world.theirs);
        assert_eq!(
            run(&mut world.host, mine, "KILL QUERY (PLAN = 1)").unwrap_err().code(),
            ErrorCode::QueryNotFound,
            "{role}"
        );
        assert_eq!(world.host.replica.service().1.running().count(), 2);
        run(&mut world.host, theirs, "KILL QUERY (PLAN = 1)").unwrap();
        assert_eq!(world.host.replica.service().1.running().count(), 1);
    }
}

#[test]
fn queries_that_have_ended_are_shown_to_whom_they_were_shown_as_they_ran() {
    for (role, plans) in [("God", &[1, 2][..]), ("Admin", &[1]), ("DBA", &[]), ("User", &[]), ("none", &[])] {
        let mut world = world(role);
        for plan in [1, 2] {
            world.host.replica.end_query(plan, Ok(0), world.host.now).unwrap();
        }
        let seen = |by| -> Vec<u64> {
            world.host.replica.queries_of(by, true).unwrap().iter().map(|(query, ..)| query.plan).collect()
        };
        assert_eq!(seen(Some(world.mine)), plans, "{role}");
        assert_eq!((seen(Some(world.theirs)), seen(None)), (vec![1], vec![1, 2]));
    }
}

#[test]
fn a_sequence_is_checked_before_any_of_it_runs() {
    let mut world = world("God");
    for (text, code) in [
        ("DROP USER nobody; SHOW NONSENSE", ErrorCode::Syntax),
        ("DROP USER nobody; SHOW USERS | YIELD $-.NoColumn", ErrorCode::Semantic),
        ("DROP USER nobody; CREATE SPACE `no such name!`", ErrorCode::Semantic),
    ] {
        assert_eq!(run(&mut world.host, None, text).unwrap_err().code(), code);
    }
    assert!(column(&run(&mut world.host, None, "SHOW USERS").unwrap(), "Account").contains(&"nobody".into()));
}

#[test]
fn who_is_god_is_told_that_nobody_makes_a_space_of_the_fleets_own() {
    let mut world = world("God");
    let session = world.mine;
    for text in ["CREATE SPACE `$mine`", "DROP SPACE `$system`", "DROP SPACE IF EXISTS `$none`"] {
        let refused = run(&mut world.host, session, text).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::PermissionDenied, "{text}");
        assert!(refused.cause().contains("begins with $"), "{text}: {}", refused.cause());
    }
}

#[test]
fn pipes_choose_order_and_bound_rows() {
    let mut world = world("God");
    let mut shown = |text: &str| column(&run(&mut world.host, None, text).unwrap(), "u");
    let base = "SHOW USERS | YIELD $-.Account AS u";
    assert_eq!(shown(&format!("{base} | ORDER BY $-.u DESC | LIMIT 2")), ["writer", "root"]);
    assert_eq!(
        shown(&format!("{base} WHERE $-.Account STARTS WITH 'a' OR $-.Account CONTAINS 'ob'")),
        ["admin", "nobody"]
    );
    assert_eq!(shown(&format!("{base} WHERE NOT $-.Account >= 'm' AND $-.Account != 'dba'")), ["admin"]);
    let mixed = run(&mut world.host, None, "SHOW USERS | YIELD $-.Account WHERE $-.Account > 3");
    assert_eq!(mixed.unwrap_err().code(), ErrorCode::Semantic);
}

#[test]
fn a_table_prints_as_one() {
    let mut host = Host::new(edge("fra1"));
    let table = run(&mut host, None, "SHOW SPACES").unwrap();
    assert_eq!(table.to_string(), "+---------+\n| Name    |\n+---------+\n| default |\n+---------+\n");
    let empty = run(&mut host, None, "SHOW ROLES IN default").unwrap();
    assert_eq!(
        empty.to_string(),
        "+---------+-----------+\n| Account | Role Type |\n+---------+-----------+\n+---------+-----------+\n"
    );
}

#[test]
fn a_console_that_refreshes_does_not_push_out_of_the_log_what_was_done() {
    let mut world = world("User");
    let session = world.mine;
    run(&mut world.host, None, "CREATE USER last").unwrap();
    for _ in 0..2_000 {
        run(&mut world.host, session, "SHOW SESSIONS | LIMIT 1; DESCRIBE USER me").unwrap();
    }
    run(&mut world.host, session, "SHOW USERS").unwrap_err();
    run(&mut world.host, session, "SHOW QUERIES | YIELD $-.ExecutionPlanID AS plan | KILL QUERY (PLAN = $-.plan)").ok();
    let log: Vec<_> = world.host.replica.log_of(None).unwrap().into_iter().map(|(_, done)| done.action).collect();
    assert!(log.contains(&"CREATE USER last".to_string()));
    let [.., refused, killed] = log.as_slice() else { panic!("{log:?}") };
    assert_eq!(refused, "SHOW USERS");
    assert!(killed.contains("KILL QUERY"), "what kills is no look: {killed}");
}

#[test]
fn the_log_tells_who_did_what_with_which_result_and_holds_no_password() {
    let mut world = world("User");
    let session = world.mine;
    run(&mut world.host, session, "DROP USER dba").unwrap_err();
    super::run_with(&mut world.host, None, "ALTER USER dba WITH PASSWORD 'sesame'", &["$hash$"]).unwrap();
    let mut log = world.host.replica.log_of(None).unwrap();
    log.sort_by_key(|(_, operation)| operation.at);
    let find = |action: &str| &log.iter().find(|(_, operation)| operation.action.starts_with(action)).unwrap().1;
    let (refused, altered) = (find("DROP USER dba"), find("ALTER USER dba"));
    assert_eq!(refused.user.as_deref(), Some("me"));
    assert_eq!((&*refused.outcome, refused.space.as_str()), ("PERMISSION_DENIED", "shop"));
    assert_eq!((altered.user.as_deref(), &*altered.outcome), (None, "OK"));
    assert!(!format!("{log:?}").contains("sesame") && !format!("{log:?}").contains("$hash$"));
    let queries = format!("{:?}", world.host.replica.service().1);
    assert!(!queries.contains("sesame"));
}

#[test]
fn without_accounts_everybody_is_a_user_and_nobody_sees_others() {
    let mut host = Host::new(edge("fra1"));
    let (ann, _bob) = (session(&mut host, "ann", "any"), session(&mut host, "bob", "any"));
    host.set(ann, "k", "v");
    assert_eq!(column(&run(&mut host, ann, "SHOW SESSIONS").unwrap(), "UserName"), ["ann"]);
    assert_eq!(run(&mut host, ann, "CREATE USER eve").unwrap_err().code(), ErrorCode::PermissionDenied);
    let hidden = SessionInit { space: Space::first("$system").ok(), ..SessionInit::default() };
    let hidden = host.open(hidden);
    assert_eq!(host.get(hidden, "account/ann", PLAIN).unwrap_err().code(), ErrorCode::PermissionDenied);
}

#[test]
fn who_has_no_account_owns_no_session_but_the_own() {
    let mut host = Host::new(edge("fra1"));
    let (mine, theirs) = (host.session(), host.session());
    let plan = host.replica.begin_query(theirs, "work", PLAIN, host.now).unwrap().0;
    let id = |host: &Host, session| host.replica.session(session).unwrap().id.to_string();
    let (own, other) = (id(&host, mine), id(&host, theirs));
    assert_eq!(column(&run(&mut host, mine, "SHOW SESSIONS").unwrap(), "SessionId"), [own]);
    for text in [
        format!("SHOW SESSION '{other}'"),
        format!("KILL SESSION '{other}'"),
        format!("KILL QUERY (SESSION = '{other}', PLAN = {plan})"),
    ] {
        assert_eq!(run(&mut host, mine, &text).unwrap_err().code(), ErrorCode::PermissionDenied, "{text}");
    }
}

#[test]
fn what_has_changed_the_fleet_is_in_everybodys_log_and_survives_its_replica() {
    let (mut fra, mut nrt) = (Host::new(stored(edge("fra1"))), Host::new(edge("nrt1")));
    fra.prompt = true;
    for number in 0..300 {
        fra.at(fra.now + 1);
        run(&mut fra, None, &format!("CREATE USER u{number}; SHOW USERS")).unwrap();
    }
    let text = |host: &Host| -> Vec<String> {
        let mut log = host.replica.log_of(None).unwrap();
        log.sort_by_key(|(_, operation)| operation.at);
        log.into_iter()
            .map(|(replica, operation)| format!("{replica} {} {}", operation.action, operation.outcome))
            .collect()
    };
    super::common::host::sync(&mut fra, &mut nrt);
    let told = text(&nrt);
    assert!((250..=256).contains(&told.len()), "{} of one replica", told.len());
    assert_eq!(told.last().unwrap(), &format!("{} CREATE USER u299 OK", fra.id()));
    fra.confirm_all();
    fra.crash();
    assert_eq!(text(&fra), told, "what was only shown is forgotten");
    // Whoever may read it: God all of it, an Admin that of their space, others nothing.
    run(&mut nrt, None, "CREATE SPACE shop; GRANT ADMIN ON shop TO u298; GRANT DBA ON shop TO u299").unwrap();
    let mut open = |user: &str| {
        nrt.open(SessionInit { user: Some(user.into()), space: Space::first("shop").ok(), ..SessionInit::default() })
    };
    let [admin, dba] = ["u298", "u299"].map(&mut open);
    run(&mut nrt, admin, "GRANT USER ON shop TO u1").unwrap();
    let read = |session| nrt.replica.log_of(Some(session));
    let actions: Vec<String> = read(admin).unwrap().into_iter().map(|(_, operation)| operation.action).collect();
    assert_eq!(actions, ["GRANT ROLE USER ON shop TO u1"]);
    assert_eq!(read(dba).unwrap_err().code(), ErrorCode::PermissionDenied);
}

#[test]
fn nobody_fills_the_fleets_records_with_what_is_refused() {
    let mut world = world("User");
    let session = world.mine;
    let system = Space::first("$system").unwrap();
    let before = world.host.replica.store().vector(&system).clone();
    for _ in 0..50 {
        run(&mut world.host, session, "DROP USER dba").unwrap_err();
        run(&mut world.host, session, "SHOW SESSIONS; USE shop; KILL SESSION 'none'").unwrap();
    }
    assert_eq!(world.host.replica.store().vector(&system), &before);
}

#[test]
fn a_session_that_kills_itself_runs_nothing_more_of_the_same_text() {
    let mut fra = Host::new(edge("fra1"));
    let root = fra.open(SessionInit { user: Some("root".into()), ..SessionInit::default() });
    let id = fra.replica.session(root).unwrap().id;
    let error = run(&mut fra, root, &format!("KILL SESSION '{id}'; CREATE SPACE shop")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::SessionKilled);
    let spaces = run(&mut fra, None, "SHOW SPACES").unwrap();
    assert!(!column(&spaces, "Name").contains(&"shop".into()), "{spaces:?}");
}
