//! Folding: replaces many dependencies by one dot whose past covers them, so that a token stays short.
//!
//! A replica that holds a dot holds everything that the dot's replica held when it accepted the dot (invariant I2). So
//! a dependency in that past may be replaced by the dot: any replica that satisfies the dot satisfies the dependency.
//!
//! Invariants:
//!
//! * A fold asks for everything that it replaces. This holds for each of the two vectors separately, because a session
//!   may have guarantees for only one of them.
//! * What the past does not cover stays as it is.
//!
//! Knows nothing of replicas and stores.

use crate::id::Dot;
use crate::mutant::{Mutant, off};
use crate::session::vector::Dependencies;
use crate::vector::VersionVector;

/// A dot to fold onto.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// The dot.
    pub dot: Dot,
    /// What its replica held after accepting the dot: the dot's past, and the dot itself.
    pub past: VersionVector,
}

impl Anchor {
    /// Whether everything up to `dot` is in the anchor's past: the check that makes folding sound (`V ≥ r ⊔ w`, where
    /// `V` is what the anchor's replica held).
    #[must_use]
    pub fn covers(&self, dot: Dot) -> bool {
        self.past.contains(dot) || off(Mutant::FoldCovered)
    }
}

/// The dependencies with everything that `anchor` covers folded onto it, if that names fewer replicas.
///
/// ```
/// use edge_session::id::{Dot, ReplicaId};
/// use edge_session::session::{fold::{Anchor, fold}, vector::Dependencies};
/// use edge_session::vector::VersionVector;
/// let [a, b, c, own] = ["a", "b", "c", "own"].map(|label| ReplicaId::new(label, [0; 10]).unwrap());
/// let anchor = Anchor { dot: Dot::new(own, 9), past: VersionVector::from_iter([(a, 3), (b, 3), (own, 9)]) };
/// let seen = Dependencies { reads: VersionVector::from_iter([(a, 2), (b, 3), (c, 1)]), ..Dependencies::default() };
/// // What was read of a and b is in the past of own:9; what was read of c is not.
/// let folded = fold(&seen, &anchor).unwrap();
/// assert_eq!(folded.reads, VersionVector::from_iter([(c, 1), (own, 9)]));
/// assert!(folded.writes.is_empty()); // who has written nothing waits for nothing
/// ```
#[must_use]
pub fn fold(dependencies: &Dependencies, anchor: &Anchor) -> Option<Dependencies> {
    let covered =
        |(replica, sequence): (_, u64)| replica != anchor.dot.replica && anchor.covers(Dot::new(replica, sequence));
    if !dependencies.reads.iter().chain(dependencies.writes.iter()).any(covered) {
        return None;
    }
    let one = |vector: &VersionVector| {
        let stays = |(replica, sequence): &(_, u64)| {
            *replica == anchor.dot.replica || !anchor.covers(Dot::new(*replica, *sequence))
        };
        let mut folded: VersionVector = vector.iter().filter(stays).collect();
        if folded.len() < vector.len() {
            folded.advance(anchor.dot);
        }
        folded
    };
    let folded = Dependencies { reads: one(&dependencies.reads), writes: one(&dependencies.writes) };
    (folded.replicas().len() < dependencies.replicas().len()).then_some(folded)
}
