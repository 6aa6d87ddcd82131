//! Spaces, and reading past the checks.

use super::*;

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
