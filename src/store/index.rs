//! For each origin, a log of (sequence, slot): the keys whose live sets its writes may still be in.
//!
//! Invariants:
//!
//! * Every entry in a live set has a note of its dot with the slot of its key, ordered by sequence. So the changes since a
//!   vector are found in time proportional to the changes and the number of origins, without a scan of all keys.
//! * A note may outlive its entry until a good part of a log is stale. Readers of a note ask the table whether it still
//!   holds the entry.
//! * A local write is appended to the end of a log, without a search.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::id::{Dot, ReplicaId, SEQUENCE_MAX};
use crate::store::entry::{Author, DataEntry, LiveSet};
use crate::store::keys::Bundle;
use crate::store::slots::Slot;
use crate::store::sort::sort;
use crate::store::table::Table;
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

/// Notes of slots that follow each other, of one write or of writes that follow each other: what is written in bulk takes next
/// to nothing. A note that has no such neighbour takes no more: twelve bytes, of which the first four have, from the lowest, the
/// upper bits of the last sequence, whether sequences rise, and how many notes stand before the last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    upper: u32,
    lower: u32,
    /// The last one.
    slot: Slot,
}

const RISES: u32 = 32 - SEQUENCE_MAX.leading_zeros();
const MORE: u32 = RISES + 1;
const MORE_MAX: u32 = u32::MAX >> MORE;

impl Run {
    const fn new(last: u64, slot: Slot, step: u32, more: u32) -> Self {
        let upper = (last >> 32) as u32 & ((1 << RISES) - 1);
        Self { upper: upper | step << RISES | more << MORE, lower: last as u32, slot }
    }

    /// The last sequence.
    const fn last(self) -> u64 {
        ((self.upper & ((1 << RISES) - 1)) as u64) << 32 | self.lower as u64
    }

    /// By how much each sequence is above the one before: 0 or 1.
    const fn step(self) -> u32 {
        self.upper >> RISES & 1
    }

    /// How many notes stand before the last one.
    const fn more(self) -> u32 {
        self.upper >> MORE
    }

    /// The first sequence.
    const fn first(self) -> u64 {
        self.last() - (self.step() * self.more()) as u64
    }

    /// Takes a note behind the last one, if it follows.
    #[inline(always)]
    fn extend(&mut self, sequence: u64, slot: Slot) -> bool {
        let (more, ahead) = (self.more(), sequence.wrapping_sub(self.last()));
        let rises = ahead as u32;
        let follows = slot == self.slot + 1 && ahead <= 1 && more < MORE_MAX && (more == 0 || rises == self.step());
        if follows {
            *self = Self::new(sequence, slot, rises, more + 1);
        }
        follows
    }

    /// The note behind so many others.
    const fn note(self, at: u32) -> (u64, Slot) {
        let before = self.more() - at;
        (self.last() - (self.step() * before) as u64, self.slot - before)
    }
}

/// The notes of runs in order, up to a sequence.
struct Notes<'a> {
    runs: &'a [Run],
    /// How many of the first run have been told.
    told: u32,
    upto: u64,
}

impl Iterator for Notes<'_> {
    type Item = (u64, Slot);

    #[inline(never)]
    fn next(&mut self) -> Option<(u64, Slot)> {
        let mut run = self.runs.first()?;
        if self.told > run.more() {
            self.runs = self.runs.get(1..)?;
            self.told = 0;
            run = self.runs.first()?;
        }
        let note = run.note(self.told);
        self.told += 1;
        Some(note).filter(|(sequence, _)| *sequence <= self.upto)
    }
}

/// Entries of one author in slots that follow each other, of one write or of writes that follow each other.
pub(crate) struct Stretch {
    author: Arc<Author>,
    /// The first sequence and its slot.
    first: u64,
    slot: Slot,
    /// By how much each sequence is above the one before.
    step: u32,
    /// How many they are, and the last sequence.
    entries: u32,
    last: u64,
}

impl Stretch {
    fn of(entry: &DataEntry, slot: Slot) -> Self {
        let (author, first) = (entry.author(), entry.sequence());
        Self { author: Arc::clone(author), first, slot, step: 0, entries: 1, last: first }
    }

    /// Takes the entry of a slot, if it follows.
    #[inline(always)]
    fn take(&mut self, entry: &DataEntry, slot: Slot) -> bool {
        let ahead = entry.sequence().wrapping_sub(self.last);
        let step = ahead as u32;
        let next = slot == self.slot + self.entries && ahead <= 1 && (self.entries == 1 || step == self.step);
        let follows = next && entry.is_by(&self.author);
        if follows {
            (self.last, self.step) = (entry.sequence(), step);
            self.entries += 1;
        }
        follows
    }
}

#[derive(Clone, Debug)]
struct Log {
    origin: ReplicaId,
    runs: Vec<Run>,
    /// How many of them, from the first, are in order.
    ordered: usize,
    /// How many notes they have.
    len: usize,
    /// How many entries have gone since the last look.
    stale: usize,
}

impl Log {
    const fn new(origin: ReplicaId) -> Self {
        Self { origin, runs: Vec::new(), ordered: 0, len: 0, stale: 0 }
    }

    /// Whether looking through it costs no more than what has gone since.
    const fn is_stale(&self) -> bool {
        self.stale >= self.len || 2 * self.stale > self.len + 64
    }

    /// Adds a note; whether it is in order, or the first one that is not.
    #[inline]
    fn note(&mut self, sequence: u64, slot: Slot) -> bool {
        self.len += 1;
        let Some(last) = self.runs.last_mut() else { return self.begin(sequence, slot) };
        if last.extend(sequence, slot) {
            return true;
        }
        let later = last.last() <= sequence;
        if later || self.ordered < self.runs.len() {
            return self.begin(sequence, slot);
        }
        self.runs.push(Run::new(sequence, slot, 0, 0));
        false
    }

    fn begin(&mut self, sequence: u64, slot: Slot) -> bool {
        self.ordered += usize::from(self.ordered == self.runs.len());
        self.runs.push(Run::new(sequence, slot, 0, 0));
        true
    }

    /// Adds a note of each of so many entries; whether all are in order, or behind one that is not.
    fn note_stretch(&mut self, first: u64, slot: Slot, step: u32, entries: u32) -> bool {
        let (mut at, mut sound) = (0, true);
        while at < entries {
            let (sequence, slot) = (first + u64::from(step * at), slot + at);
            sound &= self.note(sequence, slot);
            at += 1;
            // Now it is the last one of the last run, which takes those behind it at once.
            let Some(run) = self.runs.last_mut() else { continue };
            if run.more() == 0 || run.step() == step {
                let some = (entries - at).min(MORE_MAX - run.more());
                if some > 0 {
                    *run = Run::new(sequence + u64::from(step * some), slot + some, step, run.more() + some);
                }
                self.len += some as usize;
                at += some;
            }
        }
        sound
    }

    /// Puts what was added into its place.
    fn arrange(&mut self) {
        // What is new is mostly later than all that was there, which then stays as it is; and in runs that lie beside each other, as
        // where keys were written in the opposite order.
        let Some(least) = self.runs.get(self.ordered..).and_then(|added| added.iter().map(|run| run.first()).min())
        else {
            return;
        };
        let known = self.runs.get(..self.ordered).unwrap_or_default();
        let from = known.partition_point(|run| run.last() < least);
        let runs = self.runs.get_mut(from..).unwrap_or_default();
        sort(runs, |one, other| one.first() < other.first());
        if runs.is_sorted_by(|one, next| one.last() <= next.first()) {
            self.ordered = self.runs.len();
        } else {
            self.make(from, None);
        }
    }

    /// Makes the runs from one on anew: of all of their notes, or of those that the table still holds.
    #[inline(never)]
    fn make(&mut self, from: usize, table: Option<&Table>) {
        let runs = self.runs.get(from..).unwrap_or_default();
        self.len -= runs.iter().map(|run| run.more() as usize + 1).sum::<usize>();
        let stays = |note: &(u64, Slot)| table.is_none_or(|table| table.has(note.1, Dot::new(self.origin, note.0)));
        let mut notes: Vec<_> = Notes { runs, told: 0, upto: u64::MAX }.filter(stays).collect();
        notes.sort_unstable();
        notes.dedup();
        self.runs.truncate(from);
        self.ordered = from;
        for (sequence, slot) in notes {
            self.note(sequence, slot);
        }
    }

    /// The notes of sequences above `after`, up to `upto`. What is asked for is mostly what came last: it is looked for from the
    /// end, in ever longer steps, so that of a long log the rest need not be in the processor's cache.
    #[inline(never)]
    fn between(&self, after: u64, upto: u64) -> Notes<'_> {
        let (mut start, mut step) = (self.runs.len(), 1);
        while start > 0 {
            let probe = start.saturating_sub(step);
            if self.runs.get(probe).is_some_and(|run| run.last() > after) {
                (start, step) = (probe, 2 * step);
                continue;
            }
            let between = self.runs.get(probe..start).unwrap_or_default();
            start = probe + between.partition_point(|run| run.last() <= after);
            break;
        }
        let runs = self.runs.get(start..).unwrap_or_default();
        // Only of a run whose sequences rise some may be above, and others not.
        let told = runs.first().map_or(0, |run| after.saturating_add(1).saturating_sub(run.first()) as u32);
        Notes { runs, told, upto }
    }

    /// How many entries at least are there whose sequences are above `after`; who has found `enough` looks no further.
    fn least_since(&self, after: u64, enough: usize) -> usize {
        let Notes { runs, told, .. } = self.between(after, u64::MAX);
        let (mut runs, mut notes, enough) = (runs.iter(), 0, enough + told as usize + self.stale);
        while let Some(run) = runs.next().filter(|_| notes < enough) {
            notes += run.more() as usize + 1;
        }
        notes.saturating_sub(told as usize + self.stale)
    }

    /// Those of these notes that still hold.
    fn holding<'a>(&'a self, after: u64, upto: u64, table: &'a Table) -> impl Iterator<Item = (Dot, Slot)> + 'a {
        let notes = self.between(after, upto).map(|(sequence, slot)| (Dot::new(self.origin, sequence), slot));
        notes.filter(|(dot, slot)| table.has(*slot, *dot))
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
        if !log.note(sequence, slot) {
            self.untidy.push(*origin);
        }
    }

    #[inline(never)]
    fn note_elsewhere(&mut self, origin: ReplicaId, sequence: u64, slot: Slot) {
        self.turn_to(origin);
        self.note(&origin, sequence, slot);
    }

    fn turn_to(&mut self, origin: ReplicaId) {
        self.last = self.find(origin).unwrap_or_else(|at| {
            self.logs.insert(at, Log::new(origin));
            at
        });
    }

    /// Notes all entries of slots that follow each other, from the first on.
    pub(crate) fn note_all<'a>(&mut self, first: Slot, sets: impl Iterator<Item = &'a LiveSet>) {
        let mut stretch = None;
        for (slot, set) in (first..).zip(sets) {
            for entry in set.entries() {
                if !stretch.as_mut().is_some_and(|stretch: &mut Stretch| stretch.take(entry, slot)) {
                    self.note_stretch(stretch.replace(Stretch::of(entry, slot)));
                }
            }
        }
        self.note_stretch(stretch);
    }

    /// The same of what is in no slots yet.
    pub(crate) fn note_bundle(&mut self, first: Slot, bundle: &Bundle) {
        let mut slot = first;
        bundle.dots(|dot, step, count| {
            // What a run of notes cannot tell is noted one by one.
            let (together, times) = if step <= 1 { (count, 1) } else { (1, count) };
            let mut dot = dot;
            for _ in 0..times {
                self.note_run(dot, slot, step as u32 & 1, together as u32);
                slot += together as Slot;
                dot.sequence = dot.sequence.wrapping_add(step);
            }
        });
    }

    /// Notes that an entry of a slot's key has come, now or with those that follow it: who has no more notes the last stretch.
    #[inline(never)]
    pub(crate) fn note_next(&mut self, stretch: &mut Option<Stretch>, slot: Slot, entry: &DataEntry) {
        if !stretch.as_mut().is_some_and(|stretch| stretch.take(entry, slot)) {
            self.note_stretch(stretch.replace(Stretch::of(entry, slot)));
        }
    }

    /// Notes all of a stretch, if there is one.
    pub(crate) fn note_stretch(&mut self, stretch: Option<Stretch>) {
        if let Some(Stretch { author, first, slot, step, entries, .. }) = stretch {
            self.note_run(Dot::new(author.replica, first), slot, step, entries);
        }
    }

    /// Notes so many entries of slots that follow each other, from the first one's dot and slot on; each sequence is by `step` above
    /// the one before.
    #[inline(never)]
    pub(crate) fn note_run(&mut self, dot: Dot, slot: Slot, step: u32, entries: u32) {
        if self.logs.get(self.last).is_none_or(|log| log.origin != dot.replica) {
            self.turn_to(dot.replica);
        }
        let Some(log) = self.logs.get_mut(self.last) else { return };
        if !log.note_stretch(dot.sequence, slot, step, entries) {
            self.untidy.push(dot.replica);
        }
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
                log.stale = 0;
                log.make(0, Some(table));
            } else {
                log.arrange();
            }
            if log.runs.is_empty() {
                self.logs.remove(at);
            }
        }
    }

    /// How many notes it keeps.
    #[cfg(all(test, not(target_arch = "wasm32")))]
    pub(crate) fn len(&self) -> usize {
        self.logs.iter().map(|log| log.len).sum()
    }

    /// Whether there are surely so many dots outside of `vector` that decide keys: to see that costs less than to look for each.
    pub(crate) fn has_since(&self, vector: &VersionVector, dots: usize) -> bool {
        let mut left = dots;
        self.logs.iter().any(|log| {
            left = left.saturating_sub(log.least_since(vector.get(log.origin), left));
            left == 0
        })
    }

    /// The slots of keys that a dot outside of `vector` decides; a slot comes once for each such dot.
    pub(crate) fn since<'a>(&'a self, vector: &'a VersionVector, table: &'a Table) -> impl Iterator<Item = Slot> + 'a {
        self.logs.iter().flat_map(|log| log.holding(vector.get(log.origin), u64::MAX, table).map(|(_, slot)| slot))
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
            log.map(|log| log.holding(first, last, table))
        });
        ranges.flatten()
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::store::entry::{Author, Content};
    use crate::time::Hlc;

    /// Notes as writes make them: of one sequence or of rising ones, of slots that follow each other or do not.
    fn notes() -> impl Strategy<Value = Vec<(u64, Slot)>> {
        let sequences = prop_oneof![1..40_u64, Just((1 << 32) - 3), Just(SEQUENCE_MAX - 9)];
        let several = (sequences, 0..30_u32, 1..10_u32, 0..2_u64);
        let several = several.prop_map(|(sequence, slot, count, step)| {
            (0..count).map(move |at| (sequence + u64::from(at) * step, slot + at)).collect::<Vec<_>>()
        });
        proptest::collection::vec(several, 0..12).prop_map(|all| all.concat())
    }

    proptest! {
        #[test]
        fn runs_tell_what_was_noted(first in notes(), second in notes(), bounds in proptest::array::uniform2(notes())) {
            let origin = ReplicaId::new("a", [0; 10]).map_err(|_| TestCaseError::fail("an id"))?;
            let mut log = Log::new(origin);
            let mut noted = Vec::new();
            for more in [first, second] {
                for (sequence, slot) in &more {
                    log.note(*sequence, *slot);
                }
                noted.extend(more);
                prop_assert_eq!(log.len, noted.len());
                log.arrange();
                noted.sort_unstable();
                noted.dedup();
                let mut told: Vec<_> = log.between(0, u64::MAX).collect();
                prop_assert!(told.is_sorted_by_key(|(sequence, _)| *sequence));
                // Of one write they may stand as they came, and twice.
                told.sort_unstable();
                told.dedup();
                prop_assert_eq!(&told, &noted);
                log.make(0, None);
                prop_assert_eq!(log.len, noted.len());
                let [lower, upper] = &bounds;
                for (after, upto) in lower.iter().zip(upper).map(|(lower, upper)| (lower.0, upper.0)) {
                    let expected = noted.iter().filter(|(sequence, _)| after < *sequence && *sequence <= upto);
                    prop_assert!(log.between(after, upto).eq(expected.copied()));
                    // Of what may have gone nothing is counted; and who has found enough looks no further.
                    let all = noted.iter().filter(|(sequence, _)| after < *sequence).count();
                    for stale in [0, 1, all, all + 1] {
                        log.stale = stale;
                        let left = all.saturating_sub(stale);
                        prop_assert_eq!(log.least_since(after, usize::MAX >> 1), left);
                        prop_assert!((left.min(5)..=left).contains(&log.least_since(after, 5)));
                    }
                }
            }
        }
    }

    proptest! {
        /// Keys of two origins, of which some have several entries, as they come by hundreds.
        #[test]
        fn many_are_noted_as_one_by_one(
            before in notes(),
            several in proptest::collection::vec((1..9_u64, 0..2_u64, 1..1_500_u64, 0..3_usize), 1..12),
        ) {
            let author = |n: u8| {
                let replica = ReplicaId::new("a", [n; 10]).map_err(|_| TestCaseError::fail("an id"))?;
                Ok::<_, TestCaseError>(Arc::new(Author::new(replica, None)))
            };
            let authors = [author(1)?, author(2)?];
            let entry = |author: &Arc<Author>, sequence| DataEntry::by(Arc::clone(author), sequence, Hlc::default(), Content::Tombstone);
            let mut sets = Vec::new();
            for (sequence, step, count, who) in several {
                for at in 0..count {
                    let sequence = sequence + at * step;
                    let [one, other] = [&authors[0], &authors[1]].map(|author| entry(author, sequence));
                    let mut set = LiveSet::of(if who == 1 { other.clone() } else { one });
                    if who == 2 && at % 5 == 0 {
                        set.insert(other);
                    }
                    sets.push(set);
                }
            }
            let (mut all, mut each) = (Index::default(), Index::default());
            for (sequence, slot) in &before {
                all.note(&authors[0].replica, *sequence, *slot);
                each.note(&authors[0].replica, *sequence, *slot);
            }
            all.note_all(7, sets.iter());
            for (slot, set) in (7..).zip(&sets) {
                set.entries().iter().for_each(|entry| each.note(entry.origin(), entry.sequence(), slot));
            }
            prop_assert_eq!(all.untidy.is_empty(), each.untidy.is_empty());
            for log in all.logs.iter_mut().chain(&mut each.logs) {
                log.make(0, None);
            }
            prop_assert_eq!(all.logs.len(), each.logs.len());
            for (one, other) in all.logs.iter().zip(&each.logs) {
                prop_assert_eq!((one.origin, one.len, &one.runs), (other.origin, other.len, &other.runs));
            }
        }
    }

    #[test]
    fn what_is_written_in_bulk_is_few_runs() {
        let Ok(origin) = ReplicaId::new("a", [0; 10]) else { return };
        let mut log = Log::new(origin);
        (0..100_000).for_each(|at| _ = log.note(u64::from(at / 1_000) + 1, at));
        (0..100_000).for_each(|at| _ = log.note(u64::from(at) + 101, at));
        assert_eq!((log.len, log.ordered), (200_000, log.runs.len()));
        assert!(log.runs.len() <= 300, "{}", log.runs.len());
    }
}
