//! The four guarantees as they are checked, and the laws by which sessions merge.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use edge_session::guarantee::{Access, Dependency, Guarantee, Guarantees, TABLE};
use edge_session::id::{Dot, ReplicaId, Space};
use edge_session::session::token::SessionToken;
use edge_session::session::vector::SessionVector;
use edge_session::vector::{Gap, VersionVector};
use proptest::prelude::*;

const EVERY_SET: std::ops::RangeInclusive<u8> = 0..=15;
const BOTH: [Access; 2] = [Access::Read, Access::Write];

fn replica(label: &str) -> ReplicaId {
    ReplicaId::new(label, [0; 10]).unwrap()
}

fn space() -> Space {
    Space::first("default").unwrap()
}

/// A session that has read `a:2` and written `b:3`.
fn reader_and_writer() -> SessionVector {
    let mut session = SessionVector::default();
    session.record_read(&space(), Dot::new(replica("a"), 2));
    session.record_write(&space(), Dot::new(replica("b"), 3));
    session
}

/// Steps of a session over a few spaces and replicas.
#[derive(Clone, Debug)]
enum Step {
    Read(u32, &'static str, u64),
    Write(u32, &'static str, u64),
    Absence(u32, VersionVector),
}

fn any_vector() -> impl Strategy<Value = VersionVector> {
    prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]), 0u64..5), 0..4)
        .prop_map(|entries| entries.into_iter().map(|(label, sequence)| (replica(label), sequence)).collect())
}

fn any_session() -> impl Strategy<Value = SessionVector> {
    let label = || prop::sample::select(vec!["a", "b", "c"]);
    let step = prop_oneof![
        (1u32..4, label(), 1u64..5).prop_map(|(space, label, n)| Step::Read(space, label, n)),
        (1u32..4, label(), 1u64..5).prop_map(|(space, label, n)| Step::Write(space, label, n)),
        (1u32..4, any_vector()).prop_map(|(space, floor)| Step::Absence(space, floor)),
    ];
    prop::collection::vec(step, 0..10).prop_map(|steps| {
        let mut session = SessionVector::default();
        for step in steps {
            let space = |generation| Space::new("s", generation).unwrap();
            match step {
                Step::Read(at, label, n) => session.record_read(&space(at), Dot::new(replica(label), n)),
                Step::Write(at, label, n) => session.record_write(&space(at), Dot::new(replica(label), n)),
                Step::Absence(at, floor) => session.record_absence(&space(at), &floor),
            }
        }
        session
    })
}

fn merged(left: &SessionVector, right: &SessionVector) -> SessionVector {
    let mut merged = left.clone();
    merged.merge(right);
    merged
}

/// The table of Terry et al. written out once more, by hand, for every set and both kinds of operation.
fn must_dominate(guarantees: Guarantees, access: Access) -> (bool, bool) {
    match access {
        Access::Read => (guarantees.has(Guarantee::MonotonicReads), guarantees.has(Guarantee::ReadYourWrites)),
        Access::Write => (guarantees.has(Guarantee::WritesFollowReads), guarantees.has(Guarantee::MonotonicWrites)),
    }
}

#[test]
fn each_set_of_guarantees_asks_for_exactly_its_rows() {
    let (a, b) = (replica("a"), replica("b"));
    let session = reader_and_writer();
    let reads = Gap { replica: a, have: 1, need: 2 };
    let writes = Gap { replica: b, have: 0, need: 3 };
    let mut checked = 0;
    for bits in EVERY_SET {
        let guarantees = Guarantees::from_bits(bits).unwrap();
        for access in BOTH {
            let (needs_reads, needs_writes) = must_dominate(guarantees, access);
            for (holds_reads, holds_writes) in [(false, false), (true, false), (false, true), (true, true)] {
                let replica = VersionVector::from_iter([
                    (a, if holds_reads { 2 } else { 1 }),
                    (b, if holds_writes { 3 } else { 0 }),
                ]);
                let mut expected = Vec::new();
                expected.extend((needs_reads && !holds_reads).then_some(reads));
                expected.extend((needs_writes && !holds_writes).then_some(writes));
                let missing = session.missing(&space(), guarantees, access, &replica);
                assert_eq!(missing, expected, "{:?} {access:?} at {replica}", guarantees.names());
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 16 * 2 * 4);
}

#[test]
fn each_guarantee_alone_checks_one_vector_on_one_kind_of_operation() {
    let cases = [
        ("read-your-writes", Access::Read, Dependency::Writes),
        ("monotonic-reads", Access::Read, Dependency::Reads),
        ("monotonic-writes", Access::Write, Dependency::Writes),
        ("writes-follow-reads", Access::Write, Dependency::Reads),
    ];
    for (name, on, of) in cases {
        let guarantees = Guarantees::from_names([name]).unwrap();
        for access in BOTH {
            for dependency in [Dependency::Reads, Dependency::Writes] {
                let expected = access == on && dependency == of;
                assert_eq!(guarantees.checks(access, dependency), expected, "{name} {access:?} {dependency:?}");
            }
        }
    }
}

#[test]
fn a_set_of_guarantees_survives_its_bits_and_its_names() {
    for bits in EVERY_SET {
        let guarantees = Guarantees::from_bits(bits).unwrap();
        assert_eq!(guarantees.bits(), bits);
        assert_eq!(Guarantees::from_names(guarantees.names()).unwrap(), guarantees);
        assert_eq!(guarantees.names().len(), bits.count_ones() as usize);
    }
    assert!(Guarantees::from_bits(16).is_err());
    assert!(Guarantees::from_names(["eventual"]).is_err());
    assert!(TABLE.iter().all(|row| Guarantees::ALL.has(row.0) && !Guarantees::NONE.has(row.0)));
}

#[test]
fn what_was_seen_in_one_space_is_not_asked_for_in_another() {
    let other = Space::first("other").unwrap();
    let next = Space::new("default", 2).unwrap();
    for access in BOTH {
        let nothing = VersionVector::new();
        assert_eq!(reader_and_writer().missing(&other, Guarantees::ALL, access, &nothing), []);
        assert_eq!(reader_and_writer().missing(&next, Guarantees::ALL, access, &nothing), [], "a later generation");
        assert_eq!(reader_and_writer().missing(&space(), Guarantees::ALL, access, &nothing).len(), 2);
    }
}

#[test]
fn read_and_written_dots_of_one_replica_are_asked_for_together() {
    let mut session = reader_and_writer();
    session.record_read(&space(), Dot::new(replica("b"), 5));
    let held = VersionVector::from_iter([(replica("a"), 2), (replica("b"), 4)]);
    let missing = session.missing(&space(), Guarantees::ALL, Access::Read, &held);
    assert_eq!(missing, [Gap { replica: replica("b"), have: 4, need: 5 }]);
}

#[test]
fn a_capped_dot_is_asked_for_no_more() {
    let mut session = reader_and_writer();
    session.cap(&space(), replica("b"), 2);
    assert_eq!(session.get(&space()).unwrap().writes.get(replica("b")), 2);
    session.cap(&space(), replica("a"), 0);
    session.cap(&space(), replica("b"), 0);
    assert!(session.is_empty());
    assert_eq!(session, SessionVector::default());
}

/// Under Miri every step is a thousand, and one case takes seconds.
const CASES: u32 = if cfg!(miri) { 1 } else { 128 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn merging_sessions_is_a_semilattice(a in any_session(), b in any_session(), c in any_session()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(&merged(&a, &a), &a);
        prop_assert_eq!(&merged(&a, &SessionVector::default()), &a);
    }

    #[test]
    fn a_merged_session_asks_for_what_either_asks_for(a in any_session(), b in any_session(), held in any_vector()) {
        let both = merged(&a, &b);
        for (generation, access) in (1..4).flat_map(|g| BOTH.map(|access| (g, access))) {
            let space = Space::new("s", generation).unwrap();
            let missing = |session: &SessionVector| session.missing(&space, Guarantees::ALL, access, &held);
            let mut expected: Vec<Gap> = Vec::new();
            for gap in missing(&a).into_iter().chain(missing(&b)) {
                match expected.iter_mut().find(|other| other.replica == gap.replica) {
                    Some(other) => other.need = other.need.max(gap.need),
                    None => expected.push(gap),
                }
            }
            expected.sort_by_key(|gap| gap.replica);
            prop_assert_eq!(missing(&both), expected);
        }
    }

    #[test]
    fn the_rest_beyond_another_session_is_the_least_that_joins_to_both(a in any_session(), b in any_session()) {
        let rest = a.beyond(&b);
        prop_assert_eq!(merged(&rest, &b), merged(&a, &b));
        prop_assert_eq!(&rest.beyond(&b), &rest, "nothing of it is covered");
        prop_assert!(a.beyond(&a).is_empty());
        prop_assert!(rest.iter().all(|(_, own)| !own.is_empty()));
    }

    #[test]
    fn merging_tokens_is_a_semilattice(a in any_session(), b in any_session(), c in any_session()) {
        let token = |seen: &SessionVector| SessionToken::anonymous().with_unsigned(seen);
        let merge = |left: &SessionToken, right: &SessionToken| {
            let mut merged = left.clone();
            merged.merge(right);
            merged
        };
        let (a, b, c) = (token(&a), token(&b), token(&c));
        prop_assert_eq!(merge(&a, &b).to_text(), merge(&b, &a).to_text());
        prop_assert_eq!(merge(&merge(&a, &b), &c).to_text(), merge(&a, &merge(&b, &c)).to_text());
        prop_assert_eq!(&merge(&a, &a), &a);
        prop_assert_eq!(&merge(&a, &SessionToken::anonymous()), &a);
    }
}
