//! The fast path: what the host may answer from a cache of its own, and how it accounts for it.
//!
//! A host in front of a boundary keeps copies of values and a log of writes, so that a read of a copy and a write
//! cross nothing. The core stays the authority: it says which entries may be copied (durable, alone, not expiring),
//! names every copy that is no longer true, and takes the writes, in order, as one atomic write. A read of a copy never
//! falsifies a check (reading what this replica holds keeps `V ≥ r`), so its dot is recorded later, but before
//! anything of the session leaves. A write that was not handed over has no dot, so nothing can depend on it elsewhere.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::Replica;
use super::answer::{Attempt, Blocked, Deciding, Reading};
use super::sessions::unknown;
use crate::error::SessionError;
use crate::id::{Dot, ReplicaId, Space};
use crate::io::{Effect, Policy, SessionHandle, Terms};
use crate::mutant::{Mutant, off};
use crate::store::Mutation;
use crate::store::entry::{Content, DataEntry, Key, LiveSet, Text};
use crate::store::part::Row;
use crate::time::Millis;
use crate::vector::Near;

/// The most copies that are handed over with one read, beside its own.
const AHEAD_MAX: usize = 1023;
/// The most bytes of them: so many for each that is asked for, and in all. A copy in JavaScript may keep all of them in memory.
const AHEAD_BYTES: usize = 256;
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Above so many forgotten keys at once the host is told to forget all.
const FORGET_MAX: usize = 1024;

/// What a host has copies of.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// Whether the host has copies at all.
    on: bool,
    forgotten: Vec<(Space, Key)>,
    /// Everything is to be forgotten, and to be asked for anew.
    all: bool,
}

impl Front {
    /// Whether it matters which copies are no longer true: not where all are to be forgotten.
    pub(super) const fn heeds(&self) -> bool {
        self.on && !self.all
    }

    /// Notes that so many copies, if they are there, are no longer true: too many are not named.
    pub(super) fn forget_many(&mut self, keys: usize) {
        self.all |= self.on && keys > FORGET_MAX && !off(Mutant::Forget);
    }

    /// Notes that a copy of a key, if there is one, is no longer true.
    pub(super) fn forget(&mut self, space: &Space, key: &Key) {
        if self.heeds() && self.forgotten.len() <= FORGET_MAX && !off(Mutant::Forget) {
            self.forgotten.push((space.clone(), key.clone()));
        }
    }

    /// Notes that no copy may be answered, and no write accepted, before the core was asked again.
    pub(super) const fn forget_all(&mut self) {
        // Asked or not: a host that has only been allowed to write has no copies, and would write on.
        self.all = true;
    }

    /// The order to forget, if there is one. It waits for nothing: it tells less, not more.
    pub(super) fn order(&mut self) -> Option<Effect> {
        let all = core::mem::take(&mut self.all);
        if self.forgotten.is_empty() && !all {
            return None;
        }
        let forgotten = core::mem::take(&mut self.forgotten);
        Some(Effect::Forget(if all || forgotten.len() > FORGET_MAX { None } else { Some(forgotten) }))
    }
}

/// A read for the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glance {
    /// What the key shows.
    pub content: Option<Content>,
    /// What of it may be kept, and answered until it is to be forgotten; `None`: it may not.
    pub keep: Option<Kept>,
}

/// Whose copy may be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The write that it shows.
    pub dot: Dot,
    /// Its place in the space: see [`Ahead::place`].
    pub place: u32,
}

/// A value that the host may keep a copy of before anybody has read it. Reading it there is reported as any other
/// read of a copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ahead {
    /// Its place in the space: no other key has the same.
    pub place: u32,
    /// The key.
    pub key: Key,
    /// What it shows: text or JSON.
    pub content: Content,
    /// The write that it shows.
    pub dot: Dot,
}

impl Replica {
    /// Reads a key as `Operation::Get` under `sync` does, and tells whether its value may be copied. From the first call
    /// on, or the first [`Replica::hand_over`], [`Effect::Forget`] names the copies that are no longer true.
    ///
    /// # Errors
    /// As [`Replica::begin`].
    pub fn glance(
        &mut self,
        session: SessionHandle,
        key: &str,
        terms: Terms,
        now: Millis,
    ) -> Result<Glance, SessionError> {
        self.front.on = true;
        self.do_what_is_due(now);
        self.use_session(session)?;
        let state = self.sessions.get(&session).ok_or_else(unknown)?;
        let guarantees = terms.guarantees.unwrap_or(state.guarantees);
        let serve = terms.on_stale.unwrap_or(state.on_stale) == Policy::Serve;
        let reading = match self.may_read(session, guarantees, serve, now)? {
            Ok(reading) => reading,
            Err(blocked) => return Err(self.lacks(blocked)),
        };
        self.store.limits().check_key(key)?;
        self.store.before_look(&reading.space);
        let (glance, deciding) = self.seen(&reading, key);
        let bytes = glance.content.as_ref().map_or(0, Content::len);
        let blocked = self.has_read(session, reading, &deciding, bytes)?;
        blocked.map_or(Ok(glance), |blocked| Err(self.lacks(blocked)))
    }

    /// What a key shows to whoever may read, and what has decided that.
    fn seen(&self, reading: &Reading, key: &str) -> (Glance, Deciding) {
        let (found, mut deciding) = (self.slot_of(&reading.space, key), Deciding::default());
        let (place, set) = found.as_ref().map(|(place, set)| (*place, &**set)).unzip();
        deciding.winner(set);
        let content = set.and_then(|set| set.shown(reading.at)).map(|entry| entry.content.clone());
        let alone = set.and_then(alone).filter(|_| content.is_some()).map(DataEntry::dot);
        let keep = alone.filter(|dot| self.durable(&reading.space).contains(*dot));
        let keep = keep.zip(place).map(|(dot, place)| Kept { dot, place });
        (Glance { content, keep }, deciding)
    }

    fn slot_of(&self, space: &Space, key: &str) -> Option<(u32, Cow<'_, LiveSet>)> {
        self.store.space(space)?.look(key)
    }

    /// A key and those that came to this replica together with it, as far as their copies may be kept: whoever reads one for
    /// the first time will often read its neighbours, and one crossing then serves them all. The key itself comes first, then
    /// those behind it: what came by a delta or a snapshot came in the order of keys. At most `most` others are looked at (and
    /// never more than 1,023), within bounds that do not depend on the key unless they are many. Nothing is read by it: the
    /// session learns nothing. To be called right after [`Replica::glance`].
    #[must_use]
    pub fn ahead(&self, session: SessionHandle, key: &str, most: usize) -> Vec<Ahead> {
        let mut copies = Vec::new();
        let state = self.sessions.get(&session);
        let Some((place, _)) = state.and_then(|state| self.slot_of(&state.space, key)) else { return copies };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.neighbours(session, place, most, &mut |place, row| {
            let (key, value) = (Key::from(text(row.key)), Text::from(text(row.value)));
            let content = if row.json { Content::Json(value) } else { Content::Text(value) };
            copies.push(Ahead { place, key, content, dot: Dot::new(*row.origin, row.sequence) });
        });
        copies
    }

    /// The same of what stands at a place, without a copy of any, each with its place.
    pub(crate) fn neighbours(
        &self,
        session: SessionHandle,
        place: u32,
        most: usize,
        each: &mut dyn FnMut(u32, Row<'_>),
    ) {
        let space = self.sessions.get(&session).map(|state| &state.space);
        let held = space.and_then(|space| Some((self.durable(space), self.store.space(space)?)));
        let Some((durable, space)) = held.filter(|_| most > 0) else { return };
        let (mut bytes, enough) = (0, most.saturating_mul(AHEAD_BYTES).min(AHEAD_BYTES_MAX));
        let mut durable = Near::new(durable);
        space.beside(place, most.min(AHEAD_MAX) as u32, &mut |place, row| {
            if !durable.has(row.origin, row.sequence) {
                return true;
            }
            bytes += row.key.len() + row.value.len();
            if bytes <= enough {
                each(place, row);
            }
            bytes <= enough
        });
    }

    /// Takes the writes that the host has accepted for a session since the last time, in order, as one atomic write.
    /// Call it before anything else that concerns the replica, but for glances at other keys at the same time; with the time of the
    /// first of them.
    ///
    /// # Errors
    /// As a write by [`Replica::begin`] under `sync`; the host accepts none that [`Replica::room`] has no place for.
    pub fn hand_over(
        &mut self,
        session: SessionHandle,
        batch: Vec<Mutation>,
        terms: Terms,
        now: Millis,
    ) -> Result<Dot, SessionError> {
        // The host has copies of these writes, whether it ever glanced or not.
        self.front.on = true;
        self.do_what_is_due(now);
        self.use_session(session)?;
        let state = self.sessions.get(&session).ok_or_else(unknown)?;
        let (space, guarantees) = (state.space.clone(), terms.guarantees.unwrap_or(state.guarantees));
        // The host's copies are of these very writes.
        self.front.on = false;
        let attempt = self.attempt_write(session, Cow::Owned(batch), &[], guarantees, now);
        self.front.on = true;
        if let Attempt::Blocked(Blocked { space, gaps, .. }) = attempt? {
            return Err(self.stale(&space, gaps));
        }
        Ok(Dot::new(self.id, self.store.vector(&space).get(self.id)))
    }

    /// Records reads that the host has answered from its copies.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND`.
    pub fn record_reads(&mut self, session: SessionHandle, dots: &[Dot]) -> Result<(), SessionError> {
        let state = self.sessions.get_mut(&session).ok_or_else(unknown)?;
        let (space, id) = (state.space.clone(), state.id);
        for dot in dots {
            state.vector.record_read(&space, *dot);
        }
        // Whoever has read was here: the session is in use, unless it is over already.
        let _ = self.touch(&id);
        Ok(())
    }

    /// The host has answered a session from its copies at `now`: that is use, and keeps it from its idle end.
    ///
    /// # Errors
    /// The reason of a session that is over.
    pub fn note_use(&mut self, session: SessionHandle, now: Millis) -> Result<(), SessionError> {
        self.input(now);
        self.use_session(session)
    }

    /// How many keys and bytes the store has place for.
    #[must_use]
    pub fn room(&self) -> (u64, u64) {
        let limits = self.store.limits();
        (limits.keys.saturating_sub(self.store.len() as u64), limits.bytes.saturating_sub(self.store.bytes()))
    }

    /// The number of a replica id at the boundary, where a dot is two numbers.
    pub fn origin(&mut self, replica: ReplicaId) -> u32 {
        let known = self.origins.iter().position(|id| *id == replica);
        known.unwrap_or_else(|| {
            self.origins.push(replica);
            self.origins.len() - 1
        }) as u32
    }

    /// The replica id of a number that [`Replica::origin`] gave.
    #[must_use]
    pub fn origin_at(&self, number: u32) -> Option<ReplicaId> {
        self.origins.get(number as usize).copied()
    }
}

/// The entry of a key, if it is the only one and never ends: nothing but a write takes it away.
fn alone(set: &LiveSet) -> Option<&DataEntry> {
    let [only] = set.entries() else { return None };
    Some(only).filter(|only| only.expires_at().is_none())
}
