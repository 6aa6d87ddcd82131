//! The laws of version vectors, ids and spaces, against a model that is a plain map.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;
use std::collections::BTreeMap;

use edge_session::error::ErrorCode;
use edge_session::id::{Dot, LABEL_MAX, ReplicaId, SEQUENCE_MAX, SPACE_NAME_MAX, SessionId, Space};
use edge_session::vector::{Gap, VersionVector};
use proptest::prelude::*;

type Model = BTreeMap<ReplicaId, u64>;

fn replica(label: &str) -> ReplicaId {
    ReplicaId::new(label, [0; 10]).unwrap()
}

/// Any id; short labels over few characters, so that one is often the beginning of another.
fn any_replica() -> impl Strategy<Value = ReplicaId> {
    let label = prop_oneof!["[ab0-]{1,3}", "[a-z0-9-]{1,16}"];
    let random = prop_oneof![Just([0; 10]), any::<[u8; 10]>()];
    (label, random).prop_map(|(label, random)| ReplicaId::new(&label, random).unwrap())
}

/// Entries over a few replicas, so that two vectors often meet; up to eleven of them, so that both ways to join and to look up are taken.
fn entries() -> impl Strategy<Value = Model> {
    let labels = vec!["a", "ab", "b", "c", "d", "e", "f", "g", "h", "i", "k"];
    prop::collection::btree_map(prop::sample::select(labels), 1u64..5, 0..12)
        .prop_map(|entries| entries.into_iter().map(|(label, sequence)| (replica(label), sequence)).collect())
}

fn vector(entries: &Model) -> VersionVector {
    entries.iter().map(|(id, sequence)| (*id, *sequence)).collect()
}

fn joined(left: &VersionVector, right: &VersionVector) -> VersionVector {
    let mut join = left.clone();
    join.join(right);
    join
}

fn model_dominates(left: &Model, right: &Model) -> bool {
    right.iter().all(|(id, sequence)| left.get(id).copied().unwrap_or(0) >= *sequence)
}

/// Under Miri every step is a thousand, and one case takes seconds.
const CASES: u32 = if cfg!(miri) { 1 } else { 256 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn joining_is_a_least_upper_bound(a in entries(), b in entries(), c in entries()) {
        let (va, vb, vc) = (vector(&a), vector(&b), vector(&c));
        let join = joined(&va, &vb);
        prop_assert_eq!(&join, &joined(&vb, &va));
        prop_assert_eq!(joined(&join, &vc), joined(&va, &joined(&vb, &vc)));
        prop_assert_eq!(&joined(&va, &va), &va);
        prop_assert!(join >= va && join >= vb);

        let mut least = a.clone();
        for (id, sequence) in &b {
            let entry = least.entry(*id).or_default();
            *entry = (*entry).max(*sequence);
        }
        prop_assert_eq!(join, vector(&least));
    }

    #[test]
    fn comparing_is_the_causal_order(a in entries(), b in entries()) {
        let expected = match (model_dominates(&a, &b), model_dominates(&b, &a)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        };
        prop_assert_eq!(vector(&a).partial_cmp(&vector(&b)), expected);
        prop_assert_eq!(vector(&a) == vector(&b), expected == Some(Ordering::Equal));
        prop_assert_eq!(vector(&a).dominates(&vector(&b)), model_dominates(&a, &b));
    }

    #[test]
    fn gaps_are_exactly_what_is_missing(held in entries(), needed in entries()) {
        let (have, need) = (vector(&held), vector(&needed));
        let gaps: Vec<Gap> = have.gaps(&need).collect();
        prop_assert_eq!(gaps.is_empty(), have.dominates(&need));
        let expected: Vec<Gap> = needed
            .iter()
            .map(|(id, need)| Gap { replica: *id, have: held.get(id).copied().unwrap_or(0), need: *need })
            .filter(|gap| gap.have < gap.need)
            .collect();
        prop_assert_eq!(&gaps, &expected);
        // Filling them, and nothing else, is enough.
        let mut filled = have;
        for gap in gaps {
            filled.advance(Dot::new(gap.replica, gap.need));
        }
        prop_assert!(filled.dominates(&need));
    }

    #[test]
    fn the_order_of_steps_leaves_no_trace(steps in prop::collection::vec((any_replica(), 0u64..6), 0..12)) {
        let mut forwards = VersionVector::new();
        let mut backwards = VersionVector::new();
        steps.iter().for_each(|(id, sequence)| forwards.advance(Dot::new(*id, *sequence)));
        steps.iter().rev().for_each(|(id, sequence)| backwards.advance(Dot::new(*id, *sequence)));
        prop_assert_eq!(&forwards, &backwards);
        prop_assert_eq!(&forwards, &steps.iter().copied().collect());
        let listed: Vec<_> = forwards.iter().collect();
        prop_assert!(listed.windows(2).all(|pair| pair[0].0 < pair[1].0));
        prop_assert!(listed.iter().all(|(_, sequence)| *sequence > 0));
        for (id, sequence) in steps {
            prop_assert!(forwards.contains(Dot::new(id, sequence)));
            prop_assert!(!forwards.contains(Dot::new(id, forwards.get(id) + 1)));
        }
    }

    #[test]
    fn a_cap_lowers_one_entry_and_no_other(entries in entries(), at in "[a-h]", cap in 0u64..6) {
        let mut capped = vector(&entries);
        capped.cap(replica(&at), cap);
        for (id, sequence) in &entries {
            let expected = if *id == replica(&at) { (*sequence).min(cap) } else { *sequence };
            prop_assert_eq!(capped.get(*id), expected);
        }
        prop_assert!(vector(&entries).dominates(&capped));
        prop_assert!(capped.iter().all(|(_, sequence)| sequence > 0));
    }

    #[test]
    fn a_replica_id_survives_its_text_and_its_bytes(id in any_replica()) {
        prop_assert_eq!(id.to_string().parse::<ReplicaId>().unwrap(), id);
        prop_assert_eq!(ReplicaId::from_bytes(&id.to_bytes()).unwrap(), id);
    }

    #[test]
    fn replica_ids_are_in_the_order_of_their_texts(a in any_replica(), b in any_replica()) {
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn a_space_survives_its_text(name in "[A-Za-z0-9_.$-]{1,64}", generation in 1u32..) {
        let space = Space::new(&name, generation).unwrap();
        prop_assert_eq!(space.to_string().parse::<Space>().unwrap(), space);
    }

    #[test]
    fn whatever_parses_prints_as_it_was(text in "[a-b~:$0-2]{0,24}", any in ".{0,24}", bytes in any::<Vec<u8>>()) {
        for text in [text, any] {
            if let Ok(id) = text.parse::<ReplicaId>() {
                prop_assert_eq!(id.to_string(), &*text);
            }
            if let Ok(space) = text.parse::<Space>() {
                prop_assert_eq!(space.to_string(), text);
            }
        }
        if let Ok(id) = ReplicaId::from_bytes(&bytes) {
            prop_assert_eq!(id.to_bytes(), bytes);
        }
    }
}

#[test]
fn a_vector_prints_as_labels_and_sequences() {
    let vector = VersionVector::from_iter([(replica("b"), 1), (replica("a"), 3)]);
    assert_eq!(vector.to_string(), "<a:3, b:1>");
    assert_eq!(VersionVector::new().to_string(), "<>");
}

#[test]
fn concurrent_vectors_do_not_compare() {
    let left = VersionVector::from_iter([(replica("a"), 2)]);
    let right = VersionVector::from_iter([(replica("a"), 1), (replica("b"), 1)]);
    assert_eq!(left.partial_cmp(&right), None);
    assert!(!left.dominates(&right) && !right.dominates(&left));
}

#[test]
fn advancing_never_goes_back_and_sequence_0_is_nothing() {
    let mut vector = VersionVector::from_iter([(replica("a"), 5)]);
    vector.advance(Dot::new(replica("a"), 4));
    vector.advance(Dot::new(replica("b"), 0));
    assert_eq!(vector, VersionVector::from_iter([(replica("a"), 5)]));
    vector.cap(replica("a"), 0);
    assert!(vector.is_empty());
}

#[test]
fn the_greatest_sequence_is_the_greatest_exact_number_of_javascript() {
    assert_eq!(SEQUENCE_MAX, 9_007_199_254_740_991);
    assert_eq!(SEQUENCE_MAX as f64 as u64, SEQUENCE_MAX);
    assert_eq!((SEQUENCE_MAX + 2) as f64 as u64, SEQUENCE_MAX + 1, "beyond it numbers are rounded");
}

#[test]
fn ill_formed_names_are_refused() {
    let long = "a".repeat(LABEL_MAX + 1);
    for label in ["", "A", "a~b", "a b", "ä", &long] {
        assert_eq!(ReplicaId::new(label, [0; 10]).unwrap_err().code(), ErrorCode::ArgumentInvalid, "{label:?}");
    }
    for text in ["a", "~0000000000000000", "a~000000000000000", "a~00000000000000000", "a~000000000000000U", "a~~"] {
        assert_eq!(text.parse::<ReplicaId>().unwrap_err().code(), ErrorCode::ArgumentInvalid, "{text:?}");
    }
    assert_eq!(ReplicaId::from_bytes(&[0; 10]).unwrap_err().code(), ErrorCode::MessageMalformed);
    let long = "a".repeat(SPACE_NAME_MAX + 1);
    for text in ["", "a b", "a:", "a:1", "a:0", "a:02", "a:+2", "a:2:2", "a:4294967296", "ä", &long] {
        assert_eq!(text.parse::<Space>().unwrap_err().code(), ErrorCode::ArgumentInvalid, "{text:?}");
    }
}

#[test]
fn a_session_id_survives_its_text_and_starts_with_its_time() {
    let id = SessionId::new(0x0123_4567_89ab, [255; 10]);
    assert!(id.to_text().starts_with("01234567-89ab-7"), "version 7: {id}");
    assert_eq!(id.to_text().parse::<SessionId>().unwrap(), id);
    assert_eq!(SessionId::from_bytes(*id.as_bytes()), id);
    assert!(SessionId::new(1, [255; 10]) < SessionId::new(2, [0; 10]), "in the order of creation");
}
