//! Keys with their live sets as a delta lists them, in parts that are never moved: a table adopts the memory into which they
//! were decoded.
//!
//! Invariant: no part is empty, and none has more than [`PART`] keys. The extent counts
//! every key that was put in. Ascending keys are the caller's duty; the decoder of a delta checks it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::iter::Flatten;

use crate::store::delta::{Bare, Listed, ListedSet};
use crate::store::entry::piece::Block;
use crate::store::entry::{DataEntry, ENTRY_OVERHEAD, Key};
use crate::store::keys::Bundle;
use crate::store::part::{Member, Part};
use crate::store::space::Growth;

/// A key with its live set.
pub(crate) type Pair = (Key, ListedSet);

impl Member for Pair {
    fn of(key: Key, entry: DataEntry, known: Option<Bare>) -> Self {
        (key, ListedSet::of_one(entry, known))
    }

    fn key(&self) -> &Key {
        &self.0
    }
}

/// The most keys of a part, and of a block of a table.
pub(crate) const PART: usize = 256;

/// The keys of a delta, ascending, each with its full live set.
#[derive(Clone, Default)]
pub struct Keys {
    parts: Vec<Part<Pair>>,
    extent: Extent,
}

/// What the limits ask of keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    /// How many they are.
    len: usize,
    /// Keys without a full entry, which make no store grow.
    bare: usize,
    /// Bytes of keys with full entries, and of these.
    bytes: u64,
    /// Bytes that the others take in a message, and entries of which the dot comes alone.
    others: u64,
    /// What of that is for such dots, which bring no text.
    dots: u64,
    /// Bytes of those that came with them and were replaced: their text goes with the blocks that it is in.
    gone: u64,
    /// The longest key and the longest value.
    pub(crate) key: usize,
    pub(crate) value: usize,
    /// Whether one of them is empty.
    pub(crate) nameless: bool,
}

impl Extent {
    const NONE: Self =
        Self { len: 0, bare: 0, bytes: 0, others: 0, dots: 0, gone: 0, key: 0, value: 0, nameless: false };

    #[inline(always)]
    fn count(&mut self, key: &Key, set: &ListedSet) {
        self.len += 1;
        self.key = self.key.max(key.len());
        self.nameless |= key.is_empty();
        match set.only() {
            Some(entry) => self.come(key, entry.content.len(), entry.bytes()),
            None => self.count_several(key, set),
        }
    }

    #[inline(always)]
    fn come(&mut self, key: &Key, value: usize, bytes: u64) {
        self.value = self.value.max(value);
        self.bytes += key.len() as u64 + bytes;
    }

    #[inline(never)]
    fn count_several(&mut self, key: &Key, set: &ListedSet) {
        let full = set.iter().filter_map(Listed::full);
        let (longest, bytes) =
            full.fold((0, 0), |(longest, bytes), entry| (entry.content.len().max(longest), entry.bytes() + bytes));
        // A key without entries takes room as well.
        let all = set.iter().map(Listed::bytes).sum::<u64>().max(ENTRY_OVERHEAD);
        self.others += all - bytes;
        self.dots += all - bytes;
        if bytes > 0 {
            self.come(key, longest, bytes);
        } else {
            self.bare += 1;
            self.others += key.len() as u64;
        }
    }

    fn join(&mut self, other: &Self) {
        self.len += other.len;
        self.bare += other.bare;
        self.bytes += other.bytes;
        self.others += other.others;
        self.dots += other.dots;
        self.gone += other.gone;
        self.key = self.key.max(other.key);
        self.value = self.value.max(other.value);
        self.nameless |= other.nameless;
    }

    /// The most that they can make a store grow by, and what one has that holds nothing else.
    pub(crate) const fn growth(&self) -> Growth {
        Growth { keys: (self.len - self.bare) as u64, more: self.bytes, less: 0 }
    }
}

/// About how many bytes so many keys take written that weigh so much: beside key and value an entry takes a fourth of what the
/// limits count for it, and what keys share makes up for more.
pub(crate) const fn room(keys: usize, weight: u64) -> usize {
    weight.saturating_sub(keys as u64 * ENTRY_OVERHEAD * 3 / 4) as usize
}

impl Keys {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { parts: Vec::new(), extent: Extent::NONE }
    }

    /// How many they are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.extent.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes they take in a message, as the limits count them.
    pub(crate) const fn weight(&self) -> u64 {
        self.extent.bytes + self.extent.others
    }

    /// How many bytes came, as the limits count them: they, and what they have replaced.
    pub(crate) const fn came(&self) -> u64 {
        self.weight() + self.extent.gone
    }

    /// How many of these bytes may be of texts.
    pub(crate) const fn came_as_text(&self) -> u64 {
        self.came() - self.extent.dots
    }

    /// Takes note that they are what is left of so many bytes that came.
    pub(crate) const fn note_came(&mut self, bytes: u64) {
        self.extent.gone = bytes.saturating_sub(self.weight());
    }

    /// About how many bytes they take written.
    pub(crate) const fn room(&self) -> usize {
        room(self.len(), self.weight())
    }

    /// What the limits ask of them.
    pub(crate) const fn extent(&self) -> &Extent {
        &self.extent
    }

    /// Puts one behind all others. `more`: about how many will follow it.
    #[inline(never)]
    pub(crate) fn put(&mut self, key: Key, set: ListedSet, more: usize) {
        self.extent.count(&key, &set);
        if let Some(part) = self.part_with_room(more) {
            part.push((key, set));
        }
    }

    /// The last part, if there is room in it, or a new one.
    #[inline(always)]
    fn part_with_room(&mut self, more: usize) -> Option<&mut Vec<Pair>> {
        if self.room_in_part() == 0 {
            self.begin_part(more);
        }
        self.parts.last_mut().and_then(Part::list_mut)
    }

    /// Puts those of a bundle behind all others, as a part of its own; [`Keys::count_run`] counts them.
    pub(crate) fn put_bundle(&mut self, bundle: Bundle) {
        self.fit();
        self.parts.push(Part::bundled(bundle));
    }

    /// Puts so many behind all others, which [`Keys::count_run`] counts. `more`: about how many will follow them.
    #[inline(always)]
    pub(crate) fn put_run(&mut self, mut pairs: impl Iterator<Item = Pair>, keys: usize, more: usize) {
        let mut left = keys;
        while left > 0 {
            let Some(part) = self.part_with_room(left + more) else { return };
            let some = left.min(PART - part.len());
            part.extend(pairs.by_ref().take(some));
            left -= some;
        }
    }

    /// Counts so many with one entry each: the bytes of all, and of the longest key and value. `known`: a bare dot stands beside each.
    pub(crate) fn count_run(&mut self, keys: usize, bytes: usize, [key, value]: [usize; 2], known: bool) {
        let dots = if known { keys as u64 * ENTRY_OVERHEAD } else { 0 };
        (self.extent.others, self.extent.dots) = (self.extent.others + dots, self.extent.dots + dots);
        self.extent.len += keys;
        self.extent.bytes += bytes as u64 + keys as u64 * ENTRY_OVERHEAD;
        (self.extent.key, self.extent.value) = (self.extent.key.max(key), self.extent.value.max(value));
    }

    #[inline(never)]
    fn begin_part(&mut self, more: usize) {
        // Where one part is full there are many.
        let room = if self.parts.is_empty() { more + 1 } else { PART };
        self.parts.push(Part::List(Vec::with_capacity(PART.min(room))));
    }

    /// Puts others behind these.
    pub(crate) fn append(&mut self, mut others: Self) {
        self.extent.join(&others.extent);
        self.parts.append(&mut others.parts);
    }

    /// How many more there is room for in the last part.
    fn room_in_part(&self) -> usize {
        match self.parts.last() {
            Some(Part::List(last)) => PART.saturating_sub(last.len()),
            Some(Part::Lazy(_)) | None => 0,
        }
    }

    /// Whether so many more are of one part.
    pub(crate) fn are_of_one_part(&self, keys: usize) -> bool {
        let room = self.room_in_part();
        keys <= if room > 0 { room } else { PART }
    }

    /// Whether the next one begins a part.
    pub(crate) fn is_part_full(&self) -> bool {
        !self.parts.is_empty() && self.room_in_part() == 0
    }

    /// Tells those from the one of this number on, which are of the last part, the block that their texts are pieces of.
    pub(crate) fn settle(&mut self, from: usize, block: &Arc<Block>) {
        let new = self.len() - from;
        let Some(part) = self.parts.last_mut().filter(|_| new > 0).and_then(Part::list_mut) else { return };
        let from = part.len().saturating_sub(new);
        for (key, set) in part.iter_mut().skip(from) {
            key.piece.settle(block);
            let pieces = set.entries_mut().filter_map(|entry| entry.content.piece_mut());
            pieces.for_each(|piece| piece.settle(block));
        }
    }

    /// Lets go of room that nothing is put in any more.
    pub(crate) fn fit(&mut self) {
        if let Some(Part::List(last)) = self.parts.last_mut() {
            last.shrink_to_fit();
        }
    }

    /// Those with full entries. Others would keep room in the parts that nothing counts; of what is told since nothing no honest
    /// replica names any.
    pub(crate) fn with_entries(self) -> Self {
        if self.extent.bare == 0 {
            return self;
        }
        let full = |(_, set): &Pair| set.iter().any(|listed| listed.full().is_some());
        let mut keys: Self = self.into_iter().filter(full).collect();
        keys.fit();
        keys
    }

    /// The parts, to be taken over.
    pub(crate) fn into_parts(self) -> Vec<Part<Pair>> {
        self.parts
    }

    /// The sets, to be changed as nothing changes that is told of all.
    pub(crate) fn sets_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut ListedSet> {
        self.parts.iter_mut().filter_map(Part::list_mut).flatten().map(|(_, set)| set)
    }

    /// Each of them, in order.
    pub fn iter(&self) -> Flatten<core::slice::Iter<'_, Part<Pair>>> {
        self.parts.iter().flatten()
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<&Pair> {
        self.parts.last()?.list().last()
    }

    /// The first key.
    pub(crate) fn first_key(&self) -> Option<&str> {
        self.parts.first()?.first_key()
    }

    /// The last key.
    pub(crate) fn last_key(&self) -> Option<&str> {
        self.parts.last()?.last_key()
    }

    /// Whether a key is among them.
    pub(crate) fn lists(&self, key: &Key) -> bool {
        let at = self.parts.partition_point(|part| part.last_key().is_some_and(|last| *last < **key));
        self.parts.get(at).is_some_and(|part| part.list().binary_search_by(|(known, _)| known.cmp(key)).is_ok())
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Keys {}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl Extend<Pair> for Keys {
    fn extend<I: IntoIterator<Item = Pair>>(&mut self, pairs: I) {
        let mut pairs = pairs.into_iter();
        while let Some((key, set)) = pairs.next() {
            self.put(key, set, pairs.size_hint().0);
        }
    }
}

impl FromIterator<Pair> for Keys {
    fn from_iter<I: IntoIterator<Item = Pair>>(pairs: I) -> Self {
        let mut keys = Self::new();
        keys.extend(pairs);
        keys
    }
}

impl From<Vec<Pair>> for Keys {
    fn from(pairs: Vec<Pair>) -> Self {
        pairs.into_iter().collect()
    }
}

impl IntoIterator for Keys {
    type Item = Pair;
    type IntoIter = Flatten<alloc::vec::IntoIter<Part<Pair>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.parts.into_iter().flatten()
    }
}

impl<'a> IntoIterator for &'a Keys {
    type Item = &'a Pair;
    type IntoIter = Flatten<core::slice::Iter<'a, Part<Pair>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::format;

    use super::*;
    use crate::id::{Dot, ReplicaId};
    use crate::store::entry::{Content, DataEntry};
    use crate::time::Hlc;

    /// Keys of so many numbers, with one entry each; every seventh has a bare dot beside it, every eleventh nothing but that.
    fn keys(numbers: core::ops::Range<u64>) -> Option<Keys> {
        let (one, other) = (ReplicaId::new("a", [0; 10]).ok()?, ReplicaId::new("b", [0; 10]).ok()?);
        let set = |n: u64| {
            let text = Content::Text(format!("{:.<1$}", n, n as usize % 40).into());
            let entry = Listed::Entry(DataEntry::new(text, Dot::new(one, n + 1), Hlc::new(n, 0), None, None));
            let known = Listed::Known(Dot::new(other, n + 1).into());
            let (bare, both) = (n.is_multiple_of(11), n.is_multiple_of(7));
            let listed = [Some(entry).filter(|_| !bare), Some(known).filter(|_| bare || both)];
            listed.into_iter().flatten().collect::<ListedSet>()
        };
        Some(numbers.map(|n| (format!("{n:05}").into(), set(n))).collect())
    }

    #[test]
    fn what_is_told_of_all_is_what_each_has() {
        let Some(mut all) = keys(0..300) else { return };
        keys(300..1_000).into_iter().for_each(|others| all.append(others));
        let (mut growth, mut weight, mut longest) = (Growth::default(), 0, 0);
        for (key, set) in &all {
            let bytes: u64 = set.iter().filter_map(Listed::full).map(DataEntry::bytes).sum();
            if bytes > 0 {
                growth.keys += 1;
                growth.more += key.len() as u64 + bytes;
            }
            weight += key.len() as u64 + set.iter().map(Listed::bytes).sum::<u64>().max(ENTRY_OVERHEAD);
            longest = longest.max(set.iter().filter_map(Listed::content).map(Content::len).max().unwrap_or(0));
        }
        assert_eq!((all.extent().growth(), all.weight()), (growth, weight));
        assert_eq!((all.extent().key, all.extent().value, all.extent().nameless), (5, longest, false));
        all.put(Key::default(), Vec::new().into(), 0);
        assert!(all.extent().nameless);
        assert_eq!(all.weight(), weight + ENTRY_OVERHEAD, "a key without entries takes room as well");
    }

    #[test]
    fn what_has_no_full_entry_keeps_no_room() {
        let Some(all) = keys(0..3_000) else { return };
        let bare = Some((0..300).map(|n| (format!("{n:05}a").into(), Vec::new().into())).collect::<Keys>());
        for all in [Some(all), bare].into_iter().flatten() {
            let full = |set: &ListedSet| set.iter().any(|listed| listed.full().is_some());
            let expected = all.iter().filter(|(_, set)| full(set)).cloned().collect::<Vec<_>>();
            let left = all.with_entries();
            assert!(left.iter().eq(&expected));
            let len = left.len();
            assert_eq!(len, expected.len());
            let room = left.parts.into_iter().map(|part| part.into_list().capacity()).sum::<usize>();
            assert!(room <= len + PART, "{room} for {len}");
        }
    }

    #[test]
    fn a_key_is_found_in_whichever_part_it_is() {
        let Some(mut all) = keys(0..300) else { return };
        keys(300..1_000).into_iter().for_each(|others| all.append(others));
        assert_eq!((all.len(), all.iter().count()), (1_000, 1_000));
        assert!(all.parts.iter().all(|part| (1..=PART).contains(&part.len())));
        assert!((0..1_000).all(|n| all.lists(&format!("{n:05}").into())));
        assert!(["", "0", "00000a", "00299a", "01000"].iter().all(|absent| !all.lists(&Key::from(*absent))));
        let ascend = |pairs: &[&Pair]| matches!(pairs, [(one, _), (other, _)] if one < other);
        assert!(all.iter().collect::<Vec<_>>().windows(2).all(ascend));
        // Equal whatever the parts are.
        assert_eq!(Some(all), keys(0..1_000));
    }
}
