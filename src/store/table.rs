//! The keys of a space and their live sets: found by a hash, walked in order.
//!
//! Invariants: a key has one *slot*, a small number, from its first entry on, and keeps it when its set becomes empty, which
//! shows nowhere; so whoever has a slot finds its key without comparing any. Finding and adding cost O(1). What is held, and
//! in which order it is told, does not depend on the hash.

use alloc::vec::Vec;
use core::ops::Bound;

use hashbrown::HashTable;

use crate::id::Dot;
use crate::store::entry::{Key, LiveSet};
use crate::store::order::{Order, Walk};

/// The place of a key in its table.
pub(crate) type Slot = u32;

/// Slots come in blocks: a table that grows copies none of them, and has at most a block to spare.
const BLOCK: usize = 256;

#[derive(Clone, Debug)]
struct Held {
    key: Key,
    set: LiveSet,
}

impl Held {
    /// What the limits count.
    fn bytes(&self) -> u64 {
        if self.set.is_empty() { 0 } else { self.set.bytes() + self.key.len() as u64 }
    }
}

/// What stands in the slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    blocks: Vec<Vec<Held>>,
}

impl Slots {
    fn held(&self, slot: Slot) -> Option<&Held> {
        self.blocks.get(slot as usize / BLOCK)?.get(slot as usize % BLOCK)
    }

    /// The key of a slot.
    pub(crate) fn key(&self, slot: Slot) -> Option<&Key> {
        Some(&self.held(slot)?.key)
    }

    /// The key of a slot and its live set, if it has entries.
    pub(crate) fn at(&self, slot: Slot) -> Option<(&Key, &LiveSet)> {
        self.held(slot).filter(|held| !held.set.is_empty()).map(|held| (&held.key, &held.set))
    }

    /// The slot that the next key gets.
    pub(crate) fn next(&self) -> Slot {
        let full = self.blocks.len().saturating_sub(1) * BLOCK;
        (full + self.blocks.last().map_or(0, Vec::len)) as Slot
    }

    fn push(&mut self, held: Held) -> Slot {
        let slot = self.next();
        match self.blocks.last_mut().filter(|block| block.len() < BLOCK) {
            Some(block) => block.push(held),
            None => {
                // The first block grows as it must: most spaces of a fleet are small.
                let mut block = Vec::with_capacity(if slot == 0 { 1 } else { BLOCK });
                block.push(held);
                self.blocks.push(block);
            }
        }
        slot
    }
}

/// Where a key with this hash may be.
#[derive(Clone, Copy, Debug)]
struct Place {
    slot: Slot,
    hash: u32,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    seed: u64,
    slots: Slots,
    places: HashTable<Place>,
    order: Order,
    len: usize,
    bytes: u64,
}

impl Table {
    /// An empty table. Who does not know the seed cannot choose keys that are slow to find.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// An empty table of the same seed.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.seed)
    }

    /// How many keys have entries.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of keys and values, with the overhead that the limits count.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether most slots have no entries any more.
    pub(crate) fn is_hollow(&self) -> bool {
        self.places.len() > 2 * self.len + 64
    }

    /// What stands in the slots.
    pub(crate) const fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Whether the key of a slot has an entry of this dot.
    pub(crate) fn has(&self, slot: Slot, dot: Dot) -> bool {
        self.slots.held(slot).is_some_and(|held| held.set.has(dot))
    }

    /// The live set of a key, if it has entries.
    pub(crate) fn live(&self, key: &str) -> Option<&LiveSet> {
        Some(self.slots.at(self.find(key, hash(self.seed, key))?)?.1)
    }

    /// The slot of a key, if it has one.
    pub(crate) fn place(&self, key: &str) -> Option<Slot> {
        self.find(key, hash(self.seed, key))
    }

    fn find(&self, key: &str, hash: u32) -> Option<Slot> {
        let is = |place: &Place| place.hash == hash && self.slots.key(place.slot).is_some_and(|held| held.is(key));
        self.places.find(spread(hash), is).map(|place| place.slot)
    }

    /// The slot of a key, which gets one if it had none.
    pub(crate) fn slot(&mut self, key: &Key) -> Slot {
        let hash = hash(self.seed, key);
        let known = self.find(key, hash);
        known.unwrap_or_else(|| self.add(Held { key: key.clone(), set: LiveSet::default() }, hash))
    }

    /// Adds a key that has no slot yet, with its live set.
    pub(crate) fn append(&mut self, key: Key, set: LiveSet) -> Slot {
        let (hash, held) = (hash(self.seed, &key), Held { key, set });
        self.bytes += held.bytes();
        self.len += usize::from(!held.set.is_empty());
        self.add(held, hash)
    }

    fn add(&mut self, held: Held, hash: u32) -> Slot {
        let slot = self.slots.push(held);
        self.places.insert_unique(spread(hash), Place { slot, hash }, |place| spread(place.hash));
        self.order.add(slot, &self.slots);
        slot
    }

    /// Makes room for so many more keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.places.reserve(keys, |place| spread(place.hash));
    }

    /// Changes the live set of a slot, and counts what becomes of it.
    pub(crate) fn change<T>(&mut self, slot: Slot, change: impl FnOnce(&mut LiveSet) -> T) -> Option<T> {
        let held = self.slots.blocks.get_mut(slot as usize / BLOCK)?.get_mut(slot as usize % BLOCK)?;
        self.bytes -= held.bytes();
        self.len -= usize::from(!held.set.is_empty());
        let changed = change(&mut held.set);
        self.bytes += held.bytes();
        self.len += usize::from(!held.set.is_empty());
        Some(changed)
    }

    /// The keys with entries between two bounds, in order.
    pub(crate) fn walk(&self, lower: Bound<&str>, upper: Bound<&str>) -> Walk<'_> {
        Walk::new(&self.slots, self.order.runs(&self.slots), lower, upper)
    }
}

/// A hash of a key: words folded by multiplication, as wyhash does (Wang Yi, 2019).
fn hash(seed: u64, key: &str) -> u32 {
    let fold = |state: u64, by: u64| {
        let product = u128::from(state) * u128::from(by);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let (words, rest) = key.as_bytes().as_chunks::<8>();
    let mut state = seed ^ key.len() as u64;
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), 0xa076_1d64_78bd_642f);
    }
    let last = rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte));
    let state = fold(state ^ last, 0xe703_7ed1_a0b4_28db ^ seed);
    (state ^ (state >> 32)) as u32
}

/// The hash as the table wants it: one part of it chooses a group, another tells its members apart. Where words have 32 bits
/// it looks at the lower half alone.
const fn spread(hash: u32) -> u64 {
    (hash as u64) << 32 | hash as u64
}
