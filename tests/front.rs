//! The fast path: what a host may copy, what it must forget, and how it accounts for what it answered itself.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::host::{Host, PLAIN, SYNC, sync};
use common::{START, edge, erase, put, stored};
use edge_session::error::ErrorCode;
use edge_session::id::{Dot, Space};
use edge_session::io::{Effect, SessionHandle};
use edge_session::replica::{Glance, SessionInit};
use edge_session::store::Mutation;
use edge_session::store::entry::Content;

/// The write of which a copy may be kept.
fn kept(seen: Glance) -> Option<Dot> {
    seen.keep.map(|kept| kept.dot)
}

fn glance(host: &mut Host, session: SessionHandle, key: &str) -> Glance {
    let seen = host.replica.glance(session, key, SYNC, host.now).unwrap();
    host.drain();
    seen
}

/// The keys that the host is told to forget, and drops every other effect; `None`: all of them.
fn forgotten(host: &mut Host) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    while let Some(effect) = host.replica.poll() {
        if let Effect::Forget(named) = effect {
            keys.extend(named?.into_iter().map(|(_, key)| key.to_string()));
        }
    }
    Some(keys)
}

#[test]
fn a_value_that_stands_alone_may_be_copied_and_is_named_by_its_write() {
    let mut host = Host::new(edge("a"));
    let ann = host.session();
    host.set(ann, "k", "v");
    let seen = glance(&mut host, ann, "k");
    assert!(seen.content.is_some());
    assert_eq!(kept(seen), Some(Dot::new(host.id(), 1)));
}

#[test]
fn what_may_end_or_be_masked_by_others_is_not_copied() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    paris.set(ann, "k", "one");
    tokyo.set(bob, "k", "two");
    sync(&mut paris, &mut tokyo);
    let siblings = glance(&mut paris, ann, "k");
    assert!(siblings.content.is_some() && siblings.keep.is_none());
    let mut ending = put("ends", "v");
    ending.expires_at = Some(START + 60_000);
    paris.replica.hand_over(ann, vec![ending], PLAIN, START).unwrap();
    let ending = glance(&mut paris, ann, "ends");
    assert!(ending.content.is_some() && ending.keep.is_none());
    paris.set(ann, "erased", "v");
    paris.delete(ann, "erased");
    for key in ["erased", "nothing"] {
        assert_eq!(glance(&mut paris, ann, key), Glance { content: None, keep: None });
    }
}

#[test]
fn what_storage_does_not_have_yet_is_not_copied() {
    let mut host = Host::new(stored(edge("a")));
    let ann = host.session();
    host.replica.hand_over(ann, vec![put("k", "v")], PLAIN, START).unwrap();
    host.drain();
    assert_eq!(kept(glance(&mut host, ann, "k")), None);
    host.confirm_all();
    assert_eq!(kept(glance(&mut host, ann, "k")), Some(Dot::new(host.id(), 1)));
}

#[test]
fn a_change_from_elsewhere_names_the_copies_to_forget() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    paris.set(ann, "k", "one");
    glance(&mut paris, ann, "k");
    sync(&mut paris, &mut tokyo);
    tokyo.set(bob, "k", "two");
    tokyo.set(bob, "other", "v");
    let from = tokyo.replica.snapshot().unwrap();
    paris.replica.restore(&from, START).unwrap();
    assert_eq!(forgotten(&mut paris).unwrap(), ["k", "other"]);
}

#[test]
fn a_host_that_keeps_no_copies_is_told_nothing() {
    let mut host = Host::new(edge("a"));
    let ann = host.session();
    host.set(ann, "k", "v");
    assert_eq!(forgotten(&mut host).unwrap(), Vec::<String>::new());
}

/// Found by simulation: who has handed over a write and never read has a copy of that write all the same.
#[test]
fn a_host_that_has_only_written_is_told_what_to_forget() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    paris.replica.hand_over(ann, vec![put("k", "one")], PLAIN, START).unwrap();
    assert_eq!(forgotten(&mut paris).unwrap(), Vec::<String>::new());
    sync(&mut paris, &mut tokyo);
    tokyo.set(bob, "k", "two");
    let from = tokyo.replica.snapshot().unwrap();
    paris.replica.restore(&from, START).unwrap();
    assert_eq!(forgotten(&mut paris).unwrap(), ["k"]);
}

#[test]
fn too_many_changes_at_once_are_one_order_to_forget_all() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    glance(&mut paris, ann, "k");
    for batch in (0..2_000).map(|n| put(&format!("k{n:04}"), "v")).collect::<Vec<_>>().chunks(500) {
        tokyo.replica.hand_over(bob, batch.to_vec(), PLAIN, START).unwrap();
    }
    let from = tokyo.replica.snapshot().unwrap();
    paris.replica.restore(&from, START).unwrap();
    assert_eq!(forgotten(&mut paris), None);
}

#[test]
fn the_writes_of_a_log_are_one_atomic_write_and_their_own_copies_stay() {
    let mut host = Host::new(edge("a"));
    let ann = host.session();
    glance(&mut host, ann, "k");
    let log = vec![put("k", "one"), put("l", "two"), erase("k"), put("k", "three")];
    let dot = host.replica.hand_over(ann, log, PLAIN, START).unwrap();
    assert_eq!(dot, Dot::new(host.id(), 1));
    assert_eq!(forgotten(&mut host).unwrap(), Vec::<String>::new());
    assert_eq!(kept(glance(&mut host, ann, "k")), Some(dot));
    assert_eq!(host.replica.session(ann).unwrap().vector.get(&host.space()).unwrap().writes.get(host.id()), 1);
}

#[test]
fn a_log_is_not_taken_where_the_session_may_not_write() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let ann = paris.session();
    paris.set(ann, "k", "v");
    let ann = tokyo.resume(&paris.token(ann));
    let refused = tokyo.replica.hand_over(ann, vec![put("k", "w")], PLAIN, START).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StaleReplica);
    assert!(tokyo.vector().is_empty());
}

#[test]
fn reads_of_copies_are_recorded_like_any_other() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let ann = paris.session();
    paris.set(ann, "k", "v");
    let bob = paris.session();
    let keep = kept(glance(&mut paris, ann, "k")).unwrap();
    let number = paris.replica.origin(keep.replica);
    let origin = paris.replica.origin_at(number).unwrap();
    paris.replica.record_reads(bob, &[Dot::new(origin, keep.sequence)]).unwrap();
    let bob = tokyo.resume(&paris.token(bob));
    assert_eq!(tokyo.replica.missing(bob, None, START).unwrap().len(), 1);
    assert_eq!(paris.replica.origin_at(99), None);
}

#[test]
fn the_room_is_what_the_limits_leave() {
    let mut config = edge("a");
    config.limits.keys = 3;
    let mut host = Host::new(config);
    let ann = host.session();
    assert_eq!(host.replica.room().0, 3);
    host.replica.hand_over(ann, vec![put("k", "v"), put("l", "v")], PLAIN, START).unwrap();
    assert_eq!(host.replica.room().0, 1);
    let refused = host.replica.hand_over(ann, vec![put("m", "v"), put("n", "v")], PLAIN, START).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::QuotaExceeded);
    assert_eq!(host.replica.room().0, 1, "all or nothing");
}

/// The keys of what comes with a read, in one text.
fn ahead(host: &Host, session: SessionHandle, key: &str, most: usize) -> String {
    host.replica.ahead(session, key, most).iter().map(|copy| &*copy.key).collect()
}

#[test]
fn neighbours_come_with_a_read_as_far_as_their_copies_may_be_kept() {
    let mut host = Host::new(edge("a"));
    let ann = host.session();
    for key in ["a", "f", "c", "e", "b", "g", "h"] {
        host.set(ann, key, &format!("of {key}"));
    }
    let mut ending = put("d", "v");
    ending.expires_at = Some(START + 60_000);
    let bytes = Mutation { content: Content::Bytes([1][..].into()), ..put("h", "") };
    host.replica.hand_over(ann, vec![ending, erase("e"), bytes], PLAIN, START).unwrap();
    host.drain();
    glance(&mut host, ann, "c");
    // Itself, what came behind it and what came before it; neither what ends, what is gone, nor bytes.
    assert_eq!(ahead(&host, ann, "c", 64), "cbgaf");
    assert_eq!(host.replica.ahead(ann, "c", 64)[0].dot, Dot::new(host.id(), 3));
    let places: Vec<_> = host.replica.ahead(ann, "c", 64).iter().map(|copy| copy.place).collect();
    assert_eq!(places, [2, 4, 5, 0, 1], "each key has one of its own");
    assert_eq!(ahead(&host, ann, "g", 1_000), "g", "a walk has been at what came before");
    assert_eq!(ahead(&host, ann, "nothing", 64), "");
    // Nothing but `c` was read.
    let vector = host.replica.session(ann).unwrap().vector;
    assert_eq!(vector.get(&host.space()).unwrap().reads.get(host.id()), 3);
}

#[test]
fn siblings_and_other_spaces_do_not_come_with_a_read() {
    let (mut paris, mut tokyo) = (Host::new(edge("paris")), Host::new(edge("tokyo")));
    let (ann, bob) = (paris.session(), tokyo.session());
    for key in ["a", "b", "c"] {
        paris.set(ann, key, "v");
    }
    tokyo.set(bob, "b", "w");
    paris.pull(&mut tokyo);
    assert_eq!(ahead(&paris, ann, "a", 64), "ac");
    let other = paris.open(SessionInit { space: Space::first("other").ok(), ..SessionInit::default() });
    paris.set(other, "z", "v");
    assert_eq!(ahead(&paris, other, "z", 64), "z");
    assert_eq!(ahead(&paris, ann, "a", 64), "ac");
}

#[test]
fn whoever_reads_all_keys_here_and_there_is_told_of_each_once() {
    let mut host = Host::new(edge("a"));
    let ann = host.session();
    let key = |n| format!("{n:04} ");
    host.replica.hand_over(ann, (0..1_000).map(|n| put(&key(n), "v")).collect(), PLAIN, START).unwrap();
    for most in [1, 3, 7, 15, 31, 63, 64] {
        let mut told = std::collections::BTreeSet::new();
        for n in (0..1_000).map(|n| n * 389 % 1_000) {
            if told.contains(&key(n)) {
                continue;
            }
            for copy in host.replica.ahead(ann, &key(n), most) {
                assert!(told.insert(copy.key.to_string()), "{} was told twice", &*copy.key);
            }
        }
        assert_eq!(told.len(), 1_000);
    }
}

#[test]
fn neighbours_that_are_not_durable_do_not_come() {
    let mut host = Host::new(stored(edge("a")));
    let ann = host.session();
    host.replica.hand_over(ann, vec![put("a", "1"), put("b", "2")], PLAIN, host.now).unwrap();
    assert_eq!(host.replica.ahead(ann, "a", 64), []);
    host.drain();
    host.confirm_all();
    assert_eq!(ahead(&host, ann, "a", 64), "ab");
}

#[test]
fn neighbours_weigh_no_more_than_short_ones_would() {
    let mut host = Host::new(edge("a"));
    let ann = host.session();
    let value = |n| "v".repeat(if n < 1_000 { 8 } else { 2_000 });
    let log: Vec<_> = (0..2_000).map(|n| put(&format!("k{n:04}"), &value(n))).collect();
    for log in log.chunks(500) {
        host.replica.hand_over(ann, log.to_vec(), PLAIN, START).unwrap();
    }
    let ahead = |key: &str, most| host.replica.ahead(ann, key, most).len();
    assert_eq!(ahead("k0000", 64), 64);
    assert_eq!(ahead("k0000", usize::MAX), 1_000 + 24, "never more than 1,024");
    assert_eq!(ahead("k1024", 64), 8, "16 KiB");
    assert_eq!(ahead("k1000", usize::MAX), 32, "64 KiB");
    assert_eq!(ahead("k0000", 0), 0);
}
