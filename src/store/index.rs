//! The index origin → log of (sequence, slot): which keys a write of an origin still decides.
//!
//! Invariant: for every entry in a live set its dot is noted with the slot of its key, in the order of sequences; so what
//! changed since a vector is found in time proportional to the changes and the number of origins, never by a scan of all
//! keys. A note outlives its entry until a good part of a log is stale: whoever reads one asks the table whether it still
//! holds. A local write is noted at the end of a log, without a search.

use alloc::vec::Vec;

use litemap::LiteMap;

use crate::id::{Dot, ReplicaId};
use crate::store::table::{Slot, Table};
use crate::vector::VersionVector;

/// Dots of live entries, each with the slot of a key that it decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    origins: LiteMap<ReplicaId, Log>,
    /// Whose logs are not in order, or mostly stale.
    untidy: Vec<ReplicaId>,
}

#[derive(Clone, Debug, Default)]
struct Log {
    notes: Vec<(u64, Slot)>,
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
        if let Some(least) = added.iter().min().copied() {
            let start = known.partition_point(|note| *note < least);
            self.notes.get_mut(start..).unwrap_or_default().sort_unstable();
            self.notes.dedup();
        }
        self.ordered = self.notes.len();
    }

    /// How many notes, from the first, are of a sequence up to `after`.
    fn from(&self, after: u64) -> usize {
        self.notes.partition_point(|(sequence, _)| *sequence <= after)
    }
}

impl Index {
    /// Notes that an entry of a slot's key has come.
    pub(crate) fn insert(&mut self, dot: Dot, slot: Slot) {
        let log = self.origins.entry(dot.replica).or_default();
        if log.ordered == log.notes.len() {
            if log.notes.last().is_none_or(|(last, _)| *last <= dot.sequence) {
                log.ordered += 1;
            } else {
                self.untidy.push(dot.replica);
            }
        }
        log.notes.push((dot.sequence, slot));
    }

    /// Notes that an entry of this dot has gone.
    pub(crate) fn remove(&mut self, dot: Dot) {
        let Some(log) = self.origins.get_mut(&dot.replica) else { return };
        log.stale += 1;
        if log.is_stale() && self.untidy.last() != Some(&dot.replica) {
            self.untidy.push(dot.replica);
        }
    }

    /// Restores the order, and lets go of what is stale. To be called at the end of every step.
    pub(crate) fn tidy(&mut self, table: &Table) {
        for origin in core::mem::take(&mut self.untidy) {
            let Some(log) = self.origins.get_mut(&origin) else { continue };
            if log.is_stale() {
                log.notes.retain(|(sequence, slot)| table.has(*slot, Dot::new(origin, *sequence)));
                (log.stale, log.ordered) = (0, 0);
            }
            log.arrange();
            if log.notes.is_empty() {
                self.origins.remove(&origin);
            }
        }
    }

    /// The slots of keys that a dot outside of `vector` decides; a slot comes once for each such dot.
    pub(crate) fn since<'a>(&'a self, vector: &'a VersionVector, table: &'a Table) -> impl Iterator<Item = Slot> + 'a {
        self.origins.iter().flat_map(|(origin, log)| {
            let notes = log.notes.get(log.from(vector.get(*origin))..).unwrap_or_default();
            let holds = |(sequence, slot): &&(u64, Slot)| table.has(*slot, Dot::new(*origin, *sequence));
            notes.iter().filter(holds).map(|(_, slot)| *slot)
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
            let log = self.origins.get(&origin).filter(|_| first < last)?;
            Some((origin, log.notes.get(log.from(first)..log.from(last))?))
        });
        let dots = ranges
            .flat_map(|(origin, notes)| notes.iter().map(move |(sequence, slot)| (Dot::new(origin, *sequence), *slot)));
        dots.filter(|(dot, slot)| table.has(*slot, *dot))
    }
}
