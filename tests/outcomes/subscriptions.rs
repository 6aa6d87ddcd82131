//! Subscriptions: what changed since the last look, under the session's guarantees.

use super::*;

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
    assert_eq!(code(host.next(watch)), ErrorCode::SessionExpired);
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
