//! Listing: by prefix and range, from either end, as many as asked for; and what the session has read by it.

use crate::common::host::{Host, PLAIN, SYNC, THROW, sync};
use crate::common::{START, batch, edge, erase, missing, put};
use edge_session::io::{Operation, Range, SessionHandle};
use edge_session::store::Mutation;
use proptest::prelude::*;
use std::time::Instant;

fn keys(host: &mut Host, session: SessionHandle, range: Range) -> Vec<String> {
    host.list(session, range).into_iter().map(|item| item.key.to_string()).collect()
}

/// The definition, by scan.
fn expected(held: &[String], range: &Range) -> Vec<String> {
    let inside = |key: &&String| {
        range.start.as_ref().is_none_or(|start| *key >= start)
            && range.end.as_ref().is_none_or(|end| *key < end)
            && range.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
    };
    let mut keys: Vec<String> = held.iter().filter(inside).cloned().collect();
    if range.reverse {
        keys.reverse();
    }
    keys.truncate(range.limit.map_or(usize::MAX, |limit| limit as usize));
    keys
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ab/]{1,3}", 1 => "[aä€😀]{1,2}", 1 => "[a\u{d7ff}\u{e000}\u{10ffff}]{1,3}"]
}

fn any_range() -> impl Strategy<Value = Range> {
    let last = "[a\u{d7ff}\u{10ffff}]{1,2}";
    let text = move || prop::option::of(prop_oneof![3 => "[ab/]{0,2}", 1 => "[aä😀]{1}", 1 => last]);
    (text(), text(), text(), prop::option::of(0..6u64), any::<bool>())
        .prop_map(|(start, end, prefix, limit, reverse)| Range { start, end, prefix, limit, reverse })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_listing_is_what_a_scan_would_find(
        live in prop::collection::btree_set(any_key(), 0..20),
        gone in prop::collection::btree_set(any_key(), 0..6),
        ranges in prop::collection::vec(any_range(), 1..12),
    ) {
        let mut host = Host::new(edge("paris"));
        let ann = host.session();
        for key in live.iter().chain(&gone) {
            host.set(ann, key, "v");
        }
        gone.iter().for_each(|key| host.delete(ann, key));
        let held: Vec<String> = live.difference(&gone).cloned().collect();
        for range in ranges {
            prop_assert_eq!(keys(&mut host, ann, range.clone()), expected(&held, &range), "{:?}", range);
        }
    }
}

/// What lies beyond a prefix concerns nobody who lists it, from whichever end.
#[test]
fn the_last_of_a_prefix_is_found_as_soon_as_the_first() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    for hundred in 0..200 {
        let hundred = (0..100).map(|at| put(&format!("z{hundred}/{at}"), "v"));
        host.ask(ann, batch(hundred), SYNC).unwrap();
    }
    host.set(ann, "a/1", "v");
    host.set(ann, "a/2", "v");
    let mut time = |reverse| {
        let begun = Instant::now();
        for _ in 0..200 {
            let range = Range { prefix: Some("a/".into()), limit: Some(1), reverse, ..Range::default() };
            assert_eq!(keys(&mut host, ann, range), [if reverse { "a/2" } else { "a/1" }]);
        }
        begun.elapsed()
    };
    time(false);
    let [first, last] = [false, true].map(time);
    assert!(last < first * 20, "{last:?} is more than twenty times {first:?}");
}

#[test]
fn keys_are_in_the_order_of_their_bytes() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    for key in ["b", "ä", "a", "B", "aa", "😀", "\u{ffff}"] {
        host.set(ann, key, "v");
    }
    assert_eq!(keys(&mut host, ann, Range::default()), ["B", "a", "aa", "b", "ä", "\u{ffff}", "😀"]);
}

#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    host.set(ann, "k", "v");
    for (start, end) in [("z", "a"), ("k", "k"), ("", "")] {
        for reverse in [false, true] {
            let range = Range { start: Some(start.into()), end: Some(end.into()), reverse, ..Range::default() };
            assert_eq!(keys(&mut host, ann, range), Vec::<String>::new());
        }
    }
}

#[test]
fn expired_entries_are_not_listed() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    host.ask(ann, batch([Mutation { expires_at: Some(START + 10), ..put("brief", "v") }, put("k", "v")]), SYNC)
        .unwrap();
    assert_eq!(keys(&mut host, ann, Range::default()), ["brief", "k"]);
    host.now = START + 10;
    assert_eq!(keys(&mut host, ann, Range { limit: Some(1), ..Range::default() }), ["k"]);
}

/// Every entry in range decides a listing: also the deletion that is not in it.
#[test]
fn a_session_that_has_listed_depends_on_every_entry_in_range() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let author = paris.session();
    paris.ask(author, batch([put("in/a", "1"), put("in/b", "1"), put("out", "1")]), SYNC).unwrap();
    sync(&mut paris, &mut tokyo);
    paris.set(author, "in/a", "2"); // paris:2
    paris.ask(author, batch([erase("in/b")]), SYNC).unwrap(); // paris:3
    paris.set(author, "out", "2"); // paris:4
    let ann = paris.session();
    let range = || Range { prefix: Some("in/".into()), ..Range::default() };
    assert_eq!(keys(&mut paris, ann, range()), ["in/a"]);
    let ann = tokyo.resume(&paris.token(ann));
    let error = tokyo.begin(ann, Operation::List(range()), THROW).unwrap_err();
    assert_eq!(missing(&error), ["paris: 1 → 3"]);
    let waiting = tokyo.wait(ann, Operation::List(range()), PLAIN);
    tokyo.pull(&mut paris);
    assert!(tokyo.taken(waiting).is_some());
}

#[test]
fn a_listing_that_stops_early_depends_on_what_it_has_passed() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let author = paris.session();
    for key in ["a", "b", "c"] {
        paris.set(author, key, "v");
    }
    let ann = paris.session();
    assert_eq!(keys(&mut paris, ann, Range { limit: Some(2), ..Range::default() }), ["a", "b"]);
    let ann = tokyo.resume(&paris.token(ann));
    let error = tokyo.begin(ann, Operation::List(Range::default()), THROW).unwrap_err();
    assert_eq!(missing(&error), ["paris: 0 → 2"]);
}

#[test]
fn nothing_is_read_where_nothing_is_asked_for() {
    let mut host = Host::new(edge("paris"));
    let ann = host.session();
    host.set(ann, "k", "v");
    assert_eq!(host.list(ann, Range { limit: Some(0), ..Range::default() }), []);
}
