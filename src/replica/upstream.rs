//! What peers have acknowledged of this replica's own writes, and how old what it holds can be.
//!
//! Invariant: a write counts as acknowledged once some peer has said that it holds it, and stays so, whatever becomes of
//! that peer; since nothing leaves before storage has it, such a write is durable here as well. By causal closure a peer
//! that holds a write holds all of its past, so the last own sequence of each space speaks for the others.

use alloc::vec::Vec;

use litemap::LiteMap;

use super::Replica;
use crate::id::{Dot, ReplicaId, Space};
use crate::store::SessionConsistentStore;
use crate::sync::peer::Peer;
use crate::time::Millis;
use crate::vector::VersionVector;

/// How a replica stands to its peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Own writes that no peer has acknowledged.
    pub unsynced: u64,
    /// The time since everything that a peer told of was here; `None` where that was never so.
    pub lag: Option<Millis>,
}

#[derive(Debug, Default)]
pub(super) struct Upstream {
    /// Ids that were given up in this run. What was written under them is to be acknowledged as well.
    former: Vec<ReplicaId>,
    acknowledged: LiteMap<Space, VersionVector>,
    caught_up: Option<Millis>,
    /// Whether something is unsynced, as the host was told last, and whether it is to be told anew.
    unsynced: bool,
    news: bool,
    /// What is acknowledged has changed, or whose writes count; and the store's changes as they were when that was looked at.
    stirred: bool,
    judged: u64,
}

impl Upstream {
    pub(super) fn renamed(&mut self, old: ReplicaId) {
        self.former.push(old);
        self.stirred = true;
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, back: Millis) {
        self.caught_up = self.caught_up.map(|at| at.saturating_sub(back));
    }

    /// Takes note of what `peer` is known to hold, now that it has been heard.
    #[inline(never)]
    pub(super) fn hear(&mut self, own: ReplicaId, peer: &Peer, store: &SessionConsistentStore, now: Millis) {
        let mut caught_up = true;
        for (space, holds) in peer.held() {
            let vector = store.vector(space);
            caught_up &= vector.dominates(holds);
            for id in self.former.iter().chain([&own]) {
                let held = holds.get(*id);
                let sequence = if held > 0 { held.min(vector.get(*id)) } else { 0 };
                if sequence == 0 {
                    continue;
                }
                let known = match self.acknowledged.get_mut(space) {
                    Some(known) => known,
                    None => self.acknowledged.entry(space.clone()).or_default(),
                };
                if sequence > known.get(*id) {
                    known.advance(Dot::new(*id, sequence));
                    self.stirred = true;
                }
            }
        }
        if caught_up {
            self.caught_up = Some(now);
        }
    }

    fn covers(&self, space: &Space, dot: Dot) -> bool {
        self.acknowledged.get(space).is_some_and(|vector| vector.contains(dot))
    }

    /// Whether something is unsynced, where that has changed since it was asked last.
    pub(super) fn news(&mut self) -> Option<bool> {
        core::mem::take(&mut self.news).then_some(self.unsynced)
    }
}

impl Replica {
    /// How this replica stands to its peers at `now`.
    #[must_use]
    pub fn standing(&self, now: Millis) -> Standing {
        let acknowledged = |space: &Space, id| self.upstream.acknowledged.get(space).map_or(0, |vector| vector.get(id));
        let left = |(space, dot): (&Space, Dot)| dot.sequence.saturating_sub(acknowledged(space, dot.replica));
        let unsynced = self.own_dots().map(left).sum();
        Standing { unsynced, lag: self.upstream.caught_up.map(|at| now.saturating_sub(at)) }
    }

    /// The last own write of each space, under each own id.
    fn own_dots(&self) -> impl Iterator<Item = (&Space, Dot)> {
        let dots = self.store.spaces().flat_map(|(space, state)| {
            let ids = self.upstream.former.iter().chain([&self.id]);
            ids.map(move |id| (space, Dot::new(*id, state.vector().get(*id))))
        });
        dots.filter(|(_, dot)| dot.sequence > 0)
    }

    /// What there is to acknowledge: the last own write of each space, under each own id.
    pub(super) fn own_writes(&self) -> Vec<(Space, Dot)> {
        self.own_dots().map(|(space, dot)| (space.clone(), dot)).collect()
    }

    /// Whether peers have acknowledged all of these.
    pub(super) fn acknowledged(&self, writes: &[(Space, Dot)]) -> bool {
        writes.iter().all(|(space, dot)| self.upstream.covers(space, *dot))
    }

    /// Looks whether what is to be told of the own writes has changed.
    #[inline(never)]
    pub(super) fn judge_standing(&mut self) {
        let changes = self.store.changes();
        let same = core::mem::replace(&mut self.upstream.judged, changes) == changes;
        if !core::mem::take(&mut self.upstream.stirred) && same {
            return;
        }
        let mut unsynced = false;
        for (space, state) in self.store.spaces() {
            for id in self.upstream.former.iter().chain([&self.id]) {
                let dot = Dot::new(*id, state.vector().get(*id));
                unsynced |= dot.sequence > 0 && !self.upstream.covers(space, dot);
            }
        }
        self.upstream.news |= unsynced != self.upstream.unsynced;
        self.upstream.unsynced = unsynced;
    }
}
