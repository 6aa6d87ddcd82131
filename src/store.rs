//! The session-consistent store: several spaces of keys, one clock, limits. It knows vectors, never sessions.
//!
//! It keeps state, not history: for each key the live entries, usually one. Every change is a write with this replica's next
//! dot, or a delta, and each is one atomic step. See [`space`] for the invariants.

pub mod delta;
mod ends;
pub mod entry;
pub mod fence;
mod index;
pub(crate) mod keys;
pub mod limits;
mod log;
pub mod numbered;
mod order;
pub(crate) mod part;
pub(crate) mod parts;
mod places;
pub mod roster;
mod slots;
pub(crate) mod sort;
pub mod space;
pub mod stage;
mod table;

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use litemap::LiteMap;

use crate::error::{Details, ErrorCode, SessionError};
use crate::id::{Dot, ReplicaId, SEQUENCE_MAX, SessionId, Space};
use crate::store::delta::{Delta, HLC_MAX};
use crate::store::entry::{Authors, Content, DataEntry, ENTRY_OVERHEAD, Key, LiveSet};
use crate::store::fence::Fences;
use crate::store::limits::Limits;
pub use crate::store::log::{Log, Written};
use crate::store::roster::Roster;
use crate::store::space::{Changed, Changes, Growth, SpaceState};
use crate::time::{Hlc, HlcClock, Millis};
use crate::vector::VersionVector;

/// One key's part of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutation {
    /// The key.
    pub key: Key,
    /// Its new value, or the mark of its deletion.
    pub content: Content,
    /// When the value ends, in milliseconds since 1970.
    pub expires_at: Option<Millis>,
}

/// A condition of a batch: the key still has this version, or is absent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// The key.
    pub key: Key,
    /// The version that it must have; `None`: it must show nothing.
    pub version: Option<String>,
}

/// A replicated key-value store, as one replica holds it.
#[derive(Clone, Debug, Default)]
pub struct SessionConsistentStore {
    spaces: LiteMap<Space, SpaceState>,
    clock: HlcClock,
    limits: Limits,
    /// By which keys are found; a peer that does not know it cannot choose keys that are slow to find.
    seed: u64,
    fences: Fences,
    roster: Roster,
    /// The generations of spaces that are over, by name: these and those before are open no more.
    ended: LiteMap<String, u32>,
    /// Goes up with whatever may have changed what is held.
    changes: u64,
    authors: Authors,
}

impl SessionConsistentStore {
    /// An empty store with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let (fences, ended) = (Fences::new(false), LiteMap::new());
        let (clock, roster) = (HlcClock::default(), Roster::default());
        let authors = Authors::default();
        Self { spaces: LiteMap::new(), clock, limits, seed: 0, fences, roster, ended, changes: 0, authors }
    }

    /// The same store at a replica that holds the key of its fleet, or does not, in a run that begins at `now`.
    #[must_use]
    pub fn of_fleet(mut self, shared: bool, now: Millis) -> Self {
        self.fences = Fences::new(shared);
        self.fences.number_from(now);
        self.roster.number_from(now);
        self
    }

    /// The same store, which finds keys by a hash of this seed.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// A store of the same limits and retirement records that holds nothing.
    #[must_use]
    pub fn emptied(&self) -> Self {
        let spaces = self.spaces.iter().filter_map(|(space, state)| Some((space.clone(), state.emptied()?)));
        let spaces = LiteMap::from_sorted_store_unchecked(spaces.collect());
        let (fences, ended) = (self.fences.clone(), self.ended.clone());
        let (limits, seed, changes) = (self.limits, self.seed, self.changes);
        let (clock, roster, authors) = (HlcClock::default(), self.roster.clone(), Authors::default());
        Self { spaces, clock, limits, seed, fences, roster, ended, changes, authors }
    }

    /// This store in the place of another one, which is a change.
    #[must_use]
    pub fn in_place_of(self, other: &Self) -> Self {
        Self { changes: self.changes.max(other.changes) + 1, ..self }
    }

    /// A number that is another one after every change of what is held, vectors and the fleet's sessions included.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// The sessions that are over by somebody's word.
    #[must_use]
    pub const fn fences(&self) -> &Fences {
        &self.fences
    }

    /// As [`SessionConsistentStore::fences`], to take more in.
    pub const fn fences_mut(&mut self) -> &mut Fences {
        self.changes += 1;
        &mut self.fences
    }

    /// The sessions of the fleet.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// As [`SessionConsistentStore::roster`], to take more in.
    pub const fn roster_mut(&mut self) -> &mut Roster {
        self.changes += 1;
        &mut self.roster
    }

    /// Whether this generation of the space is over.
    #[must_use]
    pub fn is_over(&self, space: &Space) -> bool {
        self.ended.get(space.name()).is_some_and(|over| space.generation() <= *over)
    }

    /// Whether some generation of some space is over.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Ends a generation of a space, and those before it: what they hold goes, and nothing of them is taken again.
    pub fn end_space(&mut self, name: &str, generation: u32) {
        self.changes += 1;
        let ended = self.ended.entry(name.into()).or_insert(0);
        *ended = (*ended).max(generation);
        let over = *ended;
        self.spaces.retain(|space, _| space.name() != name || space.generation() > over);
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The clock's high-water mark.
    #[must_use]
    pub const fn clock(&self) -> HlcClock {
        self.clock
    }

    /// A space, if this replica holds something of it.
    #[must_use]
    pub fn space(&self, space: &Space) -> Option<&SpaceState> {
        self.spaces.get(space)
    }

    fn space_mut(&mut self, space: &Space) -> &mut SpaceState {
        let seed = self.seed;
        self.changes += 1;
        self.spaces.entry(space.clone()).or_insert_with(|| SpaceState::new(seed))
    }

    /// To be called before a key of a space is looked for; see [`table::Table::before_look`].
    pub(crate) fn before_look(&mut self, space: &Space) {
        self.spaces.get_mut(space).into_iter().for_each(SpaceState::before_look);
    }

    /// Every space that this replica holds something of, in the order of their names.
    pub fn spaces(&self) -> impl ExactSizeIterator<Item = (&Space, &SpaceState)> {
        self.spaces.iter()
    }

    /// The vector of a space; empty where nothing is held.
    #[must_use]
    pub fn vector(&self, space: &Space) -> &VersionVector {
        static EMPTY: VersionVector = VersionVector::new();
        self.spaces.get(space).map_or(&EMPTY, SpaceState::vector)
    }

    /// The live set of a key, if it has entries.
    #[must_use]
    pub fn live(&self, space: &Space, key: &str) -> Option<&LiveSet> {
        self.spaces.get(space)?.live(key)
    }

    /// The same of who looks at this key alone: see [`SpaceState::look`].
    pub(crate) fn look(&self, space: &Space, key: &str) -> Option<Cow<'_, LiveSet>> {
        Some(self.spaces.get(space)?.look(key)?.1)
    }

    /// Keys of all spaces, tombstones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spaces.values().map(SpaceState::len).sum()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all spaces, as the limits count them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.spaces.values().map(SpaceState::bytes).sum()
    }

    /// Takes a retirement record; see [`SpaceState::retire`].
    pub fn retire(&mut self, space: &Space, replica: ReplicaId, last: u64) {
        self.space_mut(space).retire(replica, last);
    }

    /// Writes a batch as one atomic write of `replica`, stamped at `now`, and tells its dot. All checks hold against
    /// this replica's state, or nothing is written; a concurrent write elsewhere becomes a sibling.
    ///
    /// # Errors
    /// `CONFLICT` if a checked version is not the current one; `KEY_INVALID`, `VALUE_TOO_LARGE`, `QUOTA_EXCEEDED` for
    /// the limits; `SPACE_NOT_FOUND` for another generation. State is unchanged.
    pub fn write(
        &mut self,
        space: &Space,
        replica: ReplicaId,
        session: Option<SessionId>,
        batch: Vec<Mutation>,
        checks: &[Check],
        now: Millis,
    ) -> Result<Dot, SessionError> {
        self.admit_space(space)?;
        // Where it fits even if every key is new, none needs to be looked for.
        let most = self.limits.check_batch(batch.iter().map(|mutation| (&mutation.key, &mutation.content)))?;
        self.check_versions(space, checks, now)?;
        if self.check_growth(most).is_err() {
            let writes = |mutation: &Mutation| mutation.content.len() as u64 + ENTRY_OVERHEAD;
            // The last mutation of a key is the one that counts: one write leaves one entry a key.
            let mut written = BTreeSet::new();
            let latest = batch.iter().rev().filter(|mutation| written.insert(mutation.key.clone()));
            let nothing = SpaceState::default();
            let state = self.spaces.get(space).unwrap_or(&nothing);
            self.check_growth(state.growth_by_write(latest.map(|mutation| (&mutation.key, writes(mutation)))))?;
        }
        let dot = self.next_dot(space, replica)?;
        // Bytes with a greater clock would be read by nobody, this replica's own journal included.
        if self.clock.last().max(Hlc::new(now, 0)) >= HLC_MAX {
            return Err(SessionError::bound(ErrorCode::QuotaExceeded, "clock", HLC_MAX.millis()));
        }
        let hlc = self.clock.tick(now);
        let author = self.authors.of(replica, session);
        let mut ending = core::mem::take(&mut self.authors.ending);
        let state = self.space_mut(space);
        let hashes = state.hashes(batch.iter().map(|mutation| &mutation.key));
        let entries = batch.into_iter().map(|Mutation { key, content, expires_at }| {
            let author = expires_at.map_or_else(|| Arc::clone(&author), |end| ending.until(&author, end));
            (key, DataEntry::by(author, dot.sequence, hlc, content))
        });
        state.write(dot, &hashes, entries);
        self.authors.ending = ending;
        Ok(dot)
    }

    /// Takes the next dot of `replica` without writing anything: a *checkpoint*, whose whole content is its past. It
    /// travels as every dot does, as a delta that advances the vector. No entry has it, so no clock is needed.
    ///
    /// # Errors
    /// `SPACE_NOT_FOUND` where nothing of the space is held; `QUOTA_EXCEEDED` after the last sequence.
    pub fn checkpoint(&mut self, space: &Space, replica: ReplicaId) -> Result<Dot, SessionError> {
        let dot = self.next_dot(space, replica)?;
        let nothing = || SessionError::new(ErrorCode::SpaceNotFound, "nothing of the space is held here");
        self.changes += 1;
        self.spaces.get_mut(space).ok_or_else(nothing)?.write(dot, &[], core::iter::empty());
        Ok(dot)
    }

    fn next_dot(&self, space: &Space, replica: ReplicaId) -> Result<Dot, SessionError> {
        let dot = Dot::new(replica, self.vector(space).get(replica) + 1);
        if dot.sequence > SEQUENCE_MAX {
            return Err(SessionError::bound(ErrorCode::QuotaExceeded, "sequence", SEQUENCE_MAX));
        }
        Ok(dot)
    }

    /// Checks that every checked key has its version at `now`.
    ///
    /// # Errors
    /// `CONFLICT`, with the first key that has another; `QUOTA_EXCEEDED` for too many checks.
    pub fn check_versions(&self, space: &Space, checks: &[Check], now: Millis) -> Result<(), SessionError> {
        if checks.len() as u64 > self.limits.batch_keys {
            return Err(SessionError::limit(ErrorCode::QuotaExceeded, "batchKeys", self.limits.batch_keys));
        }
        for check in checks {
            let set = self.live(space, &check.key);
            let current = set.filter(|set| set.shown(now).is_some()).map(LiveSet::version);
            if current != check.version {
                let cause = "a checked key has another version; read it again and decide anew";
                let details = Details::Conflict { key: String::from(&*check.key), version: current };
                return Err(SessionError::new(ErrorCode::Conflict, cause).with(details));
            }
        }
        Ok(())
    }

    /// Applies a peer's delta in one atomic step, and tells which keys changed.
    ///
    /// # Errors
    /// As [`SpaceState::apply`]; `KEY_INVALID`, `VALUE_TOO_LARGE`, `QUOTA_EXCEEDED` for the limits, `SPACE_NOT_FOUND` for
    /// another generation. State is unchanged.
    pub fn apply(&mut self, delta: Delta) -> Result<Vec<Changed>, SessionError> {
        let space = delta.space.clone();
        let changes = self.take(delta)?;
        Ok(changes.keys(self.space(&space), &|_| true))
    }

    /// As [`SessionConsistentStore::apply`], for who need not know which keys there are.
    pub(crate) fn take(&mut self, delta: Delta) -> Result<Changes, SessionError> {
        self.admit_space(&delta.space)?;
        self.take_back(delta)
    }

    /// As [`SessionConsistentStore::take`], for what was held before: its space was open then.
    pub(crate) fn take_back(&mut self, mut delta: Delta) -> Result<Changes, SessionError> {
        let most = self.limits.check_delta(&delta)?;
        if self.check_growth(most).is_err() {
            let nothing = SpaceState::default();
            let state = self.spaces.get(&delta.space).unwrap_or(&nothing);
            state.admit(&delta)?;
            self.check_growth(state.growth_by_delta(&delta))?;
        }
        delta.share_authors(&mut self.authors);
        let hlc = delta.hlc;
        self.changes += 1;
        let changed = match self.spaces.get_mut(&delta.space) {
            Some(state) => state.apply(delta)?,
            None => {
                let (mut state, space) = (SpaceState::new(self.seed), delta.space.clone());
                let changed = state.apply(delta)?;
                self.spaces.insert(space, state);
                changed
            }
        };
        self.clock.receive(hlc);
        Ok(changed)
    }

    /// Checks what the store would hold after a step. What does not grow is never refused, so that a full store can
    /// still overwrite and delete.
    fn check_growth(&self, Growth { keys, more, less }: Growth) -> Result<(), SessionError> {
        if keys > 0 {
            self.limits.check_keys(self.len() as u64 + keys)?;
        }
        if more > less { self.limits.check_bytes((self.bytes() + more).saturating_sub(less)) } else { Ok(()) }
    }

    /// A name has one generation at a time; this one must be it, or be new.
    fn admit_space(&self, space: &Space) -> Result<(), SessionError> {
        if self.spaces.contains_key(space) {
            return Ok(());
        }
        let over = self.ended.get(space.name()).copied().unwrap_or(0);
        let last = self.spaces.keys().filter(|known| known.name() == space.name()).map(Space::generation).max();
        let open = over.saturating_add(1).max(last.unwrap_or(0));
        // Which generation is open is known where the fleet's records are; elsewhere whoever has them says so.
        if space.generation() < open || (self.fences.is_shared() && space.generation() > open) {
            let cause = "the space is not open in that generation here";
            return Err(SessionError::new(ErrorCode::SpaceNotFound, cause));
        }
        if self.spaces.len() as u64 >= self.limits.spaces {
            return Err(SessionError::limit(ErrorCode::QuotaExceeded, "spaces", self.limits.spaces));
        }
        Ok(())
    }

    /// The delta of a space since `from`.
    #[must_use]
    pub fn extract(&self, space: &Space, from: &VersionVector) -> Option<Delta> {
        Some(self.spaces.get(space)?.extract(space, from, self.clock.last()))
    }
}
