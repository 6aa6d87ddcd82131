//! The index origin → log of (sequence, slot): which keys a write of an origin still decides.
//!
//! Invariant: for every entry in a live set its dot is noted with the slot of its key, in the order of sequences; so what
//! changed since a vector is found in time proportional to the changes and the number of origins, never by a scan of all
//! keys. A note outlives its entry until a good part of a log is stale: whoever reads one asks the table whether it still
//! holds. A local write is noted at the end of a log, without a search.

use alloc::vec::Vec;

use crate::id::{Dot, ReplicaId};
use crate::store::table::{Slot, Table};
use crate::vector::VersionVector;

/// Dots of live entries, each with the slot of a key that it decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// In the order of origins.
    logs: Vec<Log>,
    /// Where the last note went: the next one is often of the same origin.
    last: usize,
    /// Whose logs are not in order, or mostly stale.
    untidy: Vec<ReplicaId>,
}

/// A sequence by its halves, so that a note takes twelve bytes and not sixteen; and a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Note {
    upper: u32,
    lower: u32,
    slot: Slot,
}

impl Note {
    const fn new(sequence: u64, slot: Slot) -> Self {
        Self { upper: (sequence >> 32) as u32, lower: sequence as u32, slot }
    }

    const fn sequence(self) -> u64 {
        (self.upper as u64) << 32 | self.lower as u64
    }

    /// Its place in a log.
    const fn place(self) -> (u64, Slot) {
        (self.sequence(), self.slot)
    }
}

#[derive(Clone, Debug)]
struct Log {
    origin: ReplicaId,
    notes: Vec<Note>,
    /// How many of them, from the first, are in order.
    ordered: usize,
    /// How many entries have gone since the last look.
    stale: usize,
}

impl Log {
    /// Whether looking through it costs no more than what has gone since.
    const fn is_stale(&self) -> bool {
        self.stale >= self.notes.len() || 2 * self.stale > self.notes.len() + 64
    }

    /// Puts what was added into its place.
    fn arrange(&mut self) {
        let (known, added) = self.notes.split_at_mut_checked(self.ordered).unwrap_or_default();
        // What is new is mostly later than all that was there, which then stays as it is.
        if let Some(least) = added.iter().map(|note| note.place()).min() {
            let start = known.partition_point(|note| note.place() < least);
            self.notes.get_mut(start..).unwrap_or_default().sort_unstable_by_key(|note| note.place());
            self.notes.dedup();
        }
        self.ordered = self.notes.len();
    }

    /// The notes of sequences above `after`. What is asked for is mostly what came last: it is looked for from the end, in ever
    /// longer steps, so that of a long log the rest need not be in the processor's cache.
    fn since(&self, after: u64) -> &[Note] {
        let (mut start, mut step) = (self.notes.len(), 1);
        while start > 0 {
            let probe = start.saturating_sub(step);
            if self.notes.get(probe).is_some_and(|note| note.sequence() > after) {
                (start, step) = (probe, 2 * step);
                continue;
            }
            let between = self.notes.get(probe..start).unwrap_or_default();
            start = probe + between.partition_point(|note| note.sequence() <= after);
            break;
        }
        self.notes.get(start..).unwrap_or_default()
    }

    /// The notes of sequences above `after`, up to `upto`.
    fn between(&self, after: u64, upto: u64) -> &[Note] {
        let later = self.since(after);
        if later.last().is_none_or(|last| last.sequence() <= upto) {
            return later;
        }
        later.get(..later.partition_point(|note| note.sequence() <= upto)).unwrap_or_default()
    }

    /// The dot of a note.
    const fn dot(&self, note: Note) -> Dot {
        Dot::new(self.origin, note.sequence())
    }

    /// Those of its notes that still hold.
    fn holding<'a>(&'a self, notes: &'a [Note], table: &'a Table) -> impl Iterator<Item = (Dot, Slot)> + 'a {
        notes.iter().map(|note| (self.dot(*note), note.slot)).filter(|(dot, slot)| table.has(*slot, *dot))
    }
}

impl Index {
    /// Notes that an entry of a slot's key has come.
    #[inline]
    pub(crate) fn insert(&mut self, dot: Dot, slot: Slot) {
        self.note(&dot.replica, dot.sequence, slot);
    }

    /// As [`Index::insert`], of the origin's write of this sequence.
    #[inline]
    pub(crate) fn note(&mut self, origin: &ReplicaId, sequence: u64, slot: Slot) {
        let Some(log) = self.logs.get_mut(self.last).filter(|log| log.origin == *origin) else {
            return self.note_elsewhere(*origin, sequence, slot);
        };
        if log.ordered == log.notes.len() {
            if log.notes.last().is_none_or(|last| last.sequence() <= sequence) {
                log.ordered += 1;
            } else {
                self.untidy.push(*origin);
            }
        }
        log.notes.push(Note::new(sequence, slot));
    }

    #[inline(never)]
    fn note_elsewhere(&mut self, origin: ReplicaId, sequence: u64, slot: Slot) {
        self.last = self.find(origin).unwrap_or_else(|at| {
            self.logs.insert(at, Log { origin, notes: Vec::new(), ordered: 0, stale: 0 });
            at
        });
        self.note(&origin, sequence, slot);
    }

    fn find(&self, origin: ReplicaId) -> Result<usize, usize> {
        self.logs.binary_search_by(|log| log.origin.cmp(&origin))
    }

    /// Notes that an entry of this dot has gone.
    pub(crate) fn remove(&mut self, dot: Dot) {
        let is_last = self.logs.get(self.last).is_some_and(|log| log.origin == dot.replica);
        let at = if is_last { Ok(self.last) } else { self.find(dot.replica) };
        let Some(log) = at.ok().and_then(|at| self.logs.get_mut(at)) else { return };
        log.stale += 1;
        if log.is_stale() && self.untidy.last() != Some(&dot.replica) {
            self.untidy.push(dot.replica);
        }
    }

    /// Restores the order, and lets go of what is stale. To be called at the end of every step.
    pub(crate) fn tidy(&mut self, table: &Table) {
        for origin in core::mem::take(&mut self.untidy) {
            let Ok(at) = self.find(origin) else { continue };
            let Some(log) = self.logs.get_mut(at) else { continue };
            if log.is_stale() {
                let mut notes = core::mem::take(&mut log.notes);
                notes.retain(|note| table.has(note.slot, log.dot(*note)));
                (log.notes, log.stale, log.ordered) = (notes, 0, 0);
            }
            log.arrange();
            if log.notes.is_empty() {
                self.logs.remove(at);
            }
        }
    }

    /// The slots of keys that a dot outside of `vector` decides; a slot comes once for each such dot.
    pub(crate) fn since<'a>(&'a self, vector: &'a VersionVector, table: &'a Table) -> impl Iterator<Item = Slot> + 'a {
        self.logs.iter().flat_map(|log| {
            let notes = log.since(vector.get(log.origin));
            log.holding(notes, table).map(|(_, slot)| slot)
        })
    }

    /// The dots with `after[origin] < sequence ≤ upto[origin]`, each with the slot of a key that it decides.
    pub(crate) fn between<'a>(
        &'a self,
        after: &'a VersionVector,
        upto: &'a VersionVector,
        table: &'a Table,
    ) -> impl Iterator<Item = (Dot, Slot)> + 'a {
        let ranges = upto.iter().filter_map(|(origin, last)| {
            let first = after.get(origin);
            let log = if first < last { self.logs.get(self.find(origin).ok()?) } else { None };
            log.map(|log| (log, log.between(first, last)))
        });
        ranges.flat_map(|(log, notes)| log.holding(notes, table))
    }
}
