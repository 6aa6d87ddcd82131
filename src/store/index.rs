//! The index origin → (sequence, key): which keys a write of an origin still decides.
//!
//! Invariant: a dot is listed exactly for the keys whose live set has an entry of that dot. So what changed since a
//! vector is found in time proportional to the changes and the number of origins, never by a scan of all keys.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Included, Unbounded};

use litemap::LiteMap;

use crate::id::{Dot, ReplicaId};
use crate::store::entry::Key;
use crate::vector::VersionVector;

/// Dots of live entries, each with a key that it decides.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Index {
    origins: LiteMap<ReplicaId, BTreeSet<(u64, Key)>>,
}

/// The place before every key of a sequence.
fn before(sequence: u64) -> (u64, Key) {
    (sequence, Key::from(""))
}

impl Index {
    /// The index of so many dots, each with a key that it decides.
    pub(crate) fn of<'a>(dots: impl IntoIterator<Item = (Dot, &'a Key)>) -> Self {
        let mut origins = LiteMap::<ReplicaId, Vec<(u64, Key)>>::new();
        for (dot, key) in dots {
            origins.entry(dot.replica).or_default().push((dot.sequence, key.clone()));
        }
        Self { origins: origins.into_iter().map(|(origin, decided)| (origin, decided.into_iter().collect())).collect() }
    }

    pub(crate) fn insert(&mut self, dot: Dot, key: &Key) {
        self.origins.entry(dot.replica).or_default().insert((dot.sequence, key.clone()));
    }

    pub(crate) fn remove(&mut self, dot: Dot, key: &Key) {
        let Some(decided) = self.origins.get_mut(&dot.replica) else { return };
        decided.remove(&(dot.sequence, key.clone()));
        if decided.is_empty() {
            self.origins.remove(&dot.replica);
        }
    }

    /// The keys that a dot outside of `vector` decides; a key comes once for each such dot.
    pub(crate) fn since<'a>(&'a self, vector: &'a VersionVector) -> impl Iterator<Item = &'a Key> {
        self.origins.iter().flat_map(|(origin, decided)| {
            let first = Included(before(vector.get(*origin) + 1));
            decided.range((first, Unbounded)).map(|(_, key)| key)
        })
    }

    /// The dots with `after[origin] < sequence ≤ upto[origin]`, each with a key that it decides.
    pub(crate) fn between<'a>(
        &'a self,
        after: &'a VersionVector,
        upto: &'a VersionVector,
    ) -> impl Iterator<Item = (Dot, &'a Key)> {
        let ranges = upto.iter().filter_map(|(origin, last)| {
            let first = after.get(origin);
            if first < last { Some((origin, first, last, self.origins.get(&origin)?)) } else { None }
        });
        ranges.flat_map(|(origin, first, last, decided)| {
            let range = (Included(before(first + 1)), Excluded(before(last + 1)));
            decided.range(range).map(move |(sequence, key)| (Dot::new(origin, *sequence), key))
        })
    }
}
