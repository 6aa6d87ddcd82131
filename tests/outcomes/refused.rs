//! Sessions that may not, and tokens that are not merged.

use super::*;

// ── Sessions that may not ──

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

/// Behind, lost and forged look alike from afar: something that is not here is asked for.
#[test]
fn what_nobody_ever_wrote_delays_only_whoever_claims_to_have_seen_it() {
    let (mut paris, mut tokyo, ann) = roamed();
    let (space, bob, token) = (tokyo.space(), tokyo.session(), tokyo.token(ann));
    tokyo.pull(&mut paris);
    let mut invented = SessionVector::default();
    invented.record_write(&space, Dot::new(paris.id(), 1_000_000));
    let lie = tokyo.replica.open_token(&token, START).unwrap().with_unsigned(&invented).to_text();
    let (id, mallory) = (tokyo.id(), tokyo.resume(&lie));

    // Behind, for all that can be known here: somebody might hold it. It waits, until its deadline and no longer.
    let wait = tokyo.wait(mallory, get("k"), within(300));
    assert!(tokyo.get(bob, "k", PLAIN).is_ok() && tokyo.get(ann, "k", PLAIN).is_ok(), "nobody else does");
    tokyo.at(START + 299);
    assert_eq!(tokyo.taken(wait), None);
    tokyo.at(START + 300);
    assert_eq!(code(tokyo.taken(wait).unwrap()), ErrorCode::StaleReplica);
    assert_eq!(tokyo.id(), id);

    // Forged: refused at once, and nothing waits.
    let forged = tokyo.resume(&token.replacen('.', ".A", 1));
    assert_eq!(code(tokyo.begin(forged, get("k"), within(300))), ErrorCode::TokenInvalid);

    // Lost: said at once, and for good.
    tokyo.replica.retire(&space, paris.id(), 1, START);
    assert_eq!(code(tokyo.begin(mallory, get("k"), within(300))), ErrorCode::DependencyLost);
    assert!(tokyo.get(ann, "k", PLAIN).is_ok());
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
    assert_refused(&mut host, ann, ErrorCode::SessionExpired);
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
    assert_eq!(code(tokyo.taken(wait).unwrap()), ErrorCode::SessionExpired);
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

// ── Merging ──

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
