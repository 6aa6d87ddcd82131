//! The fast path: which values the host may answer from its own copies, and how it reports these reads and its writes.
//!
//! A host on the other side of a boundary keeps copies of values and a log of writes, so that reading a copy and
//! writing need no crossing. The core stays the authority:
//!
//! * It says which entries may be copied: durable ones that are alone in their live set and do not expire.
//! * It names every copy that is no longer true.
//! * It receives the writes in order, as one atomic write.
//!
//! Reading a copy never falsifies a check (reading what this replica holds keeps `V ≥ r`), so its dot may be recorded
//! later, but before anything of the session leaves. A write that is still in the log has no dot, so nothing elsewhere
//! can depend on it.

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
/// The most bytes of copies per requested key, and in total: a copy in JavaScript may keep the memory of all of them
/// alive.
const AHEAD_BYTES: usize = 256;
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// If more keys than this are forgotten at once, the host is told to forget all copies.
const FORGET_MAX: usize = 1024;

/// What the host must know about its copies.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// Whether the host has copies at all.
    on: bool,
    forgotten: Vec<(Space, Key)>,
    /// All copies must be forgotten and requested again.
    all: bool,
}

impl Front {
    /// Whether single copies need to be tracked; not if all will be forgotten anyway.
    pub(super) const fn heeds(&self) -> bool {
        self.on && !self.all
    }

    /// Records that `keys` copies may no longer be true. Too many are not named one by one.
    pub(super) fn forget_many(&mut self, keys: usize) {
        self.all |= self.on && keys > FORGET_MAX && !off(Mutant::Forget);
    }

    /// Records that the copy of a key, if there is one, is no longer true.
    pub(super) fn forget(&mut self, space: &Space, key: &Key) {
        if self.heeds() && self.forgotten.len() <= FORGET_MAX && !off(Mutant::Forget) {
            self.forgotten.push((space.clone(), key.clone()));
        }
    }

    /// Records that the host must ask the core before it answers from a copy or accepts a write again.
    pub(super) const fn forget_all(&mut self) {
        // Regardless of `on`: a host that was only permitted to write has no copies, and would continue to write.
        self.all = true;
    }

    /// The order to forget, if any. It waits for no record, since it reveals nothing.
    pub(super) fn order(&mut self) -> Option<Effect> {
        let all = core::mem::take(&mut self.all);
        if self.forgotten.is_empty() && !all {
            return None;
        }
        let forgotten = core::mem::take(&mut self.forgotten);
        Some(Effect::Forget(if all || forgotten.len() > FORGET_MAX { None } else { Some(forgotten) }))
    }
}

/// The answer of a read for the host's copies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Glance {
    /// What the key shows.
    pub content: Option<Content>,
    /// Set if the value may be copied, and answered until it must be forgotten.
    pub keep: Option<Kept>,
}

/// Identifies a value that may be copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The write that it shows.
    pub dot: Dot,
    /// Its slot in the space: see [`Ahead::place`].
    pub place: u32,
}

/// A value that the host may copy before anybody has read it. Reading that copy is reported like any other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ahead {
    /// Its slot in the space, unique to its key.
    pub place: u32,
    /// The key.
    pub key: Key,
    /// Its value: text or JSON.
    pub content: Content,
    /// The write that it shows.
    pub dot: Dot,
}

impl Replica {
    /// Reads a key like `Operation::Get` under `sync`, and says whether its value may be copied. After the first call
    /// of this or of [`Replica::hand_over`], [`Effect::Forget`] names the copies that are no longer true.
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

    /// The value of a key, whether it may be copied, and the entries that decided this.
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

    /// A key and those that arrived at this replica together with it, as far as they may be copied: a reader that reads
    /// one key for the first time will often read its neighbours, and one crossing then serves all of them. The key
    /// itself comes first, then those after it: a delta or a snapshot arrives in the order of keys. Examines at most
    /// `most` others (never more than 1,023), within bounds that do not depend on the key unless they are many. This
    /// reads nothing for the session. Call it right after [`Replica::glance`].
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

    /// As [`Replica::ahead`], from a slot and without copies: passes each row with its slot to `each`.
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

    /// Applies the writes that the host has accepted for a session since the last time, in order, as one atomic write.
    /// Call it before anything else that concerns the replica, except glances at other keys at the same time, with the
    /// time of the first of these writes.
    ///
    /// # Errors
    /// As a write by [`Replica::begin`] under `sync`. The host must not accept more writes than [`Replica::room`] has
    /// space for.
    pub fn hand_over(
        &mut self,
        session: SessionHandle,
        batch: Vec<Mutation>,
        terms: Terms,
        now: Millis,
    ) -> Result<Dot, SessionError> {
        // The host has copies of these writes, even if it never glanced.
        self.front.on = true;
        self.do_what_is_due(now);
        self.use_session(session)?;
        let state = self.sessions.get(&session).ok_or_else(unknown)?;
        let (space, guarantees) = (state.space.clone(), terms.guarantees.unwrap_or(state.guarantees));
        // The host's copies are these very writes and stay true.
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
        // Reading is use of the session, unless it is over already.
        let _ = self.touch(&id);
        Ok(())
    }

    /// The host has answered a session from its copies at `now`: counts as use, which postpones its idle expiry.
    ///
    /// # Errors
    /// The reason why the session is over.
    pub fn note_use(&mut self, session: SessionHandle, now: Millis) -> Result<(), SessionError> {
        self.input(now);
        self.use_session(session)
    }

    /// How many more keys and bytes the store may take.
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

    /// The replica id of a number from [`Replica::origin`].
    #[must_use]
    pub fn origin_at(&self, number: u32) -> Option<ReplicaId> {
        self.origins.get(number as usize).copied()
    }
}

/// The entry of a key, if it is the only one and does not expire, so that only a write can replace it.
fn alone(set: &LiveSet) -> Option<&DataEntry> {
    let [only] = set.entries() else { return None };
    Some(only).filter(|only| only.expires_at().is_none())
}
