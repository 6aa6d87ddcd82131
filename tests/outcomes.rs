//! Outcomes: value, absent, behind, lost; waiting, refusing, serving; and every way in which a wait ends.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::host::{Host, PLAIN, SYNC, THROW, sync};
use common::{START, batch, code, edge, missing, put, stored, string, tab};
use edge_session::error::{ErrorCode, SessionError};
use edge_session::guarantee::Guarantees;
use edge_session::id::Space;
use edge_session::io::{Answer, Change, Operation, Outcome, Policy, Progress, Range, Scope, SessionHandle, Terms};
use edge_session::replica::{Config, SessionInit};

const SERVE: Terms = Terms { on_stale: Some(Policy::Serve), ..PLAIN };

/// A session that has written `k` in Paris and goes on in Tokyo, which has not heard of it.
fn roamed() -> (Host, Host, SessionHandle) {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let ann = paris.session();
    paris.set(ann, "k", "v");
    let ann = tokyo.resume(&paris.token(ann));
    (paris, tokyo, ann)
}

fn get(key: &str) -> Operation {
    Operation::Get(key.into())
}

fn read(key: &str) -> Operation {
    Operation::Read(key.into())
}

/// Every kind of operation that answers from the state.
fn reads() -> [Operation; 4] {
    [get("k"), read("k"), Operation::List(Range::default()), Operation::Conflicts("k".into())]
}

fn within(timeout: u64) -> Terms {
    Terms { timeout: Some(timeout), ..PLAIN }
}

// ── The four outcomes ───────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_value_comes_with_its_version_and_the_number_of_those_it_masks() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    tokyo.set(bob, "k", "first");
    paris.now = START + 1;
    let version = paris.set(ann, "k", "second");
    let Outcome::Value { item, conflicts: 0, stale: false } = paris.read(ann, "k", PLAIN).unwrap() else { panic!() };
    assert_eq!((string(&item.content).as_str(), &item.version), ("second", &version));
    sync(&mut paris, &mut tokyo);
    let Outcome::Value { item, conflicts: 1, stale: false } = paris.read(ann, "k", PLAIN).unwrap() else { panic!() };
    assert!(item.version.starts_with(&version) && item.version != version, "the version covers the sibling too");
}

#[test]
fn absent_is_proved_and_not_merely_nothing_found() {
    let (mut paris, mut tokyo, ann) = roamed();
    assert_eq!(code(tokyo.get(ann, "other", THROW)), ErrorCode::StaleReplica, "who knows what paris:1 wrote");
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.read(ann, "other", THROW), Ok(Outcome::Absent { stale: false }));
    assert_eq!(tokyo.get(ann, "other", THROW), Ok(None));
    paris.now = START + 1;
    let author = paris.session();
    paris.delete(author, "k");
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.read(ann, "k", THROW), Ok(Outcome::Absent { stale: false }));
}

#[test]
fn behind_is_an_outcome_to_read_and_an_error_to_the_others() {
    let (_, mut tokyo, ann) = roamed();
    let Outcome::Behind(gaps) = tokyo.read(ann, "k", THROW).unwrap() else { panic!() };
    assert_eq!((gaps.len(), gaps[0].gap.have, gaps[0].gap.need), (1, 0, 1));
    assert_eq!(gaps[0].gap.replica.label(), "paris");
    for operation in reads().into_iter().filter(|operation| !matches!(operation, Operation::Read(_))) {
        let error = tokyo.begin(ann, operation, THROW).unwrap_err();
        assert_eq!((error.code(), error.code().retryable()), (ErrorCode::StaleReplica, true));
        assert_eq!(missing(&error), ["paris: 0 → 1"]);
    }
    assert_eq!(code(tokyo.try_set(ann, "k", "w", THROW)), ErrorCode::StaleReplica);
}

#[test]
fn lost_is_what_a_retirement_record_says_nobody_holds() {
    let (mut paris, mut tokyo, ann) = roamed();
    let (space, id) = (tokyo.space(), paris.id());
    let waiting: Vec<_> = reads().map(|operation| tokyo.wait(ann, operation, PLAIN)).into();
    let writing = tokyo.wait(ann, batch([put("k", "w")]), PLAIN);
    // Without a record it is behind for ever, never lost.
    assert!(matches!(tokyo.read(ann, "k", THROW), Ok(Outcome::Behind(_))));

    tokyo.replica.retire(&space, id, 0, START);
    tokyo.drain();
    for (wait, operation) in waiting.into_iter().zip(reads()) {
        match tokyo.taken(wait).unwrap() {
            Ok(Answer::Outcome(Outcome::Lost(gaps))) => assert_eq!(gaps[0].gap.need, 1),
            other => assert_eq!(code(other), ErrorCode::DependencyLost, "{operation:?}"),
        }
    }
    assert_eq!(code(tokyo.taken(writing).unwrap()), ErrorCode::DependencyLost);
    assert!(matches!(tokyo.read(ann, "k", PLAIN), Ok(Outcome::Lost(_))), "said at once: waiting would be in vain");
    let error = tokyo.get(ann, "k", PLAIN).unwrap_err();
    assert_eq!((error.code(), error.code().retryable()), (ErrorCode::DependencyLost, false));
    assert_eq!(missing(&error), ["paris: 0 → 1"]);
    // And what comes of the retired one after all is refused.
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.holds(), "<>");
}

#[test]
fn what_a_retired_replica_left_behind_is_not_lost() {
    let (mut paris, mut tokyo, ann) = roamed();
    let (space, id) = (tokyo.space(), paris.id());
    tokyo.replica.retire(&space, id, 1, START);
    assert!(matches!(tokyo.read(ann, "k", THROW), Ok(Outcome::Behind(_))), "somebody has it");
    tokyo.pull(&mut paris);
    assert!(matches!(tokyo.read(ann, "k", THROW), Ok(Outcome::Value { .. })));
}

// ── Policies ────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn to_wait_is_the_default_and_has_a_deadline() {
    let (_, mut tokyo, ann) = roamed();
    for operation in reads().into_iter().chain([batch([put("k", "w")])]) {
        let wait = tokyo.wait(ann, operation.clone(), PLAIN);
        assert!(tokyo.timeout.is_some_and(|at| at <= tokyo.now + 1_000), "somebody rings in time");
        let begin = tokyo.now;
        tokyo.at(begin + 999);
        assert_eq!(tokyo.taken(wait), None, "{operation:?}");
        tokyo.at(begin + 1_000);
        let error = tokyo.taken(wait).unwrap().unwrap_err();
        assert_eq!(error.code(), ErrorCode::StaleReplica, "{operation:?}");
        assert_eq!(missing(&error), ["paris: 0 → 1"]);
    }
    assert_eq!(tokyo.holds(), "<>");
}

#[test]
fn the_deadline_is_the_operations_or_the_sessions_or_the_replicas() {
    let (paris, _, _) = roamed();
    let mut tokyo = Host::new(Config { timeout: 300, ..edge("tokyo") });
    // The token of the same session.
    let mut source = paris;
    let ann = source.session();
    source.set(ann, "k", "w");
    let token = source.token(ann);
    let plain = tokyo.resume(&token);
    let patient = tokyo.open(SessionInit { token: Some(token), timeout: Some(600), ..SessionInit::default() });
    let waits = [
        (tokyo.wait(plain, get("k"), PLAIN), 300),
        (tokyo.wait(patient, get("k"), PLAIN), 600),
        (tokyo.wait(patient, get("k"), within(900)), 900),
        (tokyo.wait(plain, get("k"), within(0)), 0),
    ];
    tokyo.at(START);
    for at in [0, 299, 300, 599, 600, 899, 900] {
        tokyo.at(START + at);
        for (wait, deadline) in waits {
            assert_eq!(tokyo.settled.contains(&wait), deadline <= at, "{deadline} at {at}");
        }
    }
}

#[test]
fn to_throw_is_not_to_wait() {
    let (_, mut tokyo, ann) = roamed();
    for operation in reads().into_iter().chain([batch([put("k", "w")])]) {
        match tokyo.begin(ann, operation, THROW) {
            Ok(Progress::Done(Answer::Outcome(Outcome::Behind(_)))) => {}
            other => assert_eq!(code(other), ErrorCode::StaleReplica),
        }
    }
}

#[test]
fn to_serve_is_to_answer_and_to_say_that_it_is_stale() {
    let (mut paris, mut tokyo, ann) = roamed();
    assert_eq!(tokyo.read(ann, "k", SERVE), Ok(Outcome::Absent { stale: true }));
    assert_eq!(tokyo.get(ann, "k", SERVE), Ok(None));
    let bob = tokyo.session();
    tokyo.set(bob, "k", "other");
    assert!(matches!(tokyo.read(ann, "k", SERVE), Ok(Outcome::Value { stale: true, .. })));
    assert!(matches!(tokyo.read(bob, "k", SERVE), Ok(Outcome::Value { stale: false, .. })), "bob lacks nothing");
    assert_eq!(code(tokyo.get(ann, "k", THROW)), ErrorCode::StaleReplica, "serving has changed nothing");
    tokyo.pull(&mut paris);
    assert!(matches!(tokyo.read(ann, "k", SERVE), Ok(Outcome::Value { stale: false, .. })));
}

#[test]
fn what_was_served_stale_was_read() {
    let (_, mut tokyo, ann) = roamed();
    let bob = tokyo.session();
    tokyo.set(bob, "k", "other");
    tokyo.read(ann, "k", SERVE).unwrap();
    let mut berlin = Host::new(edge("berlin"));
    let ann = berlin.resume(&tokyo.token(ann));
    assert_eq!(missing(&berlin.get(ann, "k", THROW).unwrap_err()), ["paris: 0 → 1", "tokyo: 0 → 1"]);
}

#[test]
fn a_write_is_never_served_stale() {
    let (_, mut tokyo, ann) = roamed();
    assert_eq!(code(tokyo.begin(ann, batch([put("k", "w")]), SERVE)), ErrorCode::StaleReplica);
    assert_eq!(tokyo.holds(), "<>");
}

#[test]
fn sync_never_waits() {
    let (_, mut tokyo, ann) = roamed();
    for policy in [Policy::Wait, Policy::Throw] {
        let terms = Terms { on_stale: Some(policy), ..SYNC };
        assert_eq!(code(tokyo.begin(ann, get("k"), terms)), ErrorCode::StaleReplica);
        assert_eq!(code(tokyo.begin(ann, batch([put("k", "w")]), terms)), ErrorCode::StaleReplica);
    }
    let mut late = Host::new(stored(edge("paris")));
    let ann = late.session();
    assert!(matches!(late.begin(ann, batch([put("k", "v")]), SYNC), Ok(Progress::Done(Answer::Version(_)))));
}

#[test]
fn a_policy_may_be_the_sessions() {
    let (paris, mut tokyo, _) = roamed();
    let mut source = paris;
    let ann = source.session();
    source.set(ann, "k", "w");
    let token = Some(source.token(ann));
    let throwing = tokyo.open(SessionInit { token, on_stale: Some(Policy::Throw), ..SessionInit::default() });
    assert_eq!(code(tokyo.begin(throwing, get("k"), PLAIN)), ErrorCode::StaleReplica);
}

// ── How waits end ───────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn waits_settle_in_the_order_in_which_they_began() {
    let (mut paris, mut tokyo, ann) = roamed();
    let first = tokyo.wait(ann, batch([put("list", "1")]), PLAIN);
    let second = tokyo.wait(ann, batch([put("list", "2")]), PLAIN);
    let third = tokyo.wait(ann, get("list"), PLAIN);
    let late = tokyo.wait(ann, batch([put("list", "3")]), PLAIN);
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.settled, [first, second, third, late]);
    assert!(matches!(tokyo.taken(third), Some(Ok(Answer::Item(Some(item)))) if string(&item.content) == "2"));
    assert_eq!(tokyo.get(ann, "list", THROW), Ok(Some("3".into())));
}

#[test]
fn a_wait_ends_only_when_all_that_is_missing_has_come() {
    let (mut paris, mut tokyo, mut berlin) =
        (Host::new(edge("paris")), Host::new(edge("tokyo")), Host::new(edge("berlin")));
    let ann = paris.session();
    paris.set(ann, "a", "1");
    let ann = tokyo.resume(&paris.token(ann));
    let unchecked = Terms { guarantees: Some(Guarantees::NONE), ..SYNC };
    tokyo.try_set(ann, "b", "1", unchecked).unwrap();
    let ann = berlin.resume(&tokyo.token(ann));
    let wait = berlin.wait(ann, get("b"), PLAIN);
    berlin.pull(&mut tokyo);
    assert_eq!(berlin.taken(wait), None);
    berlin.pull(&mut paris);
    assert!(matches!(berlin.taken(wait), Some(Ok(_))));
}

#[test]
fn a_retry_drops_no_guarantee() {
    let (mut paris, mut tokyo, ann) = roamed();
    let wait = tokyo.wait(ann, get("k"), PLAIN);
    // Something else arrives: the operation is tried again, and is as behind as before.
    let mut berlin = Host::new(edge("berlin"));
    let other = berlin.session();
    berlin.set(other, "k", "other");
    tokyo.pull(&mut berlin);
    assert_eq!(tokyo.taken(wait), None);
    tokyo.pull(&mut paris);
    assert!(tokyo.taken(wait).is_some());
}

#[test]
fn a_wait_that_is_cancelled_leaves_nothing() {
    let (mut paris, mut tokyo, ann) = roamed();
    let writing = tokyo.wait(ann, batch([put("other", "v")]), PLAIN);
    let reading = tokyo.wait(ann, get("k"), PLAIN);
    tokyo.replica.cancel(writing);
    tokyo.replica.cancel(reading);
    tokyo.drain();
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.settled, []);
    assert_eq!(tokyo.get(ann, "other", THROW), Ok(None), "a write that was not applied is not applied");
    assert_eq!(code(tokyo.replica.take(reading)), ErrorCode::ArgumentInvalid);
}

#[test]
fn a_write_that_is_cancelled_after_it_was_applied_stays() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    let wait = host.wait(ann, batch([put("k", "v")]), PLAIN);
    host.replica.cancel(wait);
    host.confirm_all();
    assert_eq!(host.settled, []);
    assert_eq!(host.get(ann, "k", THROW), Ok(Some("v".into())));
}

#[test]
fn an_answer_is_taken_once() {
    let (mut paris, mut tokyo, ann) = roamed();
    let wait = tokyo.wait(ann, get("k"), PLAIN);
    tokyo.pull(&mut paris);
    assert!(tokyo.taken(wait).unwrap().is_ok());
    assert_eq!(code(tokyo.replica.take(wait)), ErrorCode::ArgumentInvalid);
}

#[test]
fn a_session_has_a_limit_on_what_waits() {
    let (mut paris, mut tokyo, ann) = roamed();
    let waits: Vec<_> = (0..1024).map(|_| tokyo.wait(ann, get("k"), PLAIN)).collect();
    assert_eq!(code(tokyo.begin(ann, get("k"), PLAIN)), ErrorCode::QuotaExceeded);
    assert_eq!(code(tokyo.begin(ann, get("k"), THROW)), ErrorCode::StaleReplica, "what does not wait is not counted");
    let bob = tokyo.session();
    assert_eq!(tokyo.get(bob, "k", PLAIN), Ok(None), "nor is another session's");
    tokyo.replica.cancel(waits[0]);
    let again = tokyo.wait(ann, get("k"), PLAIN);
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.settled.len(), 1024);
    assert_eq!(tokyo.settled.last(), Some(&again));
    assert!(tokyo.get(ann, "k", PLAIN).is_ok());
}

#[test]
fn a_write_beyond_the_limit_of_waits_is_not_applied() {
    let mut host = Host::new(stored(edge("paris")));
    let ann = host.session();
    for n in 0..1024 {
        host.wait(ann, batch([put("k", &n.to_string())]), PLAIN);
    }
    assert_eq!(code(host.begin(ann, batch([put("k", "too much")]), PLAIN)), ErrorCode::QuotaExceeded);
    assert_eq!(host.get(ann, "k", SYNC), Ok(Some("1023".into())), "the error says: unchanged");
    host.set(ann, "k", "does not wait");
    host.confirm_all();
    host.drain();
    assert_eq!(host.settled.len(), 1024);
    host.wait(ann, batch([put("k", "again")]), PLAIN);
}

#[test]
fn what_waits_for_a_session_that_is_let_go_is_forgotten() {
    let (mut paris, mut tokyo, ann) = roamed();
    tokyo.wait(ann, batch([put("other", "v")]), PLAIN);
    tokyo.replica.close_session(ann);
    tokyo.pull(&mut paris);
    tokyo.at(START + 5_000);
    assert_eq!(tokyo.settled, []);
    assert_eq!(tokyo.holds(), "<paris:1>");
    assert_eq!(code(tokyo.begin(ann, get("k"), PLAIN)), ErrorCode::SessionNotFound);
    assert!(tokyo.replica.session(ann).is_none());
}

// ── Sessions that may not ───────────────────────────────────────────────────────────────────────────────────────────

/// Every way into a session answers this.
fn assert_refused(host: &mut Host, session: SessionHandle, expected: ErrorCode) {
    let now = host.now;
    for operation in reads().into_iter().chain([batch([put("k", "w")]), Operation::Seal]) {
        for terms in [PLAIN, THROW, SERVE, SYNC] {
            assert_eq!(code(host.begin(session, operation.clone(), terms)), expected, "{operation:?}");
        }
    }
    assert_eq!(code(host.replica.token(session, now)), expected);
    assert_eq!(code(host.replica.peek(session, "k", now)), expected);
    assert_eq!(code(host.replica.missing(session, None, now)), expected);
    assert_eq!(code(host.replica.watch(session, Scope::Key("k".into()), PLAIN, now)), expected);
    assert_eq!(code(host.replica.merge(session, "~", now)), expected);
}

#[test]
fn a_dead_or_forged_token_gives_a_session_that_refuses_everything() {
    let mut paris = Host::new(edge("paris"));
    let ann = paris.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    paris.set(ann, "k", "v");
    let token = paris.token(ann);
    let other = Config { keys: vec![("k1".into(), vec![8; 32])], ..edge("tokyo") };
    let foreign = Config { issuer: "another".into(), ..edge("tokyo") };
    let day = 24 * 3_600_000;
    let cases = [
        (edge("tokyo"), START, "nonsense".to_string(), ErrorCode::TokenInvalid),
        (edge("tokyo"), START, format!("{token}AAAA"), ErrorCode::TokenInvalid),
        (edge("tokyo"), START, format!("x{token}"), ErrorCode::TokenInvalid),
        (edge("tokyo"), START, "a".repeat(5_000), ErrorCode::TokenTooLarge),
        (other, START, token.clone(), ErrorCode::TokenInvalid),
        (foreign, START, token.clone(), ErrorCode::TokenInvalid),
        (edge("tokyo"), START + day, token.clone(), ErrorCode::TokenExpired),
        (tab("tab"), START + day, token, ErrorCode::TokenExpired),
    ];
    for (config, now, token, expected) in cases {
        let mut host = Host::new(config);
        host.now = now;
        let session = host.resume(&token);
        assert_refused(&mut host, session, expected);
        let view = host.replica.session(session).unwrap();
        assert_eq!(view.refused.map(|error| error.code()), Some(expected));
        assert_eq!((view.user, view.resumed), (None, false));

        let init = SessionInit { token: Some(token), anonymous_if_refused: true, ..SessionInit::default() };
        let anonymous = host.open(init);
        assert_eq!(host.get(anonymous, "k", THROW), Ok(None), "unless the caller asked for an anonymous one");
    }
}

#[test]
fn a_session_whose_time_is_over_refuses_everything() {
    let mut host = Host::new(edge("paris"));
    let ann = host.open(SessionInit { expires_in: Some(5_000), ..SessionInit::default() });
    host.set(ann, "k", "v");
    host.at(START + 4_999);
    assert_eq!(host.get(ann, "k", THROW), Ok(Some("v".into())));
    let token = host.token(ann);
    host.at(START + 5_000);
    assert_refused(&mut host, ann, ErrorCode::TokenExpired);
    let again = host.resume(&token);
    assert_refused(&mut host, again, ErrorCode::TokenExpired);
}

#[test]
fn a_session_whose_time_ends_while_it_waits_ends_its_waits() {
    let mut paris = Host::new(edge("paris"));
    let ann = paris.open(SessionInit { expires_in: Some(5_000), ..SessionInit::default() });
    paris.set(ann, "k", "v");
    let mut tokyo = Host::new(edge("tokyo"));
    let ann = tokyo.resume(&paris.token(ann));
    let wait = tokyo.wait(ann, get("k"), within(60_000));
    tokyo.at(START + 5_001);
    tokyo.pull(&mut paris);
    assert_eq!(code(tokyo.taken(wait).unwrap()), ErrorCode::TokenExpired);
}

#[test]
fn a_session_is_somebody_only_by_a_signature_or_by_the_host() {
    let mut paris = Host::new(edge("paris"));
    let ann = paris.open(SessionInit { user: Some("ann".into()), ..SessionInit::default() });
    let token = paris.token(ann);
    let mut tokyo = Host::new(edge("tokyo"));
    // The token's user stands above what the host asserts; a suffix makes nobody anybody.
    let init = SessionInit { token: Some(token), user: Some("mallory".into()), ..SessionInit::default() };
    let session = tokyo.open(init);
    assert_eq!(tokyo.replica.session(session).unwrap().user.as_deref(), Some("ann"));
    let nobody = tokyo.resume("~");
    assert_eq!(tokyo.replica.session(nobody).unwrap().user, None);
}

// ── Merging ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_token_of_another_user_is_not_merged() {
    let mut paris = Host::new(edge("paris"));
    let mut session = |user: Option<&str>| {
        let handle = paris.open(SessionInit { user: user.map(Into::into), ..SessionInit::default() });
        paris.set(handle, "k", "v");
        paris.token(handle)
    };
    let (ann, again, bob, nobody) = (session(Some("ann")), session(Some("ann")), session(Some("bob")), session(None));
    let mut tokyo = Host::new(edge("tokyo"));
    let handle = tokyo.resume(&ann);
    let needs = |tokyo: &mut Host| tokyo.replica.missing(handle, None, START).unwrap().first().map(|m| m.gap.need);
    let before = tokyo.token(handle);
    for (token, expected) in [
        (&bob, ErrorCode::TokenInvalid),
        (&"nonsense".to_string(), ErrorCode::TokenInvalid),
        (&"x".repeat(5_000), ErrorCode::TokenTooLarge),
    ] {
        assert_eq!(code(tokyo.replica.merge(handle, token, START)), expected);
        assert_eq!(tokyo.token(handle), before, "unchanged");
    }
    assert_eq!(needs(&mut tokyo), Some(1));
    tokyo.replica.merge(handle, &again, START).unwrap();
    assert_eq!(needs(&mut tokyo), Some(2));
    tokyo.replica.merge(handle, &nobody, START).unwrap();
    assert_eq!(needs(&mut tokyo), Some(4), "what nobody has seen can only make ann wait");
    assert_eq!(tokyo.replica.session(handle).unwrap().user.as_deref(), Some("ann"));
}

#[test]
fn a_merge_makes_waits_wait_for_more() {
    let (mut paris, mut tokyo, ann) = roamed();
    let wait = tokyo.wait(ann, get("k"), PLAIN);
    let mut berlin = Host::new(edge("berlin"));
    let other = berlin.session();
    berlin.set(other, "l", "v");
    let token = berlin.token(other);
    tokyo.replica.merge(ann, &token, START).unwrap();
    tokyo.drain();
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.taken(wait), None);
    tokyo.pull(&mut berlin);
    assert!(tokyo.taken(wait).is_some());
}

#[test]
fn missing_tells_beforehand_what_an_operation_would_lack() {
    let (mut paris, mut tokyo, ann) = roamed();
    let gaps = tokyo.replica.missing(ann, None, START).unwrap();
    assert_eq!((gaps.len(), gaps[0].gap.need, &gaps[0].holders), (1, 1, &vec![]));
    let mut berlin = Host::new(edge("berlin"));
    let other = berlin.session();
    berlin.set(other, "l", "v");
    let token = berlin.token(other);
    let gaps = tokyo.replica.missing(ann, Some(&token), START).unwrap();
    assert_eq!(gaps.iter().map(|m| m.gap.replica.label()).collect::<Vec<_>>(), ["berlin"], "of another token");
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.replica.missing(ann, None, START), Ok(vec![]));
    let none = tokyo.open(SessionInit { guarantees: Some(Guarantees::NONE), ..SessionInit::default() });
    tokyo.replica.merge(none, &token, START).unwrap();
    assert_eq!(tokyo.replica.missing(none, None, START), Ok(vec![]), "who asks for nothing lacks nothing");
}

// ── Subscriptions ───────────────────────────────────────────────────────────────────────────────────────────────────

fn shown(changes: &[Change]) -> Vec<(String, Option<String>)> {
    changes.iter().map(|c| (c.key.to_string(), c.item.as_ref().map(|item| string(&item.content)))).collect()
}

fn some(key: &str, value: &str) -> (String, Option<String>) {
    (key.into(), Some(value.into()))
}

#[test]
fn a_subscription_tells_own_and_remote_writes_and_deletions() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (tokyo.session(), paris.session());
    let watch = tokyo.replica.watch(ann, Scope::Key("k".into()), PLAIN, START).unwrap();
    tokyo.set(ann, "other", "v");
    assert_eq!(tokyo.watched, []);
    tokyo.set(ann, "k", "own");
    assert_eq!(std::mem::take(&mut tokyo.watched), [watch]);
    assert_eq!(shown(&tokyo.next(watch).unwrap()), [some("k", "own")]);
    sync(&mut paris, &mut tokyo);
    paris.set(bob, "k", "remote");
    tokyo.pull(&mut paris);
    assert_eq!(std::mem::take(&mut tokyo.watched), [watch]);
    assert_eq!(shown(&tokyo.next(watch).unwrap()), [some("k", "remote")]);
    paris.delete(bob, "k");
    tokyo.pull(&mut paris);
    let changes = tokyo.next(watch).unwrap();
    assert_eq!(shown(&changes), [("k".into(), None)]);
    assert!(!changes[0].version.is_empty());
    tokyo.replica.unwatch(watch);
    tokyo.set(ann, "k", "after");
    assert_eq!(tokyo.watched, [watch], "the one of the deletion");
    assert_eq!(code(tokyo.next(watch)), ErrorCode::SessionNotFound);
}

#[test]
fn changes_between_two_looks_are_one_a_key_and_in_the_order_of_keys() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    let watch = host.replica.watch(ann, Scope::Prefix("in/".into()), PLAIN, START).unwrap();
    for n in 0..100 {
        host.set(ann, "in/b", &n.to_string());
        host.set(ann, "out", "v");
    }
    host.set(ann, "in/a", "v");
    assert_eq!(host.watched, [watch], "told once, until it is looked at");
    assert_eq!(shown(&host.next(watch).unwrap()), [some("in/a", "v"), some("in/b", "99")]);
    assert_eq!(host.next(watch), Ok(vec![]));
}

#[test]
fn a_change_that_was_told_was_read() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), paris.session());
    let watch = paris.replica.watch(ann, Scope::Key("k".into()), PLAIN, START).unwrap();
    paris.set(bob, "k", "v");
    let before = paris.token(ann);
    paris.next(watch).unwrap();
    let there = tokyo.resume(&before);
    assert_eq!(tokyo.get(there, "k", THROW), Ok(None), "not yet read");
    let there = tokyo.resume(&paris.token(ann));
    assert_eq!(missing(&tokyo.get(there, "k", THROW).unwrap_err()), ["paris: 0 → 1"]);
}

#[test]
fn a_replica_that_is_behind_holds_changes_back() {
    let (mut paris, mut tokyo, ann) = roamed();
    let watch = tokyo.replica.watch(ann, Scope::Prefix(String::new()), PLAIN, START).unwrap();
    let bob = tokyo.session();
    tokyo.set(bob, "x", "v");
    assert_eq!(tokyo.watched, [], "ann may not see this state");
    assert_eq!(tokyo.next(watch), Ok(vec![]));
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.watched, [watch]);
    assert_eq!(shown(&tokyo.next(watch).unwrap()), [some("k", "v"), some("x", "v")]);
}

#[test]
fn changes_that_cannot_be_told_in_time_end_the_subscription() {
    let (_, mut tokyo, ann) = roamed();
    let watch = tokyo.replica.watch(ann, Scope::Prefix(String::new()), within(700), START).unwrap();
    tokyo.at(START + 10_000);
    assert_eq!(tokyo.watched, [], "there is nothing to tell, so nothing is late");
    let bob = tokyo.session();
    tokyo.set(bob, "x", "v");
    assert_eq!(tokyo.timeout, Some(START + 10_700));
    tokyo.at(START + 10_699);
    assert_eq!(tokyo.watched, []);
    tokyo.at(START + 10_700);
    assert_eq!(tokyo.watched, [watch]);
    let error = tokyo.next(watch).unwrap_err();
    assert_eq!(missing(&error), ["paris: 0 → 1"]);
    assert_eq!(code(tokyo.next(watch)), ErrorCode::SessionNotFound, "it is over");
}

#[test]
fn a_change_that_was_announced_and_not_fetched_is_not_late_for_that() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (tokyo.session(), tokyo.session());
    let watch = tokyo.replica.watch(ann, Scope::Key("k".into()), PLAIN, START).unwrap();
    tokyo.set(bob, "k", "v");
    assert_eq!(tokyo.watched, [watch]);
    // Before the host fetches it, much later, ann learns elsewhere of something that this replica lacks.
    tokyo.at(START + 60_000);
    let other = paris.session();
    paris.set(other, "l", "v");
    let token = paris.token(other);
    tokyo.replica.merge(ann, &token, tokyo.now).unwrap();
    assert_eq!(tokyo.next(watch), Ok(vec![]), "it waits from now on");
    tokyo.pull(&mut paris);
    assert_eq!(shown(&tokyo.next(watch).unwrap()), [some("k", "v")]);
}

#[test]
fn a_subscription_under_no_guarantee_tells_what_there_is() {
    let (_, mut tokyo, ann) = roamed();
    let terms = Terms { guarantees: Some(Guarantees::NONE), ..PLAIN };
    let watch = tokyo.replica.watch(ann, Scope::Key("x".into()), terms, START).unwrap();
    let bob = tokyo.session();
    tokyo.set(bob, "x", "v");
    assert_eq!(shown(&tokyo.next(watch).unwrap()), [some("x", "v")]);
}

#[test]
fn a_subscription_ends_with_its_session() {
    let mut host = Host::new(edge("paris"));
    let ann = host.open(SessionInit { expires_in: Some(5_000), ..SessionInit::default() });
    let bob = host.session();
    let watch = host.replica.watch(ann, Scope::Key("k".into()), PLAIN, START).unwrap();
    host.at(START + 5_000);
    host.set(bob, "k", "v");
    assert_eq!(host.watched, [watch], "the host is to know");
    assert_eq!(code(host.next(watch)), ErrorCode::TokenExpired);
    let watch = host.replica.watch(bob, Scope::Key("k".into()), PLAIN, host.now).unwrap();
    host.replica.close_session(bob);
    assert_eq!(code(host.next(watch)), ErrorCode::SessionNotFound);
    assert_eq!(code(host.replica.watch(bob, Scope::Key("k".into()), PLAIN, host.now)), ErrorCode::SessionNotFound);
}

#[test]
fn a_subscription_follows_the_space_of_its_session() {
    let mut host = Host::new(edge("paris"));
    let space = Some(Space::first("other").unwrap());
    let (here, there) = (host.session(), host.open(SessionInit { space, ..SessionInit::default() }));
    let watch = host.replica.watch(here, Scope::Key("k".into()), PLAIN, START).unwrap();
    host.set(there, "k", "elsewhere");
    assert_eq!((host.watched.len(), host.next(watch)), (0, Ok(vec![])));
    assert_eq!(host.get(here, "k", THROW), Ok(None), "two spaces are two worlds");
}

// ── Spaces ──────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn dependencies_are_kept_for_each_space() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let space = || Some(Space::first("other").unwrap());
    let there = paris.open(SessionInit { space: space(), ..SessionInit::default() });
    paris.set(there, "k", "v");
    let token = paris.token(there);
    let same = tokyo.resume(&token);
    assert_eq!(code(tokyo.get(same, "k", THROW)), ErrorCode::StaleReplica, "the token names its space");
    let init = SessionInit { token: Some(token), space: Space::first("default").ok(), ..SessionInit::default() };
    let elsewhere = tokyo.open(init);
    assert_eq!(tokyo.get(elsewhere, "k", THROW), Ok(None), "no order is promised between two spaces");
    assert_eq!(tokyo.replica.missing(elsewhere, None, START).unwrap()[0].space, space().unwrap());
    tokyo.pull(&mut paris);
    assert_eq!(tokyo.get(same, "k", THROW), Ok(Some("v".into())));
}

#[test]
fn peek_answers_without_check_and_leaves_no_trace() {
    let (_, mut tokyo, ann) = roamed();
    let bob = tokyo.session();
    tokyo.set(bob, "k", "other");
    let before = tokyo.token(ann);
    assert_eq!(tokyo.replica.peek(ann, "k", START).unwrap().map(|item| string(&item.content)), Some("other".into()));
    assert_eq!(tokyo.token(ann), before);
}

#[test]
fn an_error_that_names_what_is_missing_names_nothing_else() {
    let (_, mut tokyo, ann) = roamed();
    let error: SessionError = tokyo.get(ann, "a-secret-key", THROW).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn a_timeout_without_end_is_a_long_one() {
    let (mut paris, mut tokyo, ann) = roamed();
    let watch = tokyo.replica.watch(ann, Scope::Prefix(String::new()), within(u64::MAX), START).unwrap();
    let wait = tokyo.wait(ann, get("k"), within(u64::MAX));
    let bob = tokyo.session();
    tokyo.set(bob, "x", "v");
    tokyo.at(START + 1_000_000);
    assert_eq!((tokyo.settled.len(), tokyo.watched.len()), (0, 0));
    tokyo.pull(&mut paris);
    assert_eq!((&tokyo.settled[..], &tokyo.watched[..]), (&[wait][..], &[watch][..]));
}
