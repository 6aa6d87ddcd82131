//! What a delta makes of a key that it lists: clauses 1 and 2 of [`SpaceState::apply`].
//!
//! Invariant: what comes of a key depends on what is held of it and on what is listed, and on no other key. Most keys have one entry
//! and get another one, in its place or beside it: that is looked at first, and moves neither of the two more than once.

use alloc::vec::Vec;

use super::{Changed, SpaceState};
use crate::mutant::{Mutant, off};
use crate::store::delta::{Bare, Keys, Listed, ListedSet};
use crate::store::entry::{DataEntry, Key, LiveSet};
use crate::store::index::Stretch;
use crate::store::keys::Bundle;
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

impl<'a> Merging<'a> {
    pub(super) const fn new(state: &'a mut SpaceState, [seen, sent]: [Near<'a>; 2]) -> Self {
        Self { state, seen, sent, stretch: None, last: Slot::MAX, guess: Slot::MAX }
    }

    /// Takes all keys, and tells which of them changed.
    pub(super) fn take(mut self, keys: Keys, changed: &mut Vec<Changed>) {
        for part in keys.into_parts() {
            match part.bundle() {
                Some(bundle) => self.take_bundle(bundle, changed),
                None => self.take_list(part, changed),
            }
        }
        self.state.index.note_stretch(self.stretch);
    }

    #[inline(never)]
    fn take_bundle(&mut self, bundle: &Bundle, changed: &mut Vec<Changed>) {
        bundle.each(|key, entry, known| self.take_one(key, entry, known, changed));
    }

    #[inline(never)]
    fn take_list(&mut self, part: Part<Pair>, changed: &mut Vec<Changed>) {
        for (key, set) in part {
            match set.into_one() {
                Ok((entry, known)) => self.take_one(key, entry, known, changed),
                Err(set) => {
                    let siblings = match self.seek(&key) {
                        Ok(slot) => self.merge(slot, &key, set),
                        Err(vacancy) => self.begin(&key, set, vacancy),
                    };
                    changed.extend(siblings.map(|siblings| Changed { key, siblings }));
                }
            }
        }
    }

    /// Takes a key of which one entry came in full, and maybe a bare dot.
    #[inline(never)]
    fn take_one(&mut self, key: Key, entry: DataEntry, known: Option<Bare>, changed: &mut Vec<Changed>) {
        let siblings = match self.seek(&key) {
            Ok(slot) => self.meet(slot, &key, entry, known),
            Err(vacancy) => self.begin(&key, ListedSet::of_one(entry, known), vacancy),
        };
        changed.extend(siblings.map(|siblings| Changed { key, siblings }));
    }

    /// The slot of a key, or where it may get one. Where two have written the same keys they mostly did so in one order, or in the
    /// opposite one.
    #[inline(always)]
    fn seek(&mut self, key: &Key) -> Result<Slot, Vacancy> {
        let table = &self.state.table;
        let is = table.slots().key(self.guess).is_some_and(|held| held.is(key.as_bytes()));
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

    /// As [`Merging::merge`], where the key has one entry here, and one comes that has not been seen: it takes the other's place, or
    /// goes beside it.
    #[inline(always)]
    fn meet(&mut self, slot: Slot, key: &Key, entry: DataEntry, known: Option<Bare>) -> Option<usize> {
        let SpaceState { table, index, .. } = &mut *self.state;
        let is_new = !self.seen.has(entry.origin(), entry.sequence());
        let Some((text, live)) = table.held_mut(slot).filter(|(_, live)| is_new && live.only().is_some()) else {
            return self.merge(slot, key, ListedSet::of_one(entry, known));
        };
        index.note_next(&mut self.stretch, slot, &entry);
        let lists = |only: &DataEntry| known.as_ref().is_some_and(|known| known.is_of(only));
        let (came, gone) = (entry.bytes(), live.only().filter(|only| !lists(only) && has_gone(&mut self.sent, only)));
        if let Some(only) = gone {
            let gone = only.bytes();
            index.remove(only.dot());
            (*text, *live) = (key.clone(), LiveSet::of(entry));
            table.count(came, gone);
            return Some(0);
        }
        live.join(entry);
        table.count(came, 0);
        Some(2)
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
    to.has(entry.origin(), entry.sequence()) && !off(Mutant::Clause1) && !off(Mutant::Clause1Listed)
}

/// Whether whoever stands at `vector`, and has `held` of the entry's key, has not seen the entry.
pub(super) fn is_unseen(vector: &mut Near<'_>, entry: &DataEntry, held: Option<&LiveSet>) -> bool {
    !vector.has(entry.origin(), entry.sequence())
        || (off(Mutant::Clause2) && !held.is_some_and(|held| held.has(entry.dot())))
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use crate::id::{ReplicaId, Space};
    use crate::store::entry::Content;
    use crate::store::limits::Limits;
    use crate::store::{Mutation, SessionConsistentStore};

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
}
