//! Limits: what is beyond them is an error that leaves everything as it was, for callers and for peers alike.

use std::collections::BTreeMap;

use crate::common::host::{Host, SYNC, THROW};
use crate::common::{START, batch, code, edge, erase, put, tab, text};
use edge_session::error::{Details, ErrorCode};
use edge_session::id::{ReplicaId, Space};
use edge_session::io::{Event, LinkId, Operation};
use edge_session::replica::{Config, SessionInit};
use edge_session::store::entry::LiveSet;
use edge_session::store::limits::Limits;
use edge_session::store::{Check, Mutation, SessionConsistentStore};
use edge_session::sync::message::{Frame, Message};
use edge_session::vector::VersionVector;
use proptest::prelude::*;

fn limited(limits: Limits) -> Host {
    Host::new(Config { limits, ..edge("paris") })
}

/// A batch that must be refused with this code, leaving no trace.
fn refused(host: &mut Host, mutations: Vec<Mutation>, expected: ErrorCode, limit: &str) {
    let before = host.snapshot();
    let session = host.session();
    let error = host.begin(session, batch(mutations), SYNC).unwrap_err();
    assert_eq!(error.code(), expected, "{error}");
    if !limit.is_empty() {
        assert!(matches!(error.details(), Details::Limit { limit: name, .. } if *name == limit), "{error:?}");
    }
    assert_eq!(host.snapshot(), before);
}

#[test]
fn a_key_has_1_to_as_many_bytes_as_the_limit_says() {
    let mut host = limited(Limits { key_bytes: 6, ..Limits::default() });
    let ann = host.session();
    host.set(ann, "€€", "v");
    for key in ["", "€€a"] {
        refused(&mut host, vec![put("fine", "v"), put(key, "v")], ErrorCode::KeyInvalid, "");
        assert_eq!(code(host.get(ann, key, THROW)), ErrorCode::KeyInvalid);
        assert_eq!(code(host.read(ann, key, THROW)), ErrorCode::KeyInvalid);
        assert_eq!(code(host.begin(ann, Operation::Conflicts(key.into()), THROW)), ErrorCode::KeyInvalid);
    }
}

#[test]
fn a_value_has_at_most_as_many_bytes_as_the_limit_says() {
    let mut host = limited(Limits { value_bytes: 3, ..Limits::default() });
    let ann = host.session();
    host.set(ann, "k", "€");
    host.set(ann, "k", "");
    refused(&mut host, vec![put("fine", "v"), put("k", "€a")], ErrorCode::ValueTooLarge, "valueBytes");
}

#[test]
fn a_batch_has_limits_of_its_own() {
    let mut host = limited(Limits { batch_keys: 2, batch_bytes: 10, ..Limits::default() });
    let ann = host.session();
    host.ask(ann, batch([put("a", "1234"), put("b", "1234")]), SYNC).unwrap();
    let three = vec![put("a", ""), put("b", ""), put("c", "")];
    refused(&mut host, three, ErrorCode::QuotaExceeded, "batchKeys");
    refused(&mut host, vec![put("a", "1234"), put("b", "12345")], ErrorCode::QuotaExceeded, "batchBytes");
    let checks = ["a", "b", "c"].map(|key| Check { key: key.into(), version: None }).to_vec();
    let operation = Operation::Write { batch: vec![put("a", "")], checks };
    assert_eq!(code(host.begin(ann, operation, SYNC)), ErrorCode::QuotaExceeded, "checks count too");
}

#[test]
fn a_store_that_is_full_of_keys_takes_no_new_one_and_still_overwrites_and_deletes() {
    let mut host = limited(Limits { keys: 3, ..Limits::default() });
    let ann = host.session();
    for key in ["a", "b", "c"] {
        host.set(ann, key, "v");
    }
    refused(&mut host, vec![put("a", "w"), put("d", "v")], ErrorCode::QuotaExceeded, "keys");
    host.set(ann, "a", "w");
    host.delete(ann, "b");
    host.set(ann, "b", "v");
    host.ask(ann, batch([put("a", "x"), put("a", "y"), put("a", "z")]), SYNC).unwrap();
}

#[test]
fn a_key_that_a_batch_names_twice_is_one_key() {
    let mut host = limited(Limits { keys: 1, ..Limits::default() });
    let ann = host.session();
    host.ask(ann, batch([put("a", "1"), put("a", "2")]), SYNC).unwrap();
}

#[test]
fn a_store_that_is_full_of_bytes_takes_what_is_smaller_and_deletes() {
    let (value, entry) = ("x".repeat(100), 1 + 100 + 64);
    let mut host = limited(Limits { bytes: 3 * entry, ..Limits::default() });
    let ann = host.session();
    for key in ["a", "b", "c"] {
        host.set(ann, key, &value);
    }
    assert_eq!(host.replica.store().bytes(), 3 * entry);
    refused(&mut host, vec![put("d", "")], ErrorCode::QuotaExceeded, "bytes");
    refused(&mut host, vec![put("a", &"x".repeat(101))], ErrorCode::QuotaExceeded, "bytes");
    // What is counted is what the batch leaves, not what it names.
    let twice = vec![put("a", ""), put("a", &"x".repeat(150))];
    refused(&mut host, twice, ErrorCode::QuotaExceeded, "bytes");
    host.set(ann, "a", &"y".repeat(100));
    host.ask(ann, batch([put("a", &"y".repeat(120)), put("b", &"y".repeat(80))]), SYNC).unwrap();
    host.ask(ann, batch([erase("c")]), SYNC).unwrap();
    host.set(ann, "d", &"x".repeat(30));
    assert!(host.replica.store().bytes() <= 3 * entry);
}

#[test]
fn there_are_at_most_as_many_spaces_as_the_limit_says() {
    let mut host = limited(Limits { spaces: 2, ..Limits::default() });
    let mut write = |name: &str| {
        let space = Some(Space::first(name).unwrap());
        let session = host.open(SessionInit { space, ..SessionInit::default() });
        host.try_set(session, "k", "v", SYNC)
    };
    write("one").unwrap();
    write("two").unwrap();
    assert_eq!(code(write("three")), ErrorCode::QuotaExceeded);
    write("one").unwrap();
}

#[test]
fn a_space_in_another_generation_is_another_space_and_not_open_here() {
    let mut host = limited(Limits::default());
    let ann = host.session();
    host.set(ann, "k", "v");
    for space in [Space::new("default", 2).unwrap(), Space::new("other", 7).unwrap()] {
        let session = host.open(SessionInit { space: Some(space), ..SessionInit::default() });
        assert_eq!(code(host.try_set(session, "k", "v", SYNC)), ErrorCode::SpaceNotFound);
    }
}

// ── Peers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What a host with other limits writes, sent to a host with these: refused as a whole, by name, and told to both.
fn refused_from_a_peer(limits: Limits, expected: ErrorCode, write: impl FnOnce(&mut Host)) {
    let (mut host, mut peer) = (limited(limits), Host::new(tab("peer")));
    let ann = host.session();
    host.set(ann, "own", "v");
    write(&mut peer);
    let space = peer.replica.store().spaces().next().unwrap().0.clone();
    let delta = peer.replica.store().extract(&space, &VersionVector::new()).unwrap();
    let frame = Frame { from: peer.id(), to: None, messages: vec![Message::Delta(delta)] }.encode();
    let before = host.snapshot();
    host.replica.link_up(LinkId(1), START);
    host.drain();
    host.sent.clear();
    host.receive(LinkId(1), &frame).unwrap();
    assert_eq!(host.snapshot(), before, "state unchanged");
    let refusal = |event: &Event| matches!(event, Event::Refused(error) if error.code() == expected);
    assert!(host.events.iter().any(refusal), "{:?}", host.events);
    let said: Vec<Message> = host.sent.iter().flat_map(|(_, bytes)| Frame::decode(bytes).unwrap().messages).collect();
    assert!(said.iter().any(|m| matches!(m, Message::Refused { code, .. } if code == expected.as_str())), "{said:?}");
}

fn set(key: &str, value: &str) -> impl FnOnce(&mut Host) {
    let (key, value) = (key.to_string(), value.to_string());
    move |peer| {
        let session = peer.session();
        peer.set(session, &key, &value);
    }
}

#[test]
fn a_delta_beyond_the_limits_is_refused_as_a_whole() {
    let limits = Limits::default();
    refused_from_a_peer(Limits { key_bytes: 3, ..limits }, ErrorCode::KeyInvalid, set("long", "v"));
    refused_from_a_peer(Limits { value_bytes: 3, ..limits }, ErrorCode::ValueTooLarge, set("k", "long"));
    refused_from_a_peer(Limits { keys: 1, ..limits }, ErrorCode::QuotaExceeded, set("k", "v"));
    refused_from_a_peer(Limits { bytes: 100, ..limits }, ErrorCode::QuotaExceeded, set("k", "v"));
    refused_from_a_peer(Limits { spaces: 1, ..limits }, ErrorCode::QuotaExceeded, |peer| {
        let space = Some(Space::first("other").unwrap());
        let session = peer.open(SessionInit { space, ..SessionInit::default() });
        peer.set(session, "k", "v");
    });
}

/// A sibling is more, even if it is no larger than what it stands beside.
#[test]
fn siblings_count_against_the_limit_of_bytes() {
    let value = "x".repeat(1_000);
    let mut host = limited(Limits { bytes: 2_000, ..Limits::default() });
    let ann = host.session();
    host.set(ann, "k", &value);
    let mut peer = Host::new(tab("peer"));
    let bob = peer.session();
    peer.set(bob, "k", &value);
    let delta = peer.replica.store().extract(&peer.space(), &VersionVector::new()).unwrap();
    let mut store = host.replica.store().clone();
    assert_eq!(code(store.apply(delta)), ErrorCode::QuotaExceeded);
    assert_eq!(store.bytes(), host.replica.store().bytes());
}

/// What a full store already holds, or has seen go, is never refused: it does not grow by it.
#[test]
fn an_old_delta_is_no_burden_to_a_full_store() {
    let mut peer = Host::new(tab("peer"));
    let bob = peer.session();
    peer.set(bob, "k", &"x".repeat(1_000));
    let old = peer.replica.store().extract(&peer.space(), &VersionVector::new()).unwrap();
    peer.set(bob, "k", "small");
    let mut host = limited(Limits { bytes: 200, ..Limits::default() });
    host.pull(&mut peer);
    let mut store = host.replica.store().clone();
    assert_eq!(store.apply(old), Ok(vec![]));
}

#[test]
fn a_store_with_room_again_takes_what_it_had_refused() {
    let (mut host, mut peer) = (limited(Limits { keys: 1, ..Limits::default() }), Host::new(tab("peer")));
    let bob = peer.session();
    peer.ask(bob, batch([put("a", "1"), put("b", "1")]), SYNC).unwrap();
    host.pull(&mut peer);
    assert_eq!(host.holds(), "<>");
    let delta = peer.replica.store().extract(&peer.space(), &VersionVector::new()).unwrap();
    let mut roomy = limited(Limits { keys: 2, ..Limits::default() });
    roomy
        .replica
        .load(&Frame { from: roomy.id(), to: None, messages: vec![Message::Delta(delta)] }.encode(), START)
        .unwrap();
    assert_eq!(roomy.holds(), "<peer:1>");
}

#[test]
fn a_value_of_bytes_counts_like_a_text() {
    let mut host = limited(Limits { value_bytes: 3, ..Limits::default() });
    let bytes = |value: &[u8]| Mutation {
        key: "k".into(),
        content: edge_session::store::entry::Content::Bytes(value.into()),
        expires_at: None,
    };
    let ann = host.session();
    host.ask(ann, batch([bytes(&[0, 255, 7])]), SYNC).unwrap();
    refused(&mut host, vec![bytes(&[0; 4])], ErrorCode::ValueTooLarge, "valueBytes");
    assert_eq!(text("abc").len(), 3);
}

// ── At random ───────────────────────────────────────────────────────────────────────────────────────────────────────

/// What a scan would count: of each key the bytes that it holds.
fn counted(store: &SessionConsistentStore, space: &Space) -> BTreeMap<String, u64> {
    let state = store.space(space).into_iter();
    let bytes = |set: &LiveSet| set.entries().iter().map(|entry| entry.content.len() as u64 + 64).sum::<u64>();
    state.flat_map(|state| state.iter()).map(|(key, set)| (key.to_string(), key.len() as u64 + bytes(set))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// New keys and old ones, erased ones, some with siblings, some more than once: up to the very last key and byte.
    #[test]
    fn a_batch_is_refused_where_a_scan_of_what_it_leaves_would_refuse_it(
        (keys, bytes) in (5..30_u64, 500..3_000_u64),
        steps in prop::collection::vec(
            (prop::collection::vec(("[a-f]{1,2}", prop::option::weighted(0.8, 0..60_usize)), 1..12), prop::bool::weighted(0.2), -1..2_i64),
            1..40,
        ),
    ) {
        let space = Space::first("default").unwrap();
        let [here, there] = ["a", "b"].map(|label| ReplicaId::new(label, [7; 10]).unwrap());
        let mut store = SessionConsistentStore::new(Limits { keys, bytes, ..Limits::default() });
        let mut peer = SessionConsistentStore::new(Limits::default());
        for (writes, elsewhere, edge) in steps {
            let mut batch: Vec<_> = writes
                .iter()
                .map(|(key, value)| value.map_or_else(|| erase(key), |len| put(key, &"v".repeat(len))))
                .collect();
            if elsewhere {
                // Where it is taken, what both have written stands side by side.
                peer.write(&space, there, None, batch, &[], START).unwrap();
                if let Some(delta) = peer.extract(&space, store.vector(&space)) {
                    let _ = store.apply(delta);
                }
                continue;
            }
            let before = counted(&store, &space);
            let sum = |held: &BTreeMap<String, u64>| held.values().sum::<u64>();
            let leaves = |batch: &[Mutation]| {
                let mut held = before.clone();
                held.extend(batch.iter().map(|one| (one.key.to_string(), (one.key.len() + one.content.len()) as u64 + 64)));
                held
            };
            // One more key, of which the value ends just before the limit, there, or just behind it.
            let left = bytes as i64 - sum(&leaves(&batch)) as i64 - 64 - 3 + edge;
            if (0..300).contains(&left) {
                batch.push(put("new", &"v".repeat(left as usize)));
            }
            let after = leaves(&batch);
            let fits = (after.len() <= before.len() || after.len() as u64 <= keys) && (sum(&after) <= sum(&before) || sum(&after) <= bytes);
            let written = store.write(&space, here, None, batch, &[], START);
            prop_assert_eq!(written.is_ok(), fits, "{:?}", written);
            prop_assert_eq!(counted(&store, &space), if fits { after } else { before });
            let held = counted(&store, &space);
            prop_assert_eq!((store.len(), store.bytes()), (held.len(), sum(&held)));
        }
    }
}
