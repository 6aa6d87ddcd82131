//! The hash table of a space: an open-addressing array of (hash, slot) cells, ordered by hash and probed linearly.
//!
//! Invariants:
//!
//! * A slot lies at the cell of its hash, or behind it if all cells between are taken.
//! * Cells are never removed, and some are always free.
//!
//! So a look-up touches one or two cache lines, which are also where an insertion goes. To grow, the table moves all cells
//! in order, from the first to the last.

use alloc::vec;
use alloc::vec::Vec;

use crate::store::slots::Slot;

const FEWEST: usize = 4;
/// The load limit, `TAKEN` of `OF` cells: above it, unsuccessful look-ups probe far.
const TAKEN: usize = 13;
const OF: usize = 16;

/// Where a slot may be inserted, until the next insertion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    hash: u32,
    at: usize,
    of: usize,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// The hash in the upper half, the slot plus one in the lower; 0 if free. Their number is a power of two, or zero.
    cells: Vec<u64>,
    len: usize,
}

impl Place {
    /// No known cell: the insertion looks for the one of this hash.
    pub(crate) const fn none(hash: u32) -> Self {
        Self { hash, at: usize::MAX, of: usize::MAX }
    }
}

impl Places {
    /// The number of slots.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The first cell to probe: the upper bits of the hash, so that cells are ordered by hash.
    #[inline(always)]
    const fn first(&self, hash: u32) -> usize {
        ((hash as u64 * self.cells.len() as u64) >> 32) as usize
    }

    /// Prefetches the first cells of several hashes, so that their cache misses overlap.
    #[inline]
    pub(crate) fn touch(&self, hashes: &[u32]) {
        let cell = |hash: &u32| self.cells.get(self.first(*hash)).copied().unwrap_or_default();
        core::hint::black_box(hashes.iter().fold(0, |touched, hash| touched | cell(hash)));
    }

    /// The slot with this hash for which `is` is true, or where to insert it.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u32, is: impl Fn(Slot) -> bool) -> Result<Slot, Place> {
        let (mask, mut at) = (self.cells.len().wrapping_sub(1), self.first(hash));
        while let Some(cell) = self.cells.get(at & mask).copied().filter(|cell| *cell != 0) {
            if (cell >> 32) as u32 == hash && is(cell as Slot - 1) {
                return Ok(cell as Slot - 1);
            }
            at += 1;
        }
        Err(Place { hash, at: at & mask, of: self.len })
    }

    /// Inserts a slot where the look-up missed it.
    #[inline]
    pub(crate) fn insert_at(&mut self, Place { hash, at, of }: Place, slot: Slot) {
        let cell = u64::from(hash) << 32 | u64::from(slot + 1);
        let full = OF * (self.len + 1) > TAKEN * self.cells.len();
        match self.cells.get_mut(at) {
            Some(place) if !full && of == self.len => *place = cell,
            _ => {
                self.reserve(self.len + 1);
                self.put(cell);
            }
        }
        self.len += 1;
    }

    /// Inserts consecutive slots that are not in the table, beginning with the first.
    pub(crate) fn insert_all(&mut self, hashes: &[u32], first: Slot) {
        self.reserve(self.len + hashes.len());
        self.touch(hashes);
        for (hash, slot) in hashes.iter().zip(first..) {
            self.put(u64::from(*hash) << 32 | u64::from(slot + 1));
        }
        self.len += hashes.len();
    }

    #[inline(always)]
    fn put(&mut self, cell: u64) {
        let (mask, mut at) = (self.cells.len().wrapping_sub(1), self.first((cell >> 32) as u32));
        while let Some(place) = self.cells.get_mut(at & mask) {
            if *place == 0 {
                *place = cell;
                return;
            }
            at += 1;
        }
    }

    /// Grows to room for this many slots in all.
    #[inline(never)]
    pub(crate) fn reserve(&mut self, slots: usize) {
        let cells = (slots * OF).div_ceil(TAKEN).next_power_of_two().max(FEWEST);
        if cells > self.cells.len() {
            let old = core::mem::replace(&mut self.cells, vec![0; cells]);
            old.into_iter().filter(|cell| *cell != 0).for_each(|cell| self.put(cell));
        }
    }
}

/// The hash of a key: words folded by multiplication, as in wyhash (Wang Yi, 2019). Of each product it keeps only the cross
/// terms of the halves, as foldhash does without a wide multiplication, which wasm would compile to a call.
#[inline]
pub(crate) fn hash(seed: u64, key: &[u8]) -> u32 {
    let fold = |state: u64, by: u64| {
        let half = |number: u64| number & u64::from(u32::MAX);
        half(state).wrapping_mul(by >> 32) ^ (state >> 32).wrapping_mul(half(by)).rotate_right(32)
    };
    let (words, rest) = key.as_chunks::<8>();
    let mut state = seed ^ key.len() as u64;
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), 0xa076_1d64_78bd_642f);
    }
    // The number of the remaining bytes goes above them: otherwise the words and the length of another key could cancel out.
    let last = rest.iter().fold(rest.len() as u64, |last, byte| last << 8 | u64::from(*byte));
    let state = fold(state ^ last, 0xe703_7ed1_a0b4_28db ^ seed);
    (state ^ (state >> 32)) as u32
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn insert(places: &mut Places, hash: u32, slot: Slot) {
        if let Err(place) = places.find(hash, |_| false) {
            places.insert_at(place, slot);
        }
    }

    proptest! {
        /// Few hashes, at the ends of what there is: many slots of one hash, and places that go on from the last to the first.
        #[test]
        fn what_was_put_is_found(
            hashes in prop::collection::vec(prop_oneof![0..4_u32, (u32::MAX - 3)..=u32::MAX, any::<u32>()], 0..300),
            room in prop_oneof![Just(0_usize), 0..400_usize],
            other in any::<u32>(),
            stale in any::<bool>(),
        ) {
            let mut places = Places::default();
            prop_assert!(places.find(other, |_| true).is_err());
            if room > 0 {
                places.reserve(room);
                let cells = places.cells.len();
                (0..room as u32).for_each(|slot| insert(&mut places, slot, slot));
                prop_assert_eq!(places.cells.len(), cells, "room for all");
                places = Places::default();
            }
            // Many at once, behind some that came one by one.
            let (one, many) = hashes.split_at(room.min(hashes.len()));
            let mut all = Places::default();
            one.iter().enumerate().for_each(|(slot, hash)| insert(&mut all, *hash, slot as u32));
            all.insert_all(many, one.len() as u32);
            prop_assert_eq!(all.len, hashes.len());
            for (slot, hash) in hashes.iter().enumerate() {
                prop_assert_eq!(all.find(*hash, |found| found == slot as u32).ok(), Some(slot as u32));
            }
            for (slot, hash) in hashes.iter().enumerate() {
                let Err(place) = places.find(*hash, |found| found == slot as u32) else { panic!("it was never put") };
                if stale {
                    insert(&mut places, *hash, 1_000 + slot as u32);
                }
                places.insert_at(place, slot as u32);
                prop_assert_eq!(places.len, (slot + 1) * if stale { 2 } else { 1 });
                prop_assert!(places.cells.iter().filter(|cell| **cell == 0).count() > 0, "somewhere it ends");
            }
            for (slot, hash) in hashes.iter().enumerate() {
                prop_assert_eq!(places.find(*hash, |found| found == slot as u32).ok(), Some(slot as u32));
            }
            let all: Vec<_> = hashes.iter().enumerate().filter(|(_, hash)| **hash == other).map(|(slot, _)| slot as u32).collect();
            prop_assert_eq!(places.find(other, |_| true).is_ok(), !all.is_empty());
        }
    }
    /// Who knows how keys are hashed, and not the seed, finds none that have one hash whatever the seed is: not by zeros that a
    /// length makes up for, either.
    #[test]
    fn no_keys_have_one_hash_whatever_the_seed() {
        for words in ["", "abcdefgh", "abcdefghijklmnop"] {
            let key = |zeros: usize| {
                let mut key = alloc::vec![0; zeros];
                key.push(b'x');
                let mut key = [words.as_bytes(), &key].concat();
                // What is hashed first is changed as the lengths differ.
                let (first, other) = (words.len() + 1, key.len());
                let at = if words.is_empty() { other - 1 } else { 0 };
                key[at] ^= (first ^ other) as u8;
                key
            };
            for seed in [0, 1, 0x1234_5678, 0x9e37_79b9_7f4a_7c15] {
                let hashes: BTreeMap<_, _> = (0..7).map(|zeros| (hash(seed, &key(zeros)), zeros)).collect();
                assert_eq!(hashes.len(), 7, "{words:?} {seed}");
            }
        }
    }

    /// Keys that differ little, as those of an application do, stand apart whatever the seed is.
    #[test]
    fn who_looks_for_what_is_not_there_does_not_go_far() {
        for seed in [0, 1, u64::MAX, 0x1234_5678, 0x9e37_79b9_7f4a_7c15] {
            for name in [
                |at: u32| format!("key:{at:012}"),
                |at: u32| format!("{at}"),
                |at: u32| format!("{at:x}/a longer name of something"),
            ] {
                let mut hashes: Vec<_> = (0..50_000).map(|at| hash(seed, name(at).as_bytes())).collect();
                hashes.sort_unstable();
                hashes.dedup();
                assert!(hashes.len() > 49_980, "{seed} {}", hashes.len());
                // As many in each sixteenth, and in each part that lower bits tell.
                for shift in [28, 16, 0] {
                    let mut counts = [0_usize; 16];
                    hashes.iter().for_each(|hash| counts[(hash >> shift & 15) as usize] += 1);
                    assert!(counts.iter().all(|count| (2_800..3_500).contains(count)), "{seed} {counts:?}");
                }
            }
        }
    }
}
