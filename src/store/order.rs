//! The order of the keys, sorted only on demand, because most keys are written and read one by one.
//!
//! Invariant: every slot is in exactly one sorted run, or among the fresh ones that are not sorted yet. Each run is at least
//! twice as long as the next. So a key is merged O(log n) times in its life, and a walk merges O(log n) runs. A store that
//! is never listed compares no two keys.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::{Bound, Range};

use crate::store::entry::key::near_cmp;
use crate::store::entry::{Key, LiveSet};
use crate::store::slots::{Held, Slot, Slots};

#[cfg(not(feature = "mutants"))]
pub(crate) use core::cell::OnceCell as Once;
#[cfg(feature = "mutants")]
pub(crate) use threads::Once;

/// The exhaustive model, which builds the crate with its mutants, reads one store from several threads.
#[cfg(feature = "mutants")]
mod threads {
    extern crate std;

    pub(crate) use std::sync::OnceLock as Once;
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    runs: Vec<Vec<Slot>>,
    /// The slots added since the last run; they are consecutive.
    fresh: Range<Slot>,
    /// Whether these are all slots, and their keys ascend.
    ascends: bool,
    /// The same sorted, once it was asked for.
    sorted: Once<Vec<Slot>>,
}

impl Order {
    /// Adds consecutive slots.
    pub(crate) fn add(&mut self, added: Range<Slot>, slots: &Slots) {
        if self.ascends || self.sorted.get().is_some() || added.start != self.fresh.end {
            self.settle(slots);
            self.fresh.start = added.start;
        }
        self.fresh.end = added.end;
    }

    /// Adds slots up to this one, if all were added so: their keys ascend.
    pub(crate) const fn follow(&mut self, end: Slot) {
        (self.fresh.end, self.ascends) = (end, true);
    }

    /// Makes a run of the fresh slots that were sorted.
    #[inline(never)]
    fn settle(&mut self, slots: &Slots) {
        if self.fresh.is_empty() {
            return;
        }
        let mut run = self.sorted.take().unwrap_or_else(|| self.sorted(slots));
        self.ascends = false;
        while let Some(longer) = self.runs.pop_if(|longer| longer.len() < 2 * run.len()) {
            run = merge(longer, run, slots);
        }
        self.runs.push(run);
    }

    /// The slots added since the last run, sorted by key.
    fn sorted(&self, slots: &Slots) -> Vec<Slot> {
        if self.ascends {
            return slots.before(self.fresh.end);
        }
        let mut run = self.fresh.clone().collect();
        // Bulk writes are mostly sorted already, and checking that takes half of the time of a sort.
        let bytes = |slot| slots.key(slot).map(|key| key.piece.near_bytes());
        if !self.fresh.clone().filter_map(bytes).is_sorted_by(|one, other| near_cmp(one, other).is_lt()) {
            sort(&mut run, slots);
        }
        run
    }

    /// The keys between two bounds. `guess` are their probable places if there is only one run.
    pub(crate) fn walk<'a>(
        &'a self,
        slots: &'a Slots,
        (lower, upper): (Bound<&str>, Bound<&str>),
        guess: Range<usize>,
    ) -> Walk<'a> {
        let mut runs: Vec<&[Slot]> = self.runs.iter().map(Vec::as_slice).collect();
        if !self.fresh.is_empty() {
            runs.push(self.sorted.get_or_init(|| self.sorted(slots)));
        }
        let mut end = 0;
        for run in &mut runs {
            let start = place(run, slots, lower, true, guess.start);
            end = place(run, slots, upper, false, guess.end);
            *run = run.get(start..end).unwrap_or_default();
        }
        let only = if runs.len() == 1 { runs.pop() } else { None };
        Walk { slots, only: only.unwrap_or_default(), end, runs }
    }
}

/// Sorts slots by key, and drops duplicates.
pub(crate) fn sort(list: &mut Vec<Slot>, slots: &Slots) {
    list.sort_unstable_by(|one, other| slots.key(*one).cmp(&slots.key(*other)));
    list.dedup();
}

fn merge(mut longer: Vec<Slot>, shorter: Vec<Slot>, slots: &Slots) -> Vec<Slot> {
    let key = |slot: Option<&Slot>| slot.and_then(|slot| slots.key(*slot));
    if key(longer.last()) < key(shorter.first()) {
        longer.extend(shorter);
        return longer;
    }
    let mut merged = Vec::with_capacity(longer.len() + shorter.len());
    let mut others = shorter.into_iter().peekable();
    for slot in longer {
        while let Some(before) = others.next_if(|other| slots.key(*other) < slots.key(slot)) {
            merged.push(before);
        }
        merged.push(slot);
    }
    merged.extend(others);
    merged
}

/// The place of a bound in a run: `guess` if that is right, otherwise by binary search. Checking one place is quicker than the
/// search, each comparison of which reads a key from elsewhere in memory.
#[inline(never)]
fn place(run: &[Slot], slots: &Slots, bound: Bound<&str>, lower: bool, guess: usize) -> usize {
    let (bound, with_it) = match bound {
        Bound::Included(bound) => (bound, !lower),
        Bound::Excluded(bound) => (bound, lower),
        Bound::Unbounded => return if lower { 0 } else { run.len() },
    };
    let most = if with_it { Ordering::Equal } else { Ordering::Less };
    let key = |slot: &Slot| slots.key(*slot).map_or(&[][..], |key| key.piece.near_bytes());
    let is_before = |slot: &Slot| near_cmp(key(slot), bound.as_bytes()) <= most;
    let right = run
        .split_at_checked(guess)
        .is_some_and(|(before, behind)| before.last().is_none_or(is_before) && !behind.first().is_some_and(is_before));
    if right { guess } else { run.partition_point(is_before) }
}

/// An iterator from both ends, in order, over the keys between two bounds that have entries.
#[derive(Clone, Debug)]
pub(crate) struct Walk<'a> {
    slots: &'a Slots,
    /// The only run, as is usual: no keys are compared.
    only: &'a [Slot],
    /// Its end.
    end: usize,
    /// Several runs, merged.
    runs: Vec<&'a [Slot]>,
}

impl<'a> Walk<'a> {
    /// The place of the next key in the only run.
    pub(crate) const fn at(&self) -> usize {
        self.end.saturating_sub(self.only.len())
    }

    /// The next key of several runs.
    #[inline(never)]
    fn merged(&mut self) -> Option<&'a Held> {
        let slots = self.slots;
        loop {
            let heads = self.runs.iter_mut().filter_map(|run| Some((slots.key(*run.first()?)?, run)));
            let (_, run) = heads.min_by(|(one, _), (other, _)| one.cmp(other))?;
            let (slot, rest) = run.split_first()?;
            *run = rest;
            let held = slots.held(*slot);
            if held.is_some_and(|held| !held.set.is_empty()) {
                return held;
            }
        }
    }

    /// The next slots as far as they are consecutive, for loops over deltas. Keys with empty sets may be among them.
    #[inline(never)]
    pub(crate) fn next_together(&mut self) -> Option<&'a [Held]> {
        let Some((first, rest)) = self.only.split_first() else {
            return self.merged().map(core::slice::from_ref);
        };
        let held = self.slots.behind(*first);
        let others = rest.iter().zip(held.iter().skip(1)).zip(*first + 1..);
        let len = 1 + others.take_while(|((slot, _), next)| *slot == next).count();
        self.only = self.only.get(len..).unwrap_or_default();
        held.get(..len)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (&'a Key, &'a LiveSet);

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        while let Some((slot, rest)) = self.only.split_first() {
            self.only = rest;
            // A key with an empty set does not exist.
            if let Some(held) = self.slots.at(*slot) {
                return Some(held);
            }
        }
        if self.runs.is_empty() { None } else { self.merged().map(|held| (&held.key, &held.set)) }
    }
}

impl DoubleEndedIterator for Walk<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let slots = self.slots;
        while let Some((slot, rest)) = self.only.split_last() {
            self.only = rest;
            if let Some(held) = slots.at(*slot) {
                return Some(held);
            }
        }
        loop {
            let tails = self.runs.iter_mut().filter_map(|run| Some((slots.key(*run.last()?)?, run)));
            let (_, run) = tails.max_by(|(one, _), (other, _)| one.cmp(other))?;
            let (slot, rest) = run.split_last()?;
            *run = rest;
            if let Some(held) = slots.at(*slot) {
                return Some(held);
            }
        }
    }
}
