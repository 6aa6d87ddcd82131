//! One space of a replica: its keys, its vector, and the one way in which it changes.
//!
//! Invariants I1–I4 of the architecture page hold here: the vector names exactly the writes that are held, without holes, and
//! every change (a local write, a peer's delta, a journal record) is one atomic step. The space knows vectors, not sessions.

mod merge;
mod stretches;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Included, Unbounded};
use core::ops::Range;

use litemap::LiteMap;

use self::merge::{Merging, is_unseen, superseded};
use crate::error::{ErrorCode, SessionError};
use crate::id::{Dot, ReplicaId, Space};
use crate::mutant::{Mutant, off};
use crate::store::delta::{Bare, Delta, Keys, Lacks, Listed, ListedSet};
use crate::store::entry::{DataEntry, ENTRY_OVERHEAD, Key, LiveSet};
use crate::store::index::Index;
use crate::store::keys::Bundle;
use crate::store::order::{Walk, sort};
use crate::store::part::Row;
use crate::store::slots::{Held, Slot};
use crate::store::table::Table;
use crate::time::Hlc;
use crate::vector::{Near, VersionVector};

/// What a peer that is known lacks is mostly no more keys.
const FEW_TOUCHED: usize = 4;

/// The live sets of a space and the vector that they stand at.
#[derive(Clone, Debug, Default)]
pub struct SpaceState {
    vector: VersionVector,
    table: Table,
    index: Index,
    floor: VersionVector,
    retired: LiteMap<ReplicaId, u64>,
}

impl PartialEq for SpaceState {
    /// Whether both hold the same, however they came to it.
    fn eq(&self, other: &Self) -> bool {
        let rest = |state: &Self| (state.vector.clone(), state.floor.clone(), state.retired.clone(), state.bytes());
        rest(self) == rest(other) && self.iter().eq(other.iter())
    }
}

impl Eq for SpaceState {}

/// How a step changed one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed {
    /// The key.
    pub key: Key,
    /// Where an entry that this replica held has gained a sibling, or lost to one: how many entries the key has now.
    /// Otherwise 0.
    pub siblings: usize,
}

/// Which keys a step changed.
#[derive(Debug)]
pub struct Changes(Told);

#[derive(Debug)]
enum Told {
    Keys(Vec<Altered>),
    /// All that are held, for there were none: who wants them looks for them. None is in conflict.
    All,
}

/// Keys that a step changed: one, or all of a bundle, which then need no list of their own.
#[derive(Debug)]
enum Altered {
    One(Changed),
    Alike(Box<Bundle>, usize),
}

impl Changes {
    /// Those of a write: none is in conflict.
    pub(crate) fn of(keys: impl Iterator<Item = Key>) -> Self {
        Self(Told::Keys(keys.map(|key| Altered::One(Changed { key, siblings: 0 })).collect()))
    }

    /// Whether all that are held have changed, for there were none.
    pub(crate) const fn are_all(&self) -> bool {
        matches!(self.0, Told::All)
    }

    /// How many they are, in a space that has changed so.
    pub(crate) fn len(&self, state: Option<&SpaceState>) -> usize {
        match &self.0 {
            Told::Keys(keys) => {
                keys.iter().map(|keys| if let Altered::Alike(bundle, _) = keys { bundle.len() } else { 1 }).sum()
            }
            Told::All => state.map_or(0, SpaceState::len),
        }
    }

    /// Those whose number of siblings is asked for, in a space that has changed so.
    pub(crate) fn keys(self, state: Option<&SpaceState>, asked: &dyn Fn(usize) -> bool) -> Vec<Changed> {
        let mut keys = Vec::new();
        match self.0 {
            Told::Keys(altered) => {
                for altered in altered {
                    match altered {
                        Altered::One(changed) if asked(changed.siblings) => keys.push(changed),
                        Altered::Alike(bundle, siblings) if asked(siblings) => {
                            bundle.each(&mut |coming| keys.push(Changed { key: coming.key(), siblings }));
                        }
                        Altered::One(_) | Altered::Alike(..) => {}
                    }
                }
            }
            Told::All => {
                if let Some(state) = state.filter(|_| asked(0)) {
                    state.iter().for_each(|(key, _)| keys.push(Changed { key: key.clone(), siblings: 0 }));
                }
            }
        }
        keys
    }
}

/// A range of keys that are told together.
pub(crate) struct Stretch<'a> {
    /// The last one, if there is any.
    pub(crate) end: Option<&'a Key>,
    /// How many they are.
    pub(crate) keys: usize,
    /// About how many bytes they take.
    pub(crate) weight: u64,
    /// Whether others follow.
    pub(crate) more: bool,
    /// Where they lie in the order of keys, as long as no others come.
    pub(crate) lies: Range<usize>,
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
    /// An empty space. Who does not know the seed cannot choose keys that are slow to find.
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: Table::new(seed), ..Self::default() }
    }

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
        self.table.live(key)
    }

    /// The same of who looks at this key alone: then those that came with it are not made. And the slot of the key.
    pub(crate) fn look(&self, key: &str) -> Option<(Slot, Cow<'_, LiveSet>)> {
        self.table.one(key)
    }

    /// Every key with its live set, in the order of keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Key, &LiveSet)> {
        self.between_keys(None, None, 0..0)
    }

    /// The keys from `start` (included) to `end` (excluded), in their order.
    pub fn range<'a>(
        &'a self,
        start: Option<&'a str>,
        end: Option<&'a str>,
    ) -> impl DoubleEndedIterator<Item = (&'a Key, &'a LiveSet)> {
        self.table.walk((start.map_or(Unbounded, Included), end.map_or(Unbounded, Excluded)), 0..0)
    }

    /// What stands in a slot and in those beside it: what came together, mostly in the order of keys, and found without any order. See
    /// [`Table::beside`].
    pub(crate) fn beside(&self, slot: Slot, most: u32, each: &mut dyn FnMut(Slot, Row<'_>) -> bool) {
        self.table.beside(slot, most, each);
    }

    /// The number of keys, tombstones included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no key has an entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of keys and values, with the overhead that the limits count.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.table.bytes()
    }

    /// The last sequence in the retirement record of `replica`, if it was retired: nobody will ever hold more of it.
    #[must_use]
    pub fn retired(&self, replica: ReplicaId) -> Option<u64> {
        self.retired.get(&replica).copied()
    }

    /// Nothing but the retirement records, if there are any.
    pub(crate) fn emptied(&self) -> Option<Self> {
        (!self.retired.is_empty()).then(|| Self {
            retired: self.retired.clone(),
            table: self.table.emptied(),
            ..Self::default()
        })
    }

    /// Takes a retirement record: dots of `replica` above `last` are refused from now on.
    pub fn retire(&mut self, replica: ReplicaId, last: u64) {
        self.retired.entry(replica).or_insert(last);
    }

    /// To be called before a key is looked for; see [`Table::before_look`].
    pub(crate) fn before_look(&mut self) {
        self.table.before_look();
    }

    /// The hashes of keys that are about to be written.
    pub(crate) fn hashes<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) -> Vec<u32> {
        self.table.hashes(keys)
    }

    /// Supersedes all live entries of each key by its new entry, as one atomic write `dot`, the next of its replica. Of a
    /// key that comes twice the last entry counts. `hashes`: of these keys, by [`SpaceState::hashes`].
    pub(crate) fn write(&mut self, dot: Dot, hashes: &[u32], entries: impl IntoIterator<Item = (Key, DataEntry)>) {
        let (mut gone, first) = (0, self.table.slots().next());
        for ((key, entry), hash) in entries.into_iter().zip(hashes) {
            match self.table.seek_by(&key, *hash) {
                Ok(slot) => {
                    let index = &mut self.index;
                    self.table.change(slot, |held, set| {
                        gone += held.len() as u64 + set.bytes();
                        if !set.has(dot) {
                            set.entries().iter().for_each(|gone| index.remove(gone.dot()));
                            index.insert(dot, slot);
                        }
                        *set = LiveSet::of(entry);
                        *held = key;
                    });
                }
                Err(vacancy) => _ = self.table.push(vacancy, key, LiveSet::of(entry)),
            }
        }
        // Whatever came between them, the slots of new keys follow each other.
        let added = first..self.table.slots().next();
        if !added.is_empty() {
            self.index.note_run(dot, first, 0, added.end - first);
            self.table.arrange(added);
        }
        self.vector.advance(dot);
        self.tidy(gone);
    }

    /// Takes out of a key's live set what `goes` names, keeping the index.
    fn withdraw(&mut self, slot: Slot, goes: impl FnMut(&DataEntry) -> bool) {
        let index = &mut self.index;
        self.table.change(slot, |_, set| set.remove(goes, |entry| index.remove(entry.dot())));
    }

    /// Ends a step in which so many bytes may have gone, as the limits count them: the index is in order, and neither it nor the
    /// table holds much that is over.
    fn tidy(&mut self, gone: u64) {
        self.table.sweep(gone);
        self.index.tidy(&self.table);
        if !self.table.is_hollow() {
            return;
        }
        let (mut table, mut index) = (self.table.emptied(), Index::default());
        for (key, set) in self.iter() {
            set.entries().iter().for_each(|entry| index.insert(entry.dot(), table.slots().next()));
            table.follow(key.clone(), set.clone());
        }
        index.tidy(&table);
        (self.table, self.index) = (table, index);
        // Its blocks are others, and it does not know which of them have been looked at.
        self.table.sweep(u64::MAX);
    }

    /// Applies a delta in one atomic step, and tells which keys changed.
    ///
    /// # Errors
    /// `STALE_REPLICA` if this vector does not dominate `from`; `DEPENDENCY_LOST` if it holds dots of a retired
    /// replica above its last. State is unchanged.
    pub fn apply(&mut self, delta: Delta) -> Result<Changes, SessionError> {
        self.admit(&delta)?;
        if self.is_empty() && self.vector.is_empty() {
            return Ok(self.fill(delta));
        }
        let Delta { from, to, keys, .. } = delta;
        self.table.place_all();
        let came = keys.came_as_text();
        let all = self.table.bytes() + came;
        let before = self.vector.clone();
        let mut changed = Vec::new();
        // Clause 1, for keys that are not listed: what the sender saw go since `from` goes.
        let listed = |key: &Key| keys.lists(key);
        let mut gone = Vec::new();
        if !off(Mutant::Clause1) && !off(Mutant::Clause1Unlisted) {
            let unlisted = self.between(&from, &to).filter(|(_, key)| !listed(key));
            gone.extend(unlisted.filter_map(|(_, key)| self.table.place(key)));
        }
        sort(&mut gone, self.table.slots());
        for slot in gone {
            self.withdraw(slot, |entry| to.contains(entry.dot()) && !from.contains(entry.dot()));
            let key = self.table.slots().key(slot).cloned();
            changed.extend(key.map(|key| Altered::One(Changed { key, siblings: 0 })));
        }
        Merging::new(self, [&before, &to].map(Near::new)).take(keys, &mut changed);
        // Clause 3.
        if !off(Mutant::Clause3) {
            self.vector.join(&to);
        }
        // What came may hold more than is told of it: a look in a while costs next to nothing.
        self.tidy(all.saturating_sub(self.table.bytes()) + came / 64);
        Ok(Changes(Told::Keys(changed)))
    }

    /// [`SpaceState::apply`] where there is nothing yet: no key is looked for.
    fn fill(&mut self, delta: Delta) -> Changes {
        let came = delta.keys.came();
        let keys = delta.keys.with_entries();
        let mut table = self.table.emptied();
        table.adopt(keys, &mut self.index);
        self.table = table;
        if !off(Mutant::Clause3) {
            self.vector.join(&delta.to);
        }
        self.tidy(came.saturating_sub(self.table.bytes()));
        Changes(if self.is_empty() { Told::Keys(Vec::new()) } else { Told::All })
    }

    /// The entries whose dots lie between two vectors, by key.
    pub(crate) fn between<'a>(
        &'a self,
        from: &'a VersionVector,
        to: &'a VersionVector,
    ) -> impl Iterator<Item = (Dot, &'a Key)> {
        let slots = self.table.slots();
        self.index.between(from, to, &self.table).filter_map(|(dot, slot)| Some((dot, slots.key(slot)?)))
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
            growth.count(key, self.table.live(key), |_| true, bytes);
        }
        growth
    }

    /// What the counts would grow by if a delta that applies here were applied. What goes unlisted is not counted.
    pub(crate) fn growth_by_delta(&self, delta: &Delta) -> Growth {
        let mut growth = Growth::default();
        let (mut seen, mut sent) = (Near::new(&self.vector), Near::new(&delta.to));
        for (key, set) in &delta.keys {
            let held = self.table.live(key);
            let full = set.iter().filter_map(Listed::full);
            let bytes = full.filter(|entry| is_unseen(&mut seen, entry, held)).map(DataEntry::bytes).sum();
            growth.count(key, held, |entry| superseded(&mut sent, set, entry), bytes);
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
        if !base.is_empty() {
            return self.delta_of(self.index.since(base, &self.table).collect(), space, from, hlc);
        }
        let mut near = Near::new(from);
        let keys = self.iter().map(|(key, set)| (key.clone(), list(set, &mut near))).collect();
        Delta { space: space.clone(), from: from.clone(), to: self.vector.clone(), hlc, keys }
    }

    /// The delta since `from` and about how many bytes it takes, if they are fewer than `enough`.
    #[must_use]
    pub(crate) fn extract_below(
        &self,
        space: &Space,
        from: &VersionVector,
        hlc: Hlc,
        enough: u64,
    ) -> Option<(Delta, u64)> {
        // Each takes its overhead at least.
        if self.index.has_since(from, enough.div_ceil(ENTRY_OVERHEAD) as usize) {
            return None;
        }
        let slots = self.table.slots();
        let (mut touched, mut weight) = (Vec::with_capacity(FEW_TOUCHED), 0);
        for slot in self.index.since(from, &self.table) {
            let Some((key, set)) = slots.at(slot) else { continue };
            weight += key.len() as u64 + set.bytes();
            if weight >= enough {
                return None;
            }
            touched.push(slot);
        }
        Some((self.delta_of(touched, space, from, hlc), weight))
    }

    /// The delta since `from` of these slots' keys.
    fn delta_of(&self, mut touched: Vec<Slot>, space: &Space, from: &VersionVector, hlc: Hlc) -> Delta {
        let (mut near, slots) = (Near::new(from), self.table.slots());
        sort(&mut touched, slots);
        let one = |(key, set): (&Key, &LiveSet)| (key.clone(), list(set, &mut near));
        let keys = touched.into_iter().filter_map(|slot| slots.at(slot)).map(one).collect();
        Delta { space: space.clone(), from: from.clone(), to: self.vector.clone(), hlc, keys }
    }

    /// The keys after `after`, in order, that are touched by a dot not in `from`, until they weigh `budget` bytes (at
    /// least one); and whether there are more. By itself, to be looked at: a slice that is sent is never made, but written
    /// out of what is held.
    #[must_use]
    pub fn slice(&self, from: &VersionVector, after: Option<&str>, budget: u64) -> (Keys, bool) {
        let Stretch { end, keys, more, .. } = self.stretch(from, after, budget, 0);
        let (mut seen, mut near) = (Lacks::new(from), Near::new(from));
        let touched =
            self.between_keys(after, end.map(|end| &**end), 0..0).filter(|(_, set)| seen.lacks_of(set.entries()));
        (touched.take(keys).map(|(key, set)| (key.clone(), list(set, &mut near))).collect(), more)
    }

    /// How far [`SpaceState::slice`] goes. `guess`: where the first key may lie.
    pub(crate) fn stretch(&self, from: &VersionVector, after: Option<&str>, budget: u64, guess: usize) -> Stretch<'_> {
        let mut lacks = Lacks::new(from);
        let mut keys = self.between_keys(after, None, guess..guess);
        let mut stretch = Stretch { end: None, keys: 0, weight: 0, more: false, lies: keys.at()..keys.at() };
        while let Some(together) = keys.next_together() {
            let (mut left, mut at) = (together, keys.at().saturating_sub(together.len()));
            loop {
                let (some, weight) = lacks.light(left, budget.saturating_sub(stretch.weight));
                let (light, behind) = left.split_at_checked(some).unwrap_or_default();
                if let Some(Held { key, .. }) = light.last() {
                    at += some;
                    (stretch.end, stretch.lies.end) = (Some(key), at);
                    (stretch.keys, stretch.weight) = (stretch.keys + some, stretch.weight + weight);
                }
                let Some((Held { key, set }, behind)) = behind.split_first() else { break };
                (left, at) = (behind, at + 1);
                if !lacks.lacks_of(set.entries()) {
                    continue;
                }
                if stretch.weight >= budget && stretch.keys > 0 {
                    return Stretch { more: true, ..stretch };
                }
                stretch.weight += key.len() as u64 + set.bytes();
                stretch.keys += 1;
                (stretch.end, stretch.lies.end) = (Some(key), at);
            }
        }
        stretch
    }

    /// The keys after `after`, up to `end`, in order, which may lie where a [`Stretch`] says.
    pub(crate) fn between_keys(&self, after: Option<&str>, end: Option<&str>, guess: Range<usize>) -> Walk<'_> {
        self.table.walk((after.map_or(Unbounded, Excluded), end.map_or(Unbounded, Included)), guess)
    }
}

impl Growth {
    /// Counts a key of which some entries go and some bytes come.
    fn count(&mut self, key: &Key, held: Option<&LiveSet>, mut goes: impl FnMut(&DataEntry) -> bool, comes: u64) {
        if held.is_none() && comes > 0 {
            self.keys += 1;
            self.more += key.len() as u64;
        }
        self.more += comes;
        let held = held.map_or(&[][..], LiveSet::entries).iter();
        self.less += held.filter(|entry| goes(entry)).map(DataEntry::bytes).sum::<u64>();
    }
}

/// A live set as a delta since `from` lists it: what the receiver knows as bare dots, which come first.
fn list(set: &LiveSet, from: &mut Near<'_>) -> ListedSet {
    let mut known =
        |entry: &DataEntry| from.has(entry.origin(), entry.sequence()).then(|| Listed::Known(Bare::of(entry)));
    match set.entries() {
        [one] => ListedSet::of(known(one).unwrap_or_else(|| Listed::Entry(one.clone()))),
        several => {
            let mut listed = Vec::with_capacity(several.len());
            for first in [true, false] {
                let some = several.iter().filter_map(|entry| match known(entry) {
                    None if !first => Some(Listed::Entry(entry.clone())),
                    dot => dot.filter(|_| first),
                });
                listed.extend(some);
            }
            listed.into()
        }
    }
}
