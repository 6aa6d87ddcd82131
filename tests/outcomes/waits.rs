//! How waits end: in order, in time, by cancelling, by limits.

use super::*;

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
fn a_session_has_that_limit_however_many_handles_it_has() {
    let (mut paris, mut tokyo, ann) = roamed();
    let token = tokyo.token(ann);
    let handles: Vec<_> = (0..9).map(|_| tokyo.resume(&token)).collect();
    for n in 0..1024 {
        tokyo.wait(handles[n % 8], get("k"), PLAIN);
    }
    assert_eq!(code(tokyo.begin(handles[8], get("k"), PLAIN)), ErrorCode::QuotaExceeded);
    tokyo.pull(&mut paris);
    assert!(tokyo.get(handles[8], "k", PLAIN).is_ok());
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
