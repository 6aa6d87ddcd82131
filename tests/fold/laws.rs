//! The laws of a fold, on vectors alone.

use super::*;

const IDS: [&str; 5] = ["a", "b", "c", "d", "own"];

fn id(label: &str) -> ReplicaId {
    ReplicaId::new(label, [0; 10]).unwrap()
}

fn any_vector() -> impl Strategy<Value = VersionVector> {
    prop::collection::vec((prop::sample::select(IDS.to_vec()), 0u64..5), 0..6)
        .prop_map(|entries| entries.into_iter().map(|(label, sequence)| (id(label), sequence)).collect())
}

fn any_dependencies() -> impl Strategy<Value = Dependencies> {
    (any_vector(), any_vector()).prop_map(|(reads, writes)| Dependencies { reads, writes })
}

/// An own dot and its past.
fn any_anchor() -> impl Strategy<Value = Anchor> {
    (any_vector(), 1u64..5).prop_map(|(mut past, sequence)| {
        past.cap(id("own"), sequence);
        past.advance(Dot::new(id("own"), sequence));
        Anchor { dot: Dot::new(id("own"), sequence), past }
    })
}

fn session(own: &Dependencies) -> SessionVector {
    let mut vector = SessionVector::default();
    *vector.dependencies(&space()) = own.clone();
    vector
}

proptest! {
    #[test]
    fn a_fold_is_refused_wherever_what_it_stands_for_would_be(
        seen in any_dependencies(),
        anchor in any_anchor(),
        mut held in any_vector(),
        guarantees in 0u8..16,
    ) {
        // No replica holds a dot without its past.
        if held.contains(anchor.dot) {
            held.join(&anchor.past);
        }
        let Some(folded) = fold(&seen, &anchor) else { return Ok(()) };
        let guarantees = Guarantees::from_bits(guarantees).unwrap();
        for access in [Access::Read, Access::Write] {
            let lacks = |own: &Dependencies| !session(own).missing(&space(), guarantees, access, &held).is_empty();
            prop_assert!(lacks(&folded) || !lacks(&seen), "{:?} {:?} at {:?}", folded, seen, held);
        }
    }

    #[test]
    fn a_fold_names_fewer_replicas_and_nothing_new_but_its_dot(seen in any_dependencies(), anchor in any_anchor()) {
        let Some(folded) = fold(&seen, &anchor) else { return Ok(()) };
        prop_assert!(folded.replicas().len() < seen.replicas().len());
        for (before, after) in [(&seen.reads, &folded.reads), (&seen.writes, &folded.writes)] {
            for (replica, sequence) in after.iter() {
                prop_assert!(before.get(replica) == sequence || Dot::new(replica, sequence) == anchor.dot);
            }
            prop_assert_eq!(before.is_empty(), after.is_empty(), "who asked for nothing asks for nothing");
        }
        prop_assert_eq!(fold(&folded, &anchor), None, "once is enough");
    }

    #[test]
    fn what_an_anchor_covers_wholly_becomes_its_dot_alone(mut seen in any_dependencies(), anchor in any_anchor()) {
        for replica in IDS.map(id) {
            seen.reads.cap(replica, anchor.past.get(replica));
            seen.writes.cap(replica, anchor.past.get(replica));
        }
        let Some(folded) = fold(&seen, &anchor) else { return Ok(()) };
        prop_assert_eq!(folded.replicas().len(), 1);
        // Whoever holds the dot serves the session.
        prop_assert!(anchor.past.dominates(&folded.reads) && anchor.past.dominates(&folded.writes));
    }
}

#[test]
fn each_of_the_two_vectors_is_folded_for_itself() {
    let [a, b, own] = ["a", "b", "own"].map(id);
    let anchor = Anchor { dot: Dot::new(own, 4), past: [(a, 2), (b, 2), (own, 4)].into_iter().collect() };
    let vector = |entries: &[(ReplicaId, u64)]| entries.iter().copied().collect::<VersionVector>();
    let seen = Dependencies { reads: vector(&[(a, 1), (b, 2), (own, 1)]), writes: vector(&[(own, 2)]) };
    let folded = fold(&seen, &anchor).unwrap();
    assert_eq!(folded.reads, vector(&[(own, 4)]));
    assert_eq!(folded.writes, vector(&[(own, 2)]), "nothing of it was folded, so it asks for no more");
    let later = Dependencies { reads: vector(&[(a, 1), (b, 1), (own, 9)]), ..Dependencies::default() };
    assert_eq!(fold(&later, &anchor).unwrap().reads, vector(&[(own, 9)]), "an own dot after the anchor stays");
}
