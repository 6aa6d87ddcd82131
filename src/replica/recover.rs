//! Recovery of a client whose writes were refused: it takes a new id, fetches a snapshot from the edge, and makes the
//! remaining writes again.
//!
//! Invariants:
//!
//! * The old state serves until the snapshot is complete. A crash or a broken link loses nothing, because the refusal
//!   will be repeated. Then everything changes in one step.
//! * A replayed write supersedes exactly what the original superseded, and keeps its clock: yesterday's write does not
//!   win over this morning's because it was replayed.

use alloc::string::String;
use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use crate::error::ErrorCode;
use crate::id::{Dot, ReplicaId, Space};
use crate::io::{Effect, Event, LinkId, RejectedWrite};
use crate::session::vector::SessionVector;
use crate::store::SessionConsistentStore;
use crate::store::delta::{Delta, Listed};
use crate::store::entry::{DataEntry, Key, LiveSet};
use crate::store::sort::sort;
use crate::store::space::{Changes, SpaceState};
use crate::sync::message::Message;
use crate::vector::VersionVector;

/// Own writes that an edge has refused.
#[derive(Debug)]
pub(super) struct Denial {
    space: Space,
    code: String,
    /// The refused writes; if empty, all of the space.
    dots: Vec<Dot>,
}

/// A recovery in progress.
#[derive(Debug)]
pub(super) struct Recovery {
    pub(super) link: LinkId,
    /// The part of the snapshot that has arrived.
    pub(super) store: SessionConsistentStore,
    /// What the edge has last said that it holds.
    told: Option<Vec<(Space, VersionVector)>>,
    denials: Vec<Denial>,
}

/// Maps dependencies on an own id, above `held`, to the last replayed dot.
struct Alias {
    space: Space,
    own: ReplicaId,
    held: u64,
    last: Option<Dot>,
}

impl Recovery {
    /// Whether the snapshot contains what the edge holds and everything that this replica had received from elsewhere.
    fn is_whole(&self, old: &SessionConsistentStore, aside: impl Fn(ReplicaId) -> bool) -> bool {
        let Some(told) = &self.told else { return false };
        let arrived = told.iter().all(|(space, vector)| self.store.vector(space).dominates(vector));
        arrived
            && told.iter().all(|(space, _)| {
                let (had, has) = (old.vector(space), self.store.vector(space));
                had.iter().all(|(id, sequence)| aside(id) || has.get(id) >= sequence)
            })
    }

    /// The code for which a write is not replayed.
    fn code(&self, space: &Space, dot: Dot) -> Option<&str> {
        let denies =
            |denial: &&Denial| denial.space == *space && (denial.dots.is_empty() || denial.dots.contains(&dot));
        self.denials.iter().find(denies).map(|denial| denial.code.as_str())
    }
}

impl Replica {
    /// Handles refusals of this replica's writes by the edge on `link`. Temporary refusals need nothing, since the
    /// delta is repeated anyway.
    #[cold]
    #[inline(never)]
    pub(super) fn hear_denials(&mut self, link: LinkId, denied: Vec<(Space, String, Vec<Dot>)>) {
        if self.keyring.is_some() {
            return;
        }
        let own = |dot: &Dot| self.identities.secret(dot.replica).is_some();
        // A refusal that is repeated after a recovery concerns nothing that is still held.
        let held = |space: &Space, dot: &Dot| self.store.vector(space).contains(*dot);
        let denials: Vec<Denial> = denied
            .into_iter()
            .filter(|(_, code, dots)| is_final(code, dots.is_empty()) && dots.iter().all(own))
            .filter(|(space, _, dots)| dots.is_empty() || dots.iter().any(|dot| held(space, dot)))
            .map(|(space, code, dots)| Denial { space, code, dots })
            .collect();
        if denials.is_empty() {
            return;
        }
        match &mut self.recovery {
            Some(recovery) if recovery.link == link => recovery.denials.extend(denials),
            // One recovery at a time; another edge will repeat its refusal.
            Some(_) => {}
            None => {
                let store = self.store.emptied();
                self.recovery = Some(Recovery { link, store, told: None, denials });
                let now = self.now;
                if let Some(peer) = self.links.open.get_mut(&link) {
                    peer.begin_anew(now);
                }
            }
        }
    }

    /// Records what the edge says that it holds, while its snapshot is fetched.
    #[inline(never)]
    pub(super) fn hear_snapshot(&mut self, link: LinkId, messages: &[Message]) {
        let Some(recovery) = self.recovery.as_mut().filter(|recovery| recovery.link == link) else { return };
        for message in messages {
            if let Message::Hello { vectors, .. } = message {
                recovery.told = Some(vectors.clone());
            }
        }
    }

    /// Completes a recovery whose snapshot is complete.
    #[inline(never)]
    pub(super) fn tend_recovery(&mut self) {
        let aside = |id| self.identities.secret(id).or_else(|| self.siblings.secret(id)).is_some();
        let whole = self.recovery.as_ref().is_some_and(|recovery| recovery.is_whole(&self.store, aside));
        if let Some(recovery) = whole.then(|| self.recovery.take()).flatten() {
            self.recover(recovery);
        }
    }

    fn recover(&mut self, mut recovery: Recovery) {
        self.rename();
        let snapshot = core::mem::take(&mut recovery.store);
        let snapshot = snapshot.in_place_of(&self.store);
        let old = core::mem::replace(&mut self.store, snapshot);
        let (mut aliases, mut rejected) = (Vec::new(), LiteMap::<(Space, String), Vec<RejectedWrite>>::new());
        for (space, state) in old.spaces() {
            let held = self.store.vector(space).clone();
            let mut last = None;
            for entries in self.own_unsent(state, &held) {
                let code = entries.first().and_then(|(_, entry)| recovery.code(space, entry.dot()));
                let refused = match code {
                    Some(code) => Some(String::from(code)),
                    None => match self.replay(space, state, &entries) {
                        Ok(dot) => {
                            last = Some(dot);
                            None
                        }
                        Err(code) => Some(code.as_str().into()),
                    },
                };
                if let Some(code) = refused {
                    let writes = entries.into_iter().map(|(key, entry)| RejectedWrite { key, content: entry.content });
                    rejected.entry((space.clone(), code)).or_default().extend(writes);
                }
            }
            for (own, _) in self.identities.iter() {
                aliases.push(Alias { space: space.clone(), own: *own, held: held.get(*own), last });
            }
        }
        for (_, state) in self.sessions.iter_mut() {
            aliases.iter().for_each(|alias| alias.follow(&mut state.vector));
            let aliases = &aliases;
            state.token.amend(|vector| aliases.iter().for_each(|alias| alias.follow(vector)));
        }
        self.journal.begin_anew();
        self.note_differences(&old);
        for ((space, code), writes) in rejected {
            self.fresh.push(Effect::Event(Event::Rejected { space, code, writes }));
        }
    }

    /// Own live writes that are not in `held`, in the order in which they were made.
    fn own_unsent(&self, state: &SpaceState, held: &VersionVector) -> Vec<Vec<(Key, DataEntry)>> {
        let own =
            |entry: &DataEntry| !held.contains(entry.dot()) && self.identities.secret(entry.dot().replica).is_some();
        let mut entries = Vec::new();
        for (key, set) in state.iter() {
            entries.extend(set.entries().iter().filter(|entry| own(entry)).map(|entry| (key, entry)));
        }
        sort(&mut entries, |(_, one), (_, other)| (one.hlc, one.dot()) < (other.hlc, other.dot()));
        let writes = entries.chunk_by(|(_, one), (_, other)| one.dot() == other.dot());
        writes.map(|write| write.iter().map(|(key, entry)| ((*key).clone(), (*entry).clone())).collect()).collect()
    }

    /// Makes a write again, under the current id.
    fn replay(&mut self, space: &Space, old: &SpaceState, entries: &[(Key, DataEntry)]) -> Result<Dot, ErrorCode> {
        let from = self.store.vector(space).clone();
        let dot = Dot::new(self.id, from.get(self.id) + 1);
        let mut to = from.clone();
        to.advance(dot);
        let mut hlc = self.store.clock().last();
        let keys = entries.iter().map(|(key, entry)| {
            hlc = hlc.max(entry.hlc);
            let known = self.store.live(space, key).map(LiveSet::entries).unwrap_or_default().iter();
            let stays = |held: &&DataEntry| {
                !old.vector().contains(held.dot()) || old.live(key).is_some_and(|set| set.has(held.dot()))
            };
            let known = known.filter(stays).map(|held| Listed::Known(held.dot().into()));
            let made = Listed::Entry(entry.clone().with_dot(dot));
            // The key may share a text with another value.
            (Key::from(&**key), known.chain([made]).collect())
        });
        let keys = keys.collect();
        let delta = Delta { space: space.clone(), from, to, hlc, keys };
        self.store.apply(delta).map(|_| dot).map_err(|error| error.code())
    }

    /// Reports every key that shows something else than in `old`.
    fn note_differences(&mut self, old: &SessionConsistentStore) {
        let new = self.store.spaces().filter(|(space, _)| old.space(space).is_none());
        let spaces: Vec<Space> = old.spaces().chain(new).map(|(space, _)| space.clone()).collect();
        for space in spaces {
            let (before, after) = (old.space(&space), self.store.space(&space));
            let held = |key: &Key| before.is_some_and(|state| state.live(key).is_some());
            let new = after.into_iter().flat_map(SpaceState::iter).filter(|(key, _)| !held(key));
            let keys = before.into_iter().flat_map(SpaceState::iter).chain(new).map(|(key, _)| key);
            let differs = |key: &&Key| before.and_then(|s| s.live(key)) != after.and_then(|s| s.live(key));
            let changed = Changes::of(keys.filter(differs).cloned());
            self.note(&space, changed);
        }
    }
}

impl Alias {
    /// Replaces a dependency on writes that were replayed (or rejected) by one on the last replayed dot.
    fn follow(&self, vector: &mut SessionVector) {
        let Some(own) = vector.get(&self.space) else { return };
        let (read, wrote) = (own.reads.get(self.own) > self.held, own.writes.get(self.own) > self.held);
        if !read && !wrote {
            return;
        }
        vector.cap(&self.space, self.own, self.held);
        if let Some(last) = self.last.filter(|_| read) {
            vector.record_read(&self.space, last);
        }
        if let Some(last) = self.last.filter(|_| wrote) {
            vector.record_write(&self.space, last);
        }
    }
}

/// Whether repeating the same delta would be useless. A refusal that names no write concerns all of them only if it
/// refuses the space.
fn is_final(code: &str, unnamed: bool) -> bool {
    let of_space = [ErrorCode::PermissionDenied, ErrorCode::SpaceNotFound];
    let of_writes = [
        ErrorCode::ClockDrift,
        ErrorCode::ValueTooLarge,
        ErrorCode::KeyInvalid,
        ErrorCode::QuotaExceeded,
        ErrorCode::MessageMalformed,
    ];
    let is = |known: &ErrorCode| known.as_str() == code;
    of_space.iter().any(is) || (!unnamed && of_writes.iter().any(is))
}
