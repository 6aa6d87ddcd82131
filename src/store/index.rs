//! The index origin → (sequence → keys): which keys a write of an origin still decides.
//!
//! Invariant: a dot is listed exactly for the keys whose live set has an entry of that dot. So what changed since a
//! vector is found in time proportional to the changes and the number of origins, never by a scan of all keys.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Included, Unbounded};

use crate::id::{Dot, ReplicaId};
use crate::store::entry::Key;
use crate::vector::VersionVector;

/// Dots of live entries, and the keys that they decide.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Index {
    origins: BTreeMap<ReplicaId, BTreeMap<u64, Vec<Key>>>,
}

impl Index {
    pub(crate) fn insert(&mut self, dot: Dot, key: &Key) {
        self.origins.entry(dot.replica).or_default().entry(dot.sequence).or_default().push(key.clone());
    }

    pub(crate) fn remove(&mut self, dot: Dot, key: &str) {
        let Some(sequences) = self.origins.get_mut(&dot.replica) else { return };
        if let Some(keys) = sequences.get_mut(&dot.sequence) {
            keys.retain(|listed| **listed != *key);
            if keys.is_empty() {
                sequences.remove(&dot.sequence);
            }
        }
        if sequences.is_empty() {
            self.origins.remove(&dot.replica);
        }
    }

    /// The keys that a dot outside of `vector` decides; a key comes once for each such dot.
    pub(crate) fn since<'a>(&'a self, vector: &'a VersionVector) -> impl Iterator<Item = &'a Key> {
        self.origins.iter().flat_map(|(origin, sequences)| {
            sequences.range((Excluded(vector.get(*origin)), Unbounded)).flat_map(|(_, keys)| keys)
        })
    }

    /// The dots with `after[origin] < sequence ≤ upto[origin]`, and the keys that each decides.
    pub(crate) fn between<'a>(
        &'a self,
        after: &'a VersionVector,
        upto: &'a VersionVector,
    ) -> impl Iterator<Item = (Dot, &'a Key)> {
        upto.iter()
            .filter_map(|(origin, last)| Some((origin, after.get(origin), last, self.origins.get(&origin)?)))
            .filter(|(_, first, last, _)| first < last)
            .flat_map(|(origin, first, last, sequences)| {
                sequences
                    .range((Excluded(first), Included(last)))
                    .flat_map(move |(sequence, keys)| keys.iter().map(move |key| (Dot::new(origin, *sequence), key)))
            })
    }
}
