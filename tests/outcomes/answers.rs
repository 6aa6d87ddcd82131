//! The four outcomes, and the three policies of what to do where one cannot answer.

use super::*;

// ── The four outcomes ──

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

// ── Policies ──

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
