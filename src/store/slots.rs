//! The slots of a table: each holds a key and its live set.
//!
//! Invariant: a key keeps its slot, and only the last block of slots grows.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use crate::store::delta::Bare;
use crate::store::ends::Ends;
use crate::store::entry::key::near_cmp;
use crate::store::entry::piece::{Gather, Piece};
use crate::store::entry::{Content, DataEntry, Key, LiveSet};
use crate::store::part::{Member, Part, Row};
use crate::store::parts::{PART, Pair};

/// The place of a key in its table.
pub(crate) type Slot = u32;

/// Slots come in blocks: a table that grows copies none of them, and has at most a block to spare. A block that was adopted may
/// have fewer; no key gets the slots that it lacks, unless it is the last one.
pub(crate) const BLOCK: usize = PART;

/// The contents of a slot; the set may be empty.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) key: Key,
    pub(crate) set: LiveSet,
}

impl Held {
    /// The bytes that the limits count.
    pub(crate) fn bytes(&self) -> u64 {
        if self.set.is_empty() { 0 } else { self.set.bytes() + self.key.len() as u64 }
    }

    /// What is told of it where it has one text that does not end.
    fn row(&self) -> Option<Row<'_>> {
        let entry = self.set.only().filter(|entry| entry.is_endless())?;
        let (json, text) = match &entry.content {
            Content::Text(text) => (false, text),
            Content::Json(text) => (true, text),
            Content::Tombstone | Content::Bytes(_) => return None,
        };
        let (key, value) = (self.key.piece.near_bytes(), text.piece.near_bytes());
        Some(Row { key, value, json, origin: entry.origin(), sequence: entry.sequence() })
    }

    fn pieces_mut(&mut self) -> impl Iterator<Item = &mut Piece> {
        core::iter::once(&mut self.key.piece).chain(self.set.pieces_mut())
    }
}

impl Member for Held {
    fn of(key: Key, entry: DataEntry, _: Option<Bare>) -> Self {
        Self { key, set: LiveSet::of(entry) }
    }

    fn key(&self) -> &Key {
        &self.key
    }
}

/// In place: the list of a delta becomes a block of slots without a copy.
const _: () = assert!(size_of::<Pair>() == size_of::<Held>());
/// In wasm: most of the memory of a store beside its texts.
const _: () = assert!(size_of::<usize>() > 4 || size_of::<Held>() == 40);

/// The slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    blocks: Vec<Part<Held>>,
    len: usize,
}

impl Slots {
    pub(crate) fn held(&self, slot: Slot) -> Option<&Held> {
        self.blocks.get(slot as usize / BLOCK)?.list().get(slot as usize % BLOCK)
    }

    /// The contents of a slot, and of those behind it in its block.
    pub(crate) fn behind(&self, slot: Slot) -> &[Held] {
        let block = self.blocks.get(slot as usize / BLOCK).map(|block| block.list().as_slice());
        block.and_then(|block| block.get(slot as usize % BLOCK..)).unwrap_or_default()
    }

    /// The contents of a slot, for a single look-up.
    #[inline(always)]
    pub(crate) fn one(&self, slot: Slot) -> Option<Cow<'_, Held>> {
        self.blocks.get(slot as usize / BLOCK)?.one(slot as usize % BLOCK)
    }

    /// Whether the slot has this key.
    #[inline(always)]
    pub(crate) fn has(&self, slot: Slot, key: &[u8]) -> bool {
        self.blocks.get(slot as usize / BLOCK).is_some_and(|block| block.has(slot as usize % BLOCK, key))
    }

    /// The ends of the blocks, if keys ascend.
    pub(crate) fn ends(&self) -> Ends {
        Ends::of(&self.blocks)
    }

    /// The slot of a key, if keys ascend.
    pub(crate) fn search(&self, key: &[u8], ends: Option<&Ends>) -> Option<Slot> {
        let about = ends.map_or(0..self.blocks.len(), |ends| ends.about(key));
        let is_before =
            |block: &Part<Held>| block.last_key().is_some_and(|last| near_cmp(last.as_bytes(), key).is_lt());
        let block = about.start + self.blocks.get(about).unwrap_or_default().partition_point(is_before);
        Some((block * BLOCK + self.blocks.get(block)?.seek(key)?) as Slot)
    }

    /// Calls `each` for those of the slots that have one text without expiry, until it refuses one. Returns whether it took all.
    #[inline(never)]
    pub(crate) fn rows(&self, slots: Range<Slot>, each: &mut dyn FnMut(Slot, Row<'_>) -> bool) -> bool {
        let mut at = slots.start;
        while at < slots.end {
            let (block, number) = (at as usize / BLOCK, at as usize % BLOCK);
            let until = slots.end.min(((block + 1) * BLOCK) as Slot);
            let Some(block) = self.blocks.get(block) else { return true };
            let taken = match block.bundle() {
                Some(bundle) => {
                    let mut slot = at;
                    bundle.rows(number..bundle.len().min(number + (until - at) as usize), &mut |row| {
                        slot += 1;
                        each(slot - 1, row)
                    })
                }
                None => {
                    let held = (at..until).zip(block.list().get(number..).unwrap_or_default());
                    let mut rows = held.filter_map(|(slot, held)| Some((slot, held.row()?)));
                    rows.all(|(slot, row)| each(slot, row))
                }
            };
            if !taken {
                return false;
            }
            at = until;
        }
        true
    }

    /// The key of a slot.
    pub(crate) fn key(&self, slot: Slot) -> Option<&Key> {
        Some(&self.held(slot)?.key)
    }

    /// The key of a slot and its live set, if it has entries.
    pub(crate) fn at(&self, slot: Slot) -> Option<(&Key, &LiveSet)> {
        self.held(slot).filter(|held| !held.set.is_empty()).map(|held| (&held.key, &held.set))
    }

    /// The number of slots.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The slot that the next key gets.
    pub(crate) fn next(&self) -> Slot {
        let full = self.blocks.len().saturating_sub(1) * BLOCK;
        (full + self.blocks.last().map_or(0, Part::len)) as Slot
    }

    pub(crate) fn push(&mut self, held: Held) -> Slot {
        let slot = self.next();
        self.len += 1;
        match self.blocks.last_mut() {
            Some(Part::List(block)) if block.len() < BLOCK => block.push(held),
            _ => self.push_apart(held, slot == 0),
        }
        slot
    }

    /// The same, where the last block is full, or is not made.
    #[inline(never)]
    fn push_apart(&mut self, held: Held, first: bool) {
        if let Some(block) = self.blocks.last_mut().and_then(Part::list_mut).filter(|block| block.len() < BLOCK) {
            return block.push(held);
        }
        // The first block grows on demand, because most spaces of a fleet are small.
        let mut block = Vec::with_capacity(if first { 1 } else { BLOCK });
        block.push(held);
        self.blocks.push(Part::List(block));
    }

    /// The first slot of the next block.
    pub(crate) const fn next_block(&self) -> Slot {
        (self.blocks.len() * BLOCK) as Slot
    }

    /// Adds a block of slots.
    pub(crate) fn adopt(&mut self, block: Part<Held>) {
        self.len += block.len();
        self.blocks.push(block);
    }

    /// The number of blocks.
    pub(crate) const fn count(&self) -> usize {
        self.blocks.len()
    }

    /// The number of slots in a block.
    pub(crate) fn len_of(&self, block: usize) -> usize {
        self.blocks.get(block).map_or(0, Part::len)
    }

    /// The blocks, each with its first slot.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (Slot, &Part<Held>)> {
        (0..).step_by(BLOCK).zip(&self.blocks)
    }

    /// All slots before this one.
    pub(crate) fn before(&self, end: Slot) -> Vec<Slot> {
        let mut before = Vec::with_capacity(self.len);
        self.blocks().for_each(|(first, block)| before.extend(first..end.min(first + block.len() as Slot)));
        before
    }

    /// The contents of a slot, mutable.
    #[inline(always)]
    pub(crate) fn held_mut(&mut self, slot: Slot) -> Option<&mut Held> {
        self.blocks.get_mut(slot as usize / BLOCK)?.list_mut()?.get_mut(slot as usize % BLOCK)
    }

    /// Copies the texts of a block of slots that should be moved into a block of text of their own.
    #[inline(never)]
    pub(crate) fn gather(&mut self, block: usize) {
        let Some(block) = self.blocks.get_mut(block).and_then(Part::list_mut) else { return };
        let (mut gather, mut first) = (Gather::default(), 0);
        for at in 0..block.len() {
            let Some(held) = block.get_mut(at) else { return };
            for piece in held.pieces_mut() {
                if piece.is_to_move() {
                    gather.take(piece);
                }
            }
            if gather.is_full() || (at + 1 == block.len() && !gather.is_empty()) {
                let text = gather.close();
                let held = block.get_mut(first..=at).unwrap_or_default().iter_mut();
                held.flat_map(Held::pieces_mut).for_each(|piece| piece.settle(&text));
                first = at + 1;
            }
        }
    }
}
