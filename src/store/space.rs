//! One space of a replica: its keys in order, its vector, and the one way in which it changes.
//!
//! Invariants I1–I4 of the architecture page hold here: the vector names exactly what is held, without holes, and
//! every change (a local write, a peer's delta, a journal record) is one atomic step. Knows vectors, not sessions.

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Included, Unbounded};

use litemap::LiteMap;

use crate::error::{ErrorCode, SessionError};
use crate::id::{Dot, ReplicaId, Space};
use crate::mutant::{Mutant, off};
use crate::store::delta::{Delta, Keys, Listed};
use crate::store::entry::{DataEntry, Key, LiveSet};
use crate::store::index::Index;
use crate::time::Hlc;
use crate::vector::VersionVector;

/// The live sets of a space and the vector that they stand at.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SpaceState {
    vector: VersionVector,
    keys: BTreeMap<Key, LiveSet>,
    index: Index,
    floor: VersionVector,
    retired: LiteMap<ReplicaId, u64>,
    bytes: u64,
}

/// How a step changed one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// The key.
    pub key: Key,
    /// Whether an entry that this replica held has gained a sibling, or lost to one.
    pub conflict: bool,
}

/// By how much a step would change what the limits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Growth {
    /// Keys that come into being.
    pub(crate) keys: u64,
    /// Bytes that come.
    pub(crate) more: u64,
    /// Bytes that go.
    pub(crate) less: u64,
}

impl SpaceState {
    /// The vector `V`: everything up to it is held, or has been superseded by something that is.
    #[must_use]
    pub const fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// The join of the dots whose tombstones were collected: what an absence without any entry rests on.
    #[must_use]
    pub const fn floor(&self) -> &VersionVector {
        &self.floor
    }

    /// The live set of a key, if it has entries.
    #[must_use]
    pub fn live(&self, key: &str) -> Option<&LiveSet> {
        self.keys.get(key)
    }

    /// Every key with its live set, in the order of keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Key, &LiveSet)> {
        self.keys.iter()
    }

    /// The keys from `start` (included) to `end` (excluded), in their order.
    pub fn range<'a>(
        &'a self,
        start: Option<&'a str>,
        end: Option<&'a str>,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, &'a LiveSet)> {
        // A range that ends before it starts is empty, and BTreeMap::range would panic on it.
        let empty = matches!((start, end), (Some(start), Some(end)) if start >= end);
        let lower = if empty { Excluded("") } else { start.map_or(Unbounded, Included) };
        let upper = if empty { Included("") } else { end.map_or(Unbounded, Excluded) };
        self.keys.range::<str, _>((lower, upper))
    }

    /// The number of keys, tombstones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key has an entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes of keys and values, with the overhead that the limits count.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last sequence in the retirement record of `replica`, if it was retired: nobody will ever hold more of it.
    #[must_use]
    pub fn retired(&self, replica: ReplicaId) -> Option<u64> {
        self.retired.get(&replica).copied()
    }

    /// Nothing but the retirement records, if there are any.
    pub(crate) fn emptied(&self) -> Option<Self> {
        (!self.retired.is_empty()).then(|| Self { retired: self.retired.clone(), ..Self::default() })
    }

    /// Takes a retirement record: dots of `replica` above `last` are refused from now on.
    pub fn retire(&mut self, replica: ReplicaId, last: u64) {
        self.retired.entry(replica).or_insert(last);
    }

    /// Supersedes all live entries of each key by its new entry, as one atomic write `dot`, the next of its replica.
    pub(crate) fn write(&mut self, dot: Dot, entries: impl IntoIterator<Item = (Key, DataEntry)>) {
        for (key, entry) in entries {
            self.alter(&key, |_| true, core::iter::once(entry));
        }
        self.vector.advance(dot);
    }

    /// Takes out of a key's live set what `goes` names and puts `comes` in, keeping index and counts; tells whether
    /// an entry stays beside one that comes.
    fn alter(
        &mut self,
        key: &Key,
        goes: impl FnMut(&DataEntry) -> bool,
        comes: impl Iterator<Item = DataEntry>,
    ) -> bool {
        let index = &mut self.index;
        let exchange = |set: &mut LiveSet| {
            set.remove(goes, |entry| index.remove(entry.dot, key));
            let stays = !set.is_empty();
            let mut joined = false;
            for entry in comes {
                joined = true;
                index.insert(entry.dot, key);
                set.insert(entry);
            }
            stays && joined
        };
        // One search a change: searching is the largest part of a write's time.
        match self.keys.entry(key.clone()) {
            Entry::Occupied(mut held) => {
                let set = held.get_mut();
                self.bytes -= set.bytes() + key.len() as u64;
                let conflict = exchange(set);
                if set.is_empty() {
                    held.remove();
                } else {
                    self.bytes += set.bytes() + key.len() as u64;
                }
                conflict
            }
            Entry::Vacant(place) => {
                let mut set = LiveSet::default();
                let conflict = exchange(&mut set);
                if !set.is_empty() {
                    self.bytes += set.bytes() + key.len() as u64;
                    place.insert(set);
                }
                conflict
            }
        }
    }

    /// Applies a delta in one atomic step, and tells which keys changed.
    ///
    /// # Errors
    /// `STALE_REPLICA` if this vector does not dominate `from`; `DEPENDENCY_LOST` if it holds dots of a retired
    /// replica above its last. State is unchanged.
    pub fn apply(&mut self, delta: &Delta) -> Result<Vec<Changed>, SessionError> {
        self.admit(delta)?;
        if self.keys.is_empty() && self.vector.is_empty() {
            return Ok(self.fill(delta));
        }
        let before = self.vector.clone();
        let mut changed = Vec::new();
        // Clause 1, for keys that are not listed: what the sender saw go since `from` goes.
        let listed = |key: &Key| delta.keys.binary_search_by(|(known, _)| known.cmp(key)).is_ok();
        let mut gone = BTreeSet::new();
        if !off(Mutant::Clause1) && !off(Mutant::Clause1Unlisted) {
            let unlisted = self.index.between(&delta.from, &delta.to).filter(|(_, key)| !listed(key));
            unlisted.for_each(|(_, key)| _ = gone.insert(key.clone()));
        }
        for key in gone {
            let goes = |entry: &DataEntry| delta.to.contains(entry.dot) && !delta.from.contains(entry.dot);
            self.alter(&key, goes, core::iter::empty());
            changed.push(Changed { key, conflict: false });
        }
        for (key, set) in &delta.keys {
            // Clause 1, for listed keys: an entry that the sender has seen and does not list goes.
            let goes = |entry: &DataEntry| superseded(delta, set, entry);
            // Clause 2: an entry that this replica had already seen does not come back.
            let Some(held) = self.keys.get(key) else {
                changed.extend(self.begin(key, set, &before));
                continue;
            };
            let comes: Vec<DataEntry> = unseen(&before, set, Some(held)).cloned().collect();
            if comes.is_empty() && !held.entries().iter().any(goes) {
                continue;
            }
            let conflict = self.alter(key, goes, comes.into_iter());
            changed.push(Changed { key: key.clone(), conflict });
        }
        // Clause 3.
        if !off(Mutant::Clause3) {
            self.vector.join(&delta.to);
        }
        Ok(changed)
    }

    /// [`SpaceState::apply`] where there is nothing yet: no key is looked for, and what comes in order is put into the
    /// trees in one go, with one comparison each.
    fn fill(&mut self, delta: &Delta) -> Vec<Changed> {
        let before = self.vector.clone();
        let (mut keys, mut dots, mut changed) = (Vec::with_capacity(delta.keys.len()), Vec::new(), Vec::new());
        for (key, set) in &delta.keys {
            let mut live = LiveSet::default();
            for entry in unseen(&before, set, None) {
                dots.push((entry.dot, key));
                live.insert(entry.clone());
            }
            if !live.is_empty() {
                self.bytes += live.bytes() + key.len() as u64;
                keys.push((key.clone(), live));
                changed.push(Changed { key: key.clone(), conflict: false });
            }
        }
        self.keys = keys.into_iter().collect();
        self.index = Index::of(dots);
        if !off(Mutant::Clause3) {
            self.vector.join(&delta.to);
        }
        changed
    }

    /// Takes a key that is not here, if `set` has an entry that whoever stands at `before` has not seen.
    fn begin(&mut self, key: &Key, set: &[Listed], before: &VersionVector) -> Option<Changed> {
        let mut live = LiveSet::default();
        for entry in unseen(before, set, None) {
            self.index.insert(entry.dot, key);
            live.insert(entry.clone());
        }
        if live.is_empty() {
            return None;
        }
        self.bytes += live.bytes() + key.len() as u64;
        self.keys.insert(key.clone(), live);
        Some(Changed { key: key.clone(), conflict: false })
    }

    /// The entries whose dots lie between two vectors, by key.
    pub(crate) fn between<'a>(
        &'a self,
        from: &'a VersionVector,
        to: &'a VersionVector,
    ) -> impl Iterator<Item = (Dot, &'a Key)> {
        self.index.between(from, to)
    }

    /// Whether a delta applies here at all.
    ///
    /// # Errors
    /// As [`SpaceState::apply`].
    pub(crate) fn admit(&self, delta: &Delta) -> Result<(), SessionError> {
        if !self.vector.dominates(&delta.from) && !off(Mutant::From) {
            return Err(SessionError::new(ErrorCode::StaleReplica, "the delta starts after this replica's vector"));
        }
        if self.retired.iter().any(|(replica, last)| delta.to.get(*replica) > *last) {
            return Err(SessionError::new(ErrorCode::DependencyLost, "the delta holds writes of a retired replica"));
        }
        Ok(())
    }

    /// What the counts would grow by if each key had one entry of this many bytes.
    pub(crate) fn growth_by_write<'a>(&self, writes: impl Iterator<Item = (&'a Key, u64)>) -> Growth {
        let mut growth = Growth::default();
        for (key, bytes) in writes {
            growth.count(key, self.keys.get(key), |_| true, bytes);
        }
        growth
    }

    /// What the counts would grow by if a delta that applies here were applied. What goes unlisted is not counted.
    pub(crate) fn growth_by_delta(&self, delta: &Delta) -> Growth {
        let mut growth = Growth::default();
        for (key, set) in &delta.keys {
            let held = self.keys.get(key);
            let bytes = unseen(&self.vector, set, held).map(DataEntry::bytes).sum();
            growth.count(key, held, |entry| superseded(delta, set, entry), bytes);
        }
        growth
    }

    /// The delta since `from`: for each key touched by a dot not in `from`, its full live set. Costs what changed.
    #[must_use]
    pub fn extract(&self, space: &Space, from: &VersionVector, hlc: Hlc) -> Delta {
        self.extract_since(space, from, from, hlc)
    }

    /// As [`SpaceState::extract`], but only keys touched since `base ≥ from`: the top-up that ends a run of slices.
    #[must_use]
    pub fn extract_since(&self, space: &Space, from: &VersionVector, base: &VersionVector, hlc: Hlc) -> Delta {
        let keys = if base.is_empty() {
            self.keys.iter().map(|(key, set)| (key.clone(), list(set, from))).collect()
        } else {
            // Put in one by one: collecting would sort first, in code that nothing else needs.
            let mut touched = BTreeSet::new();
            self.index.since(base).for_each(|key| _ = touched.insert(key.clone()));
            let set = |key: Key| self.keys.get(&key).map(|set| (key.clone(), list(set, from)));
            touched.into_iter().filter_map(set).collect()
        };
        Delta { space: space.clone(), from: from.clone(), to: self.vector.clone(), hlc, keys }
    }

    /// About how many bytes the delta since `from` takes, counted no further than `enough`.
    #[must_use]
    pub fn weight(&self, from: &VersionVector, enough: u64) -> u64 {
        let mut weight = 0;
        for key in self.index.since(from) {
            weight += key.len() as u64 + self.keys.get(key).map_or(0, LiveSet::bytes);
            if weight >= enough {
                break;
            }
        }
        weight
    }

    /// The keys after `after`, in order, that are touched by a dot not in `from`, until they weigh `budget` bytes (at
    /// least one); and whether there are more.
    #[must_use]
    pub fn slice(&self, from: &VersionVector, after: Option<&str>, budget: u64) -> (Keys, bool) {
        let (mut keys, mut weight) = (Keys::new(), 0);
        for (key, set) in self.keys.range::<str, _>((after.map_or(Unbounded, Excluded), Unbounded)) {
            if set.entries().iter().all(|entry| from.contains(entry.dot)) {
                continue;
            }
            if weight >= budget && !keys.is_empty() {
                return (keys, true);
            }
            weight += key.len() as u64 + set.bytes();
            keys.push((key.clone(), list(set, from)));
        }
        (keys, false)
    }
}

impl Growth {
    /// The most that keys with so many bytes of entries each can make a store grow by: nothing is looked for.
    pub(crate) fn at_most<'a>(keys: impl Iterator<Item = (&'a Key, u64)>) -> Self {
        let mut growth = Self::default();
        for (key, bytes) in keys {
            growth.count(key, None, |_| false, bytes);
        }
        growth
    }

    /// Counts a key of which some entries go and some bytes come.
    fn count(&mut self, key: &Key, held: Option<&LiveSet>, goes: impl Fn(&DataEntry) -> bool, comes: u64) {
        if held.is_none() && comes > 0 {
            self.keys += 1;
            self.more += key.len() as u64;
        }
        self.more += comes;
        let held = held.map_or(&[][..], LiveSet::entries).iter();
        self.less += held.filter(|entry| goes(entry)).map(DataEntry::bytes).sum::<u64>();
    }
}

/// Whether the sender of `delta`, which lists `set` for the entry's key, has seen the entry go.
fn superseded(delta: &Delta, set: &[Listed], entry: &DataEntry) -> bool {
    let gone = delta.to.contains(entry.dot) && !set.iter().any(|listed| listed.dot() == entry.dot);
    gone && !off(Mutant::Clause1) && !off(Mutant::Clause1Listed)
}

/// The entries of `set` that whoever stands at `vector`, and has `held` of their key, has not seen.
fn unseen<'a>(
    vector: &VersionVector,
    set: &'a [Listed],
    held: Option<&LiveSet>,
) -> impl Iterator<Item = &'a DataEntry> {
    let back = move |entry: &DataEntry| off(Mutant::Clause2) && !held.is_some_and(|held| held.has(entry.dot));
    set.iter().filter_map(move |listed| match listed {
        Listed::Entry(entry) if !vector.contains(entry.dot) || back(entry) => Some(entry),
        Listed::Entry(_) | Listed::Known(_) => None,
    })
}

/// A live set as a delta since `from` lists it: what the receiver knows as bare dots.
fn list(set: &LiveSet, from: &VersionVector) -> Vec<Listed> {
    let entry = |entry: &DataEntry| match from.contains(entry.dot) {
        true => Listed::Known(entry.dot),
        false => Listed::Entry(entry.clone()),
    };
    set.entries().iter().map(entry).collect()
}
