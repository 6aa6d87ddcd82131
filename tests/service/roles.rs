//! Whose role counts where there are no accounts, and where the host answers roles itself.

use edge_session::error::ErrorCode;
use edge_session::id::Space;
use edge_session::io::{LinkId, Scope, SessionHandle};
use edge_session::replica::{Asking, Config, Pass, SessionInit};
use edge_session::service::role::RoleType;

use super::common::host::{Host, PLAIN, SYNC, sync};
use super::common::{edge, put, tab};
use super::{column, run};

/// What the host of a test answers: user, space, role.
type Said = [(&'static str, &'static str, RoleType)];

fn hosted(label: &str) -> Host {
    Host::new(Config { host_roles: true, ..edge(label) })
}

/// The host is asked as a real one is, before a call, and answers from `said`.
fn say(host: &mut Host, asking: Asking<'_>, said: &Said) {
    let role = |user: Option<&str>, space: &str| {
        said.iter().find(|(one, at, _)| Some(*one) == user && *at == space).map(|(_, _, role)| *role)
    };
    let wanted = host.replica.wanted_roles(asking).into_iter();
    let answers = wanted.map(|(user, space)| {
        let role = role(user.as_deref(), &space);
        ((user, space), role)
    });
    let answers = answers.collect();
    host.replica.say_roles(answers);
    host.drain();
}

fn asking(session: SessionHandle) -> Asking<'static> {
    Asking { session: Some(session), ..Asking::default() }
}

fn begin(host: &mut Host, user: &str, space: &str) -> SessionHandle {
    let space = Space::first(space).ok();
    host.open(SessionInit { user: Some(user.into()), space, ..SessionInit::default() })
}

fn code<T>(result: Result<T, edge_session::error::SessionError>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}

#[test]
pub(super) fn a_role_that_the_host_takes_away_acts_on_the_next_operation() {
    let mut host = hosted("fra1");
    let session = begin(&mut host, "ann", "shop");
    say(&mut host, asking(session), &[("ann", "shop", RoleType::User)]);
    host.set(session, "k", "v");
    assert!(host.get(session, "k", PLAIN).is_ok());
    // The host's copies were allowed by that role.
    host.replica.glance(session, "k", SYNC, host.now).unwrap();
    host.drain();
    say(&mut host, asking(session), &[("ann", "shop", RoleType::Guest)]);
    assert!(host.get(session, "k", PLAIN).is_ok(), "a Guest reads");
    let written = host.replica.hand_over(session, vec![put("k", "w")], SYNC, host.now);
    assert_eq!(code(written), Some(ErrorCode::PermissionDenied), "and writes no more");
    say(&mut host, asking(session), &[]);
    let error = host.get(session, "k", PLAIN).unwrap_err();
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert!(error.cause().contains("read in the space"), "{}", error.cause());
    say(&mut host, asking(session), &[("ann", "shop", RoleType::User)]);
    assert!(host.get(session, "k", PLAIN).is_ok(), "given again, it acts at once too");
}

#[test]
fn of_whom_the_host_has_said_nothing_holds_no_role() {
    let mut host = hosted("fra1");
    let session = begin(&mut host, "ann", "default");
    assert_eq!(code(host.get(session, "k", PLAIN)), Some(ErrorCode::PermissionDenied));
    // Nobody asks a replica that keeps roles itself.
    let mut plain = Host::new(edge("fra1"));
    let session = begin(&mut plain, "ann", "default");
    assert_eq!(plain.replica.wanted_roles(asking(session)), []);
}

#[test]
fn statements_and_lists_go_by_the_hosts_roles_in_every_space() {
    let mut host = hosted("fra1");
    run(&mut host, None, "CREATE SPACE shop; CREATE SPACE blog; CREATE USER ann; CREATE USER bob").unwrap();
    let (ann, bob) = (begin(&mut host, "ann", "shop"), begin(&mut host, "bob", "shop"));
    let said = [("ann", "shop", RoleType::Admin), ("bob", "shop", RoleType::User), ("bob", "blog", RoleType::Guest)];
    let mut ask = |session, text: &'static str| {
        say(&mut host, Asking { session: Some(session), text: Some(text), token: None }, &said);
        run(&mut host, session, text)
    };
    let mut all = column(&ask(ann, "SHOW SESSIONS").unwrap(), "UserName");
    all.sort();
    assert_eq!(all, ["ann", "bob"], "an Admin sees their space's");
    assert_eq!(column(&ask(bob, "SHOW SESSIONS").unwrap(), "UserName"), ["bob"]);
    assert_eq!(column(&ask(bob, "SHOW SPACES").unwrap(), "Name"), ["blog", "shop"]);
    assert_eq!(column(&ask(bob, "SHOW GRANTS").unwrap(), "role"), ["GUEST", "USER"]);
    assert_eq!(column(&ask(ann, "SHOW ROLES IN shop").unwrap(), "Role Type"), ["ADMIN", "USER"]);
    assert!(ask(bob, "USE blog").is_ok());
    assert_eq!(code(ask(ann, "USE blog")), Some(ErrorCode::PermissionDenied));
    let error = ask(ann, "GRANT GUEST ON shop TO bob").unwrap_err();
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert!(error.cause().contains("roleOf"), "{}", error.cause());
}

#[test]
fn who_is_god_by_the_host_is_god_and_root_is_whatever_it_says() {
    let mut host = hosted("fra1");
    let (ann, root) = (begin(&mut host, "ann", "default"), begin(&mut host, "root", "default"));
    assert!(host.replica.wanted_roles(asking(root)).is_empty(), "of root nobody is asked");
    assert!(run(&mut host, root, "CREATE USER bob").is_ok());
    say(&mut host, asking(ann), &[("ann", "default", RoleType::God)]);
    assert!(run(&mut host, ann, "CREATE USER eve").is_ok());
    say(&mut host, asking(ann), &[]);
    assert_eq!(code(run(&mut host, ann, "CREATE USER kim")), Some(ErrorCode::PermissionDenied));
}

#[test]
fn a_subscription_ends_with_the_role() {
    let mut host = hosted("fra1");
    let (ann, bob) = (begin(&mut host, "ann", "shop"), begin(&mut host, "bob", "shop"));
    let both = [("ann", "shop", RoleType::User), ("bob", "shop", RoleType::User)];
    say(&mut host, asking(bob), &both);
    say(&mut host, asking(ann), &both);
    let watch = host.replica.watch(ann, Scope::Key("k".into()), PLAIN, host.now).unwrap();
    host.drain();
    // The host is asked for who follows keys, whoever does something.
    say(&mut host, asking(bob), &[("bob", "shop", RoleType::User)]);
    host.set(bob, "k", "v");
    assert_eq!(code(host.replica.next(watch, host.now)), Some(ErrorCode::PermissionDenied));
}

#[test]
fn a_client_may_do_what_the_host_says_at_each_message() {
    let mut host = hosted("fra1");
    let said = [("ann", "shop", RoleType::User)];
    let session = begin(&mut host, "ann", "shop");
    say(&mut host, asking(session), &said);
    host.set(session, "k", "v");
    let token = host.token(session);
    host.replica.close_session(session);
    let pass = Pass { token: token.clone(), spaces: vec![] };
    say(&mut host, Asking { token: Some(&token), ..Asking::default() }, &said);
    host.replica.link_admit(LinkId(1), &pass, host.now).unwrap();
    host.drain();
    let mut client = Host::new(tab("tab"));
    client.replica.link_up(LinkId(1), client.now);
    client.drain();
    let shop = Space::first("shop").unwrap();
    let talk = |host: &mut Host, client: &mut Host, said: &Said| {
        for _ in 0..10 {
            for (_, bytes) in std::mem::take(&mut client.sent) {
                say(host, Asking::default(), said);
                host.receive(LinkId(1), &bytes).unwrap();
            }
            for (_, bytes) in std::mem::take(&mut host.sent) {
                client.receive(LinkId(1), &bytes).unwrap();
            }
            let now = host.now + 5_000;
            say(host, Asking::default(), said);
            host.at(now);
            client.at(now);
        }
    };
    talk(&mut host, &mut client, &said);
    let held = |client: &Host| client.replica.store().live(&shop, "k").map(|set| set.entries()[0].content.clone());
    assert_eq!(held(&client), Some(super::common::text("v")));
    // The role goes: what others write from now on does not reach the tab.
    let other = begin(&mut host, "bob", "shop");
    let bob = [("bob", "shop", RoleType::User)];
    say(&mut host, asking(other), &bob);
    host.set(other, "k", "secret");
    talk(&mut host, &mut client, &bob);
    assert_ne!(held(&client), Some(super::common::text("secret")), "it was told nothing more");
    // It comes back: the tab is told again.
    talk(&mut host, &mut client, &said);
    assert_eq!(held(&client), Some(super::common::text("secret")));
    assert_eq!(host.replica.wanted_roles(Asking::default()), [(Some("ann".into()), "shop".into())]);
}

#[test]
pub(super) fn without_accounts_a_session_is_a_user_where_it_was_begun_and_nobody_elsewhere() {
    let mut host = Host::new(edge("fra1"));
    run(&mut host, None, "CREATE SPACE shop").unwrap();
    let session = host.session();
    host.set(session, "k", "v");
    let error = run(&mut host, session, "USE shop").unwrap_err();
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert!(
        error.cause().contains("accounts") && error.cause().contains("roleOf"),
        "cause and cure: {}",
        error.cause()
    );
    // The host says where a session begins; so does a token that the cluster has signed.
    let there = begin(&mut host, "ann", "shop");
    host.set(there, "k", "in the shop");
    let token = host.token(there);
    let again = host.resume(&token);
    assert!(host.get(again, "k", PLAIN).is_ok());
    assert_eq!(column(&run(&mut host, again, "SHOW SPACES").unwrap(), "Name"), ["shop"]);
    // What the bearer of a token asks for is not the host's word.
    let visit = SessionInit { token: Some(token), visit: Space::first("default").ok(), ..SessionInit::default() };
    let visit = host.open(visit);
    assert_eq!(code(host.get(visit, "k", PLAIN)), Some(ErrorCode::PermissionDenied));
    // With accounts roles count, everywhere.
    run(&mut host, None, "CREATE USER ann; GRANT USER ON default TO ann").unwrap();
    assert!(host.get(visit, "k", PLAIN).is_ok());
    assert_eq!(code(host.get(again, "k", PLAIN)), Some(ErrorCode::PermissionDenied));
}

#[test]
fn where_a_session_was_begun_does_not_depend_on_the_edge_that_serves_it() {
    // Two edges of one cluster whose default spaces differ: were a session a User in the edge's default space alone, the same
    // token would be served here and refused there.
    let mut fra = Host::new(Config { space: "shop".into(), ..edge("fra1") });
    let mut nrt = Host::new(Config { space: "blog".into(), ..edge("nrt1") });
    let session = fra.session();
    fra.set(session, "k", "v");
    let token = fra.token(session);
    sync(&mut fra, &mut nrt);
    let there = nrt.resume(&token);
    assert!(nrt.get(there, "k", PLAIN).unwrap().is_some());
    assert_eq!(nrt.replica.session(there).unwrap().space.name(), "shop");
}
