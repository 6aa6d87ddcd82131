//! The merge of one key that a delta lists: clauses 1 and 2 of [`SpaceState::apply`].
//!
//! Invariant: the result for a key depends only on its held and its listed entries, and on no other key. Most keys have one
//! entry that is replaced by another, or joined by one out of a run. That case is handled first and moves neither entry more
//! than once.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Altered, Changed, SpaceState};
use crate::id::ReplicaId;
use crate::mutant::{Mutant, off};
use crate::store::delta::{Bare, Keys, Listed, ListedSet};
use crate::store::entry::{Author, DataEntry, Key, LiveSet};
use crate::store::index::Stretch;
use crate::store::keys::{Bundle, Coming};
use crate::store::part::Part;
use crate::store::parts::Pair;
use crate::store::slots::Slot;
use crate::store::table::Vacancy;
use crate::vector::Near;

/// A delta that is being applied.
pub(super) struct Merging<'a> {
    state: &'a mut SpaceState,
    /// The vector before, and the delta's.
    seen: Near<'a>,
    sent: Near<'a>,
    /// Entries that the index is not told of yet.
    stretch: Option<Stretch>,
    /// The slot of the last key, and where the next one may be.
    last: Slot,
    guess: Slot,
}

/// Who wrote what a bundle comes beside: in loops over entries of one author that is asked once.
struct Other {
    author: Arc<Author>,
    /// Whether the bare dots of the bundle are of the same origin.
    listed: bool,
    /// Up to which of its sequences the sender has seen go what he does not list.
    gone: u64,
}

impl Other {
    #[inline(never)]
    fn of(entry: &DataEntry, known: Option<&Author>, sent: &mut Near<'_>) -> Self {
        let listed = known.is_some_and(|known| known.replica == *entry.origin());
        Self { author: Arc::clone(entry.author()), listed, gone: gone_upto(sent, entry.origin()) }
    }
}

impl<'a> Merging<'a> {
    pub(super) const fn new(state: &'a mut SpaceState, [seen, sent]: [Near<'a>; 2]) -> Self {
        Self { state, seen, sent, stretch: None, last: Slot::MAX, guess: Slot::MAX }
    }

    /// Takes all keys, and tells which of them changed.
    pub(super) fn take(mut self, keys: Keys, changed: &mut Vec<Altered>) {
        for part in keys.into_parts() {
            match part.bundle() {
                Some(bundle) => self.take_bundle(bundle, changed),
                None => self.take_list(part, changed),
            }
        }
        self.state.index.note_stretch(self.stretch);
    }

    #[inline(never)]
    fn take_bundle(&mut self, bundle: &Bundle, changed: &mut Vec<Altered>) {
        let (author, known) = bundle.authors();
        let (seen, mut other) = (self.seen.reach(&author.replica), None);
        let mut came = Vec::with_capacity(bundle.len());
        bundle.each(&mut |coming| {
            let siblings = match self.seek(coming.name()) {
                Ok(slot) if coming.sequence() > seen && self.join(slot, coming, known, &mut other) => Some(2),
                Ok(slot) => self.meet(slot, &coming.key(), coming.entry(), coming.known()),
                Err(vacancy) => self.begin(&coming.key(), ListedSet::of_one(coming.entry(), coming.known()), vacancy),
            };
            came.push(siblings);
        });
        let first = came.first().copied().flatten();
        if let Some(siblings) = first.filter(|_| came.iter().all(|other| *other == first)) {
            changed.push(Altered::Alike(Box::new(bundle.clone()), siblings));
            return;
        }
        let mut came = came.into_iter();
        bundle.each(&mut |coming| {
            if let Some(siblings) = came.next().flatten() {
                changed.push(Altered::One(Changed { key: coming.key(), siblings }));
            }
        });
    }

    /// Puts what comes of a bundle, and has not been seen, beside the only entry of a slot, unless the sender has seen that one go;
    /// whether it was so.
    #[inline(always)]
    fn join(&mut self, slot: Slot, coming: &Coming<'_>, known: Option<&Author>, other: &mut Option<Other>) -> bool {
        let SpaceState { table, index, .. } = &mut *self.state;
        let Some((_, live)) = table.held_mut(slot) else { return false };
        let Some(only) = live.only() else { return false };
        let other = match other {
            Some(other) if only.is_by(&other.author) => other,
            _ => other.insert(Other::of(only, known, &mut self.sent)),
        };
        if only.sequence() <= other.gone && !(other.listed && only.sequence() == coming.dot()) {
            return false;
        }
        let entry = coming.entry();
        let came = entry.bytes();
        index.note_next(&mut self.stretch, slot, &entry);
        live.join(entry);
        table.count(came, 0);
        true
    }

    #[inline(never)]
    fn take_list(&mut self, part: Part<Pair>, changed: &mut Vec<Altered>) {
        for (key, set) in part {
            let siblings = match self.seek(key.as_bytes()) {
                Ok(slot) => match set.into_one() {
                    Ok((entry, known)) => self.meet(slot, &key, entry, known),
                    Err(set) => self.merge(slot, &key, set),
                },
                Err(vacancy) => self.begin(&key, set, vacancy),
            };
            changed.extend(siblings.map(|siblings| Altered::One(Changed { key, siblings })));
        }
    }

    /// The slot of a key, or where it may get one. Where two have written the same keys they mostly did so in one order, or in the
    /// opposite one.
    #[inline(always)]
    fn seek(&mut self, key: &[u8]) -> Result<Slot, Vacancy> {
        let table = &self.state.table;
        let is = table.slots().key(self.guess).is_some_and(|held| held.is(key));
        let place = if is { Ok(self.guess) } else { table.seek(key) };
        let slot = *place.as_ref().unwrap_or(&Slot::MAX);
        let step = slot.wrapping_sub(self.last);
        self.guess = if matches!(step, 1 | Slot::MAX) { slot.wrapping_add(step) } else { Slot::MAX };
        self.last = slot;
        place
    }

    /// Takes a key that has no slot, if `set` has an entry that has not been seen here.
    #[inline(never)]
    fn begin(&mut self, key: &Key, set: ListedSet, vacancy: Vacancy) -> Option<usize> {
        let live = set.live(|entry| is_unseen(&mut self.seen, entry, None));
        if live.is_empty() {
            return None;
        }
        let SpaceState { table, index, .. } = &mut *self.state;
        let next = table.slots().next();
        live.entries().iter().for_each(|entry| index.note_next(&mut self.stretch, next, entry));
        let slot = table.push(vacancy, key.clone(), live);
        table.arrange(slot..slot + 1);
        Some(0)
    }

    /// As [`Merging::merge`], where one entry comes: one that has not been seen takes the place of the only one that goes.
    #[inline(never)]
    fn meet(&mut self, slot: Slot, key: &Key, entry: DataEntry, known: Option<Bare>) -> Option<usize> {
        let SpaceState { table, index, .. } = &mut *self.state;
        let is_new = !self.seen.has(entry.origin(), entry.sequence());
        let lists = |only: &DataEntry| known.as_ref().is_some_and(|known| known.is_of(only));
        if let Some((text, live)) = table.held_mut(slot).filter(|_| is_new)
            && let Some(only) = live.only().filter(|only| !lists(only) && has_gone(&mut self.sent, only))
        {
            let (came, gone) = (entry.bytes(), only.bytes());
            index.note_next(&mut self.stretch, slot, &entry);
            index.remove(only.dot());
            (*text, *live) = (key.clone(), LiveSet::of(entry));
            table.count(came, gone);
            return Some(0);
        }
        self.merge(slot, key, ListedSet::of_one(entry, known))
    }

    /// Makes a key's live set of what it is and what a delta lists: what [`superseded`] names goes (clause 1, for listed
    /// keys), what [`is_unseen`] comes (clause 2). Tells as [`Changed`] how many siblings there are, if anything changes.
    #[inline(never)]
    fn merge(&mut self, slot: Slot, key: &Key, set: ListedSet) -> Option<usize> {
        let SpaceState { table, index, .. } = &mut *self.state;
        let Self { seen, sent, stretch, .. } = self;
        let merged = table.change(slot, |held, live| {
            let (mut gone, mut joined) = (false, false);
            live.remove(
                |entry| superseded(sent, &set, entry),
                |entry| {
                    gone = true;
                    index.remove(entry.dot());
                },
            );
            let stays = !live.is_empty();
            set.each(|listed| {
                if let Some(entry) = listed.entry().filter(|entry| is_unseen(seen, entry, Some(live))) {
                    joined = true;
                    index.note_next(stretch, slot, &entry);
                    live.insert(entry);
                }
            });
            // Beside what stays the key is told as it was: its text and that of what was written with it follow each other.
            if joined && !stays {
                *held = key.clone();
            }
            (gone || joined).then(|| if stays && joined { live.entries().len() } else { 0 })
        });
        merged.flatten()
    }
}

/// Whether the sender of a delta up to `to`, which lists `set` for the entry's key, has seen the entry go.
pub(super) fn superseded(to: &mut Near<'_>, set: &[Listed], entry: &DataEntry) -> bool {
    !set.iter().any(|listed| listed.is(entry)) && has_gone(to, entry)
}

/// Whether the sender of a delta up to `to`, which lists the entry's key without it, has seen it go.
fn has_gone(to: &mut Near<'_>, entry: &DataEntry) -> bool {
    entry.sequence() <= gone_upto(to, entry.origin())
}

/// Up to which sequence of an origin he has.
fn gone_upto(to: &mut Near<'_>, origin: &ReplicaId) -> u64 {
    if off(Mutant::Clause1) || off(Mutant::Clause1Listed) { 0 } else { to.reach(origin) }
}

/// Whether whoever stands at `vector`, and has `held` of the entry's key, has not seen the entry.
pub(super) fn is_unseen(vector: &mut Near<'_>, entry: &DataEntry, held: Option<&LiveSet>) -> bool {
    !vector.has(entry.origin(), entry.sequence())
        || (off(Mutant::Clause2) && !held.is_some_and(|held| held.has(entry.dot())))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use crate::codec::{Reader, Writer};
    use crate::id::{Dot, ReplicaId, Space};
    use crate::store::delta::{Delta, Listed};
    use crate::store::entry::{Content, DataEntry};
    use crate::store::limits::Limits;
    use crate::store::{Log, Mutation, SessionConsistentStore, Written};
    use crate::time::Hlc;
    use crate::vector::VersionVector;

    /// Whose entry went because a peer's came in its place is not noted for ever.
    #[test]
    fn what_a_peer_overwrites_again_and_again_is_noted_as_often_as_it_is_held() {
        let (Ok(space), Ok(id)) = (Space::first("s"), ReplicaId::new("a", [0; 10])) else { return };
        let [mut one, mut other] = [(); 2].map(|()| SessionConsistentStore::new(Limits::default()));
        for n in 0..500_u64 {
            let key = |at: u64| format!("{:02}", (at * 7 + n) % 50).as_str().into();
            let put = |at| Mutation { key: key(at), content: Content::Text("v".into()), expires_at: None };
            let batch: Vec<_> = (0..20).map(put).collect();
            assert!(one.write(&space, id, None, batch, &[], n + 1).is_ok());
            let told = one.extract(&space, other.vector(&space));
            assert!(told.is_some_and(|delta| other.apply(delta).is_ok()));
            for state in [&one, &other].map(|store| store.space(&space)) {
                // A log is looked through when most of it is stale.
                let Some(notes) = state.map(|state| state.index.len()) else { panic!("nothing is held") };
                assert!(notes <= 2 * 50 + 64 + 20, "{notes} notes of 50 keys");
            }
        }
        assert!(one.space(&space) == other.space(&space));
    }

    /// Writes those of 600 keys whose number is a multiple of `each`, as a host hands them over.
    fn write(store: &mut SessionConsistentStore, space: &Space, id: ReplicaId, each: usize) {
        let keys: Vec<_> = (0..600).step_by(each).collect();
        for some in keys.chunks(200) {
            let mut log = Log::default();
            some.iter().for_each(|at| log.put(&format!("{at:03}"), Written::Text(&format!("{at:.>30}"))));
            assert!(store.write(space, id, None, log.finish(), &[], 1).is_ok());
        }
    }

    /// Whether all of a run have changed alike, or each in a way of its own.
    #[test]
    fn what_changed_by_a_run_is_told_of_each_of_its_keys() {
        let (Ok(space), Ok(one), Ok(two)) =
            (Space::first("s"), ReplicaId::new("a", [0; 10]), ReplicaId::new("b", [1; 10]))
        else {
            return;
        };
        for each in [1, 2, 599] {
            let [mut sender, mut receiver] = [(); 2].map(|()| SessionConsistentStore::new(Limits::default()));
            write(&mut receiver, &space, two, each);
            let mut from = VersionVector::new();
            // Beside what is held; then in the place of what the sender wrote before.
            for round in 0..2 {
                write(&mut sender, &space, one, 1);
                let mut writer = Writer::new();
                let Some(told) = sender.extract(&space, &from) else { return };
                told.encode(&mut writer);
                let read = Reader::open(&writer.finish()).and_then(|mut reader| Delta::decode(&mut reader));
                let Ok(read) = read else { panic!("{read:?}") };
                assert!(read.keys.clone().into_parts().iter().all(|part| part.bundle().is_some()));
                let Ok(changed) = receiver.apply(read) else { panic!("it applies") };
                let told: Vec<_> = changed.iter().map(|changed| (changed.key.to_string(), changed.siblings)).collect();
                let siblings = |at: usize| if at.is_multiple_of(each) { 2 } else { 0 };
                let expected: Vec<_> = (0..600).map(|at| (format!("{at:03}"), siblings(at))).collect();
                assert_eq!(told, expected, "of each {each}, round {round}");
                let keys = receiver.space(&space).into_iter().flat_map(|state| state.iter());
                let held: Vec<_> = keys.map(|(_, set)| set.entries().len()).collect();
                assert!(held.iter().zip(0..).all(|(held, at)| *held == siblings(at).max(1)));
                from = sender.vector(&space).clone();
            }
        }
    }

    /// A bare dot beside what comes keeps the entry that it names, and no other one of that number or of that replica; and what is so of
    /// one author's entry is not so of the next one's.
    #[test]
    fn a_bare_dot_beside_a_run_keeps_the_entry_that_it_names() {
        let id = |at| ReplicaId::new("a", [at; 10]);
        let (Ok(space), [Ok(one), Ok(two), Ok(three), Ok(four)]) = (Space::first("s"), [0, 1, 2, 3].map(id)) else {
            return;
        };
        let entry = |replica, sequence| {
            let content = Content::Text("what is written here".into());
            Listed::Entry(DataEntry::new(content, Dot::new(replica, sequence), Hlc::from_bits(5), None, None))
        };
        let delta = |from: &[(ReplicaId, u64)], to: &[(ReplicaId, u64)], keys| {
            let [from, to] = [from, to].map(|dots| dots.iter().copied().filter(|(_, last)| *last > 0).collect());
            Delta { space: space.clone(), from, to, hlc: Hlc::from_bits(9), keys }
        };
        // What is known beside what comes, what the sender knew of two then and now, and whether two's third entry stays.
        for ((of, number), [then, now], stays) in [
            ((one, 3), [2, 2], true),
            ((one, 3), [3, 3], false),
            ((one, 2), [3, 3], false),
            ((one, 3), [4, 4], false),
            ((two, 2), [2, 2], true),
            ((two, 2), [3, 3], false),
            ((two, 2), [2, 4], false),
            ((two, 3), [3, 3], true),
            ((two, 3), [3, 4], true),
        ] {
            let mut store = SessionConsistentStore::new(Limits::default());
            let held = [("040", four, 1), ("050", two, 3), ("060", four, 1)];
            let keys = held.map(|(key, id, sequence)| (key.into(), alloc::vec![entry(id, sequence)].into()));
            assert!(store.apply(delta(&[], &[(one, 5), (two, 4), (four, 1)], keys.into_iter().collect())).is_ok());
            let set = [Listed::Known(Dot::new(of, number).into()), entry(three, 1)];
            let keys = (0..300).map(|at| (format!("{at:03}").as_str().into(), set.to_vec().into())).collect();
            let mut told = delta(&[(one, 5), (two, then)], &[(one, 5), (two, now), (three, 1)], keys);
            // What was read is in one block, and told in a run; of so many keys it stays one.
            for _ in 0..2 {
                let mut writer = Writer::new();
                told.encode(&mut writer);
                let read = Reader::open(&writer.finish()).and_then(|mut reader| Delta::decode(&mut reader));
                let Ok(read) = read else { panic!("{read:?}") };
                told = read;
            }
            assert!(told.keys.clone().into_parts().iter().any(|part| part.bundle().is_some()));
            let Ok(changed) = store.apply(told) else { panic!("it applies") };
            let siblings = |key: &str| match key {
                "040" | "060" => 2,
                "050" if stays => 2,
                _ => 0,
            };
            assert_eq!(changed.len(), 300);
            for changed in changed {
                let (key, set) = (&*changed.key, store.live(&space, &changed.key));
                assert_eq!(changed.siblings, siblings(key), "{key} {of:?} {number} {then} {now}");
                assert_eq!(set.map(|set| set.entries().len()), Some(siblings(key).max(1)));
            }
        }
    }
}
